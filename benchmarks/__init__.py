"""How fast, side by side: *ours*, *what people use instead*, *the floor*. `python -m benchmarks` runs them."""
