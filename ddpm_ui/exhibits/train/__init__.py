"""Train: watch a network learn."""
