"""One folder for each exhibit, and what they share. `registry.EXHIBITS` is all of them, in the order of the tabs."""
