"""A toy exhibit, in one folder like all others: points that drift to the right. docs/EXTENDING.md walks through it."""
