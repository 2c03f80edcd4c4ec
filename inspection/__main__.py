"""Where defect-inspect begins, and `python -m inspection`: signals first, then the rest."""

from severstal_prep.guard import guarded


def main() -> int:
    """Run a command; the exit code of the process."""
    return guarded("defect-inspect", "inspection.cli")


if __name__ == "__main__":
    raise SystemExit(main())
