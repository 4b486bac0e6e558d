"""Samplers, from noise to data: the registry, every method, and the exact answers to compare them with."""
