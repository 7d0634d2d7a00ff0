"""The benchmarks work; how fast they find us is theirs to say."""
