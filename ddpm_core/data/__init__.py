"""The data sets: Gaussian mixtures, users' own points, Fashion-MNIST images."""
