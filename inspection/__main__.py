"""Where defect-inspect begins, and `python -m inspection`: signals first, then the rest."""

import sys

from severstal_prep.guard import guarded

EXTRAS = {"review": "review", "serve": "review", "watch": "watch"}


def main() -> int:
    """Run a command; the exit code of the process."""
    extra = EXTRAS.get(sys.argv[1] if len(sys.argv) > 1 else "", "inspect")
    return guarded("defect-inspect", "inspection.cli", extra)


if __name__ == "__main__":
    raise SystemExit(main())
