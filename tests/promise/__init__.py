"""The promise, on real processes: every accepted recording ends right, once, and nothing is left over."""
