"""Distances between samples and data, and how large they are by chance alone."""
