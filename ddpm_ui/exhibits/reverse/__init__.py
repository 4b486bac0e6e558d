"""Reverse: sampling from noise to data, live."""
