"""Methods × images × metrics: maps kept on disk, a table per image, and what it sums up to."""
