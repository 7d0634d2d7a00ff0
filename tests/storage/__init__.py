"""Storage: one contract for both implementations, then the hazards of each."""
