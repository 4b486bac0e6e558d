"""Training: the loop, what wraps its gradients, checkpoints, and the distillation of guidance."""
