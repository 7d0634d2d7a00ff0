"""What is stored, and every way it may change."""
