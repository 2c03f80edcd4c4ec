"""`sise bench`: what explanations cost on this machine, beside bare forward passes."""
