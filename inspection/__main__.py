"""Where defect-inspect begins, and `python -m inspection`: signals first, then the rest."""

import sys

from severstal_prep.guard import guarded


def main() -> int:
    """Run a command; the exit code of the process."""
    extra = "review" if sys.argv[1:2] in (["review"], ["serve"]) else "inspect"
    return guarded("defect-inspect", "inspection.cli", extra)


if __name__ == "__main__":
    raise SystemExit(main())
