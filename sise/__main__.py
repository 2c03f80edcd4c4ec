"""Where sise begins, and `python -m sise`: signals first, then the rest."""

from sise.guard import guarded


def main() -> int:
    """Run a command; the exit code of the process."""
    return guarded("sise", "sise.cli", "evaluate")


if __name__ == "__main__":
    raise SystemExit(main())
