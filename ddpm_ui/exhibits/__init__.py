"""One folder per exhibit, and what they share. `registry.EXHIBITS` lists them in the order of the tabs."""
