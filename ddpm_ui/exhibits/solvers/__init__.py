"""Solvers: a race at equal cost, and what every further evaluation buys."""
