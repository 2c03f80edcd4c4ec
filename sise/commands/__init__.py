"""The commands of `sise`, one file each: `parser()` and `run(arguments)`."""
