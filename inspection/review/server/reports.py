"""Files of registered reports: only of known kinds, only from inside the report's folder."""

from pathlib import Path

from inspection.store.folder import RECORD
from inspection.words import say

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


def is_report(root: Path) -> bool:
    """Whether a report still lies there."""
    return (root / RECORD).is_file()


def moved(root: Path) -> str:
    """That it does not, and the cure."""
    return say(
        "The report is not at {folder} any more: it was moved or deleted. Register it again from "
        "its new place: defect-inspect review register. Decisions are not lost.",
        folder=root,
    )


def report_file(root: Path, name: str) -> Path | None:
    """The file of a report that a request names, None if there is no such file to give.

    Refused are unknown suffixes, hidden names, `..`, and links that lead out.
    """
    parts = name.split("/")
    if any(not part or part.startswith(".") or "\\" in part or "\0" in part for part in parts):
        return None
    path = root.joinpath(*parts)
    try:
        if path.suffix not in KINDS or not path.resolve().is_relative_to(root.resolve()):
            return None
        return path if path.is_file() else None
    except (OSError, ValueError):
        # Longer than a disk takes, or no text in its encoding.
        return None
