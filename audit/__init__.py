"""Checks by second implementations, on data drawn anew: `python -m audit` prints a table of who agrees with whom."""
