"""Models: one prediction in five views, exact and learned denoisers, networks and their files."""
