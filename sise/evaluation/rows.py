"""Measured rows on disk, one JSON line each, found again by what they were measured on.

A number that is not defined is null there (earlier versions: NaN), and NaN here.
"""

import json
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from sise import strict_json


class RowStore:
    """Rows in the file `path`, by key. A line that an interruption cut off is as good as absent."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self._rows[key]

    def add(self, rows: Mapping[str, dict[str, Any]]) -> None:
        """Keep `rows`, here and on disk."""
        self._rows.update({key: _defined(row) for key, row in rows.items()})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(strict_json.dumps({"key": key, **row}) + "\n" for key, row in rows.items())
        with self.path.open("a+b") as stream:
            stream.seek(0, 2)
            if stream.tell() and not _ends_a_line(stream):
                lines = "\n" + lines
            stream.write(lines.encode())

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        try:
            lines = self.path.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        return dict(filter(None, map(_parsed, lines)))


def _ends_a_line(stream: Any) -> bool:
    stream.seek(-1, 2)
    return bool(stream.read(1) == b"\n")


def _parsed(line: str) -> tuple[str, dict[str, Any]] | None:
    try:
        row = json.loads(line)
        return row.pop("key"), _defined(row)
    except (ValueError, KeyError, AttributeError, RecursionError):
        return None


def _defined(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with NaN for what is not defined: null, and what is infinite."""
    return {
        name: math.nan if value is None or _is_infinite(value) else value
        for name, value in row.items()
    }


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)
