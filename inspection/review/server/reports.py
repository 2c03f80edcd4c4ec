"""Files of registered reports: only of known kinds, only from inside the report's folder."""

from pathlib import Path

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
