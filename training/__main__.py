"""Where defect-train begins, and `python -m training`: signals first, then the rest."""

from severstal_prep.guard import guarded


def main() -> int:
    """Run a command; the exit code of the process."""
    return guarded("defect-train", "training.cli", "train")


if __name__ == "__main__":
    raise SystemExit(main())
