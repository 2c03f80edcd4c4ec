"""Where severstal-prep begins, and `python -m severstal_prep`: signals first, then the rest."""

from severstal_prep.guard import guarded


def main() -> int:
    """Run a command; the exit code of the process."""
    return guarded("severstal-prep", "severstal_prep.cli", "prep")


if __name__ == "__main__":
    raise SystemExit(main())
