"""What people decide about indications and strips, kept for good, and what it teaches."""
