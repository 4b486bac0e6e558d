"""Reverse: the trained network walks noise back to data, live."""
