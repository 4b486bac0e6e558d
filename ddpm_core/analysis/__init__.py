"""What the three views of diffusion let one see: bound, likelihood, orders, fields, memorisation."""
