"""Analysis of models and samplers: bound, likelihood, orders of convergence, fields, memorisation."""
