"""Solvers: a race at equal cost, and the gain from further evaluations."""
