"""A tape and its cuts, read by every zstd decoder at hand."""
