"""What fewer forward passes cost SISE: sweeps of μ and of the budget (the paper's table 6)."""
