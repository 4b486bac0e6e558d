"""Train: a network learns while everybody watches."""
