"""From noise to data: the registry, one step by every method, and the exact answers beside them."""
