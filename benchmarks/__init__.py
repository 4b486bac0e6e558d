"""Measured, never asserted: `python -m benchmarks` prints the table of docs/PERFORMANCE.md."""
