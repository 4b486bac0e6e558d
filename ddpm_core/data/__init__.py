"""What there is to learn: Gaussian mixtures, people's own points, pictures of clothes."""
