"""The commands of `defect-inspect`, one file each: `parser()` and `run(arguments)`."""
