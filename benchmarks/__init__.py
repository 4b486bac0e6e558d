"""Measured, never asserted: `python -m benchmarks` prints the performance table of the README."""
