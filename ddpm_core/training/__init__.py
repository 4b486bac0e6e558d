"""Training: the loop, its command-line frame, and the distillation of guidance."""
