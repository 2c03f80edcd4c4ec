"""Which strip belongs to which batch, and what came of it: a journal per batch.

A line of JSON is appended for each thing that happens, and is on the disk before anything follows
from it. So a watcher that was killed knows what it has taken, and what of that it has inspected.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

from inspection.errors import WatchError

FORMAT = "steel-sise journal 1"
_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:-([1-9]\d*))?")


@dataclass(frozen=True, order=True)
class BatchName:
    """A batch of a day: the first is called 2026-11-27, the second 2026-11-27-2."""

    day: date
    number: int = 1

    def __str__(self) -> str:
        return f"{self.day}" if self.number == 1 else f"{self.day}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The name that `str` gives. Raises ValueError for anything else."""
        found = _NAME.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no day")
        name = cls(date.fromisoformat(found[1]), int(found[2] or 1))
        if str(name) != text:
            raise ValueError(f"{text!r} is not how a batch is called")
        return name


@dataclass(frozen=True)
class Taken:
    """A strip that a batch took.

    `path` is its place in the watched folder, `copy` that in the batch's own; both POSIX, as
    os.fsdecode gives them. `sha256` and `size` (bytes) are "" and 0 if it could not be opened,
    `mtime_ns` is the file's, `seen` the time (UTC, ISO 8601) when it was whole.
    """

    path: str
    copy: str
    sha256: str
    size: int
    mtime_ns: int
    seen: str

    @property
    def strip_id(self) -> str:
        """Its identity in the batch, as `strips.list_batch` gives it to the copy."""
        return os.fsencode(self.copy).decode("utf-8", "backslashreplace")


class Journal:
    """The journal of a batch, read from its file and appended to.

    `settings` is the key of the settings that the batch was begun with. `waiting` are the strips
    taken and not yet inspected, `inspected` the others, both by `copy` in the order of taking.
    `reported` counts the inspected strips that the last report has.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self.path = path
        self.name = BatchName.parse(path.stem)
        self.settings = settings
        self.waiting: dict[str, Taken] = {}
        self.inspected: dict[str, Taken] = {}
        self.reported = 0
        self._end = 0

    @classmethod
    def begin(cls, path: Path, settings: str) -> Self:
        """A new journal, on the disk."""
        journal = cls(path, settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        journal._append([{"format": FORMAT, "settings": settings}])
        return journal

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The journal in a file, without a last line that is not whole; None if it holds none.

        Raises WatchError for a file that is damaged otherwise, naming the line.
        """
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            return None
        number, journal = 0, None
        try:
            for line in whole.splitlines():
                number += 1
                entry = json.loads(line)
                if journal is not None:
                    journal._enter(entry)
                elif entry["format"] == FORMAT:
                    journal = cls(path, str(entry["settings"]))
                else:
                    raise ValueError(f"its format is {entry['format']!r}, not {FORMAT!r}")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            reason = f"no entry {error}" if isinstance(error, KeyError) else error
            raise WatchError(
                f"{path}, line {number}: damaged ({reason}); repair it, or choose another --out"
            ) from error
        if journal is not None:
            journal._end = len(whole)
        return journal

    def __contains__(self, copy: str) -> bool:
        return copy in self.waiting or copy in self.inspected

    @property
    def count(self) -> int:
        """Strips taken."""
        return len(self.waiting) + len(self.inspected)

    @property
    def unreported(self) -> bool:
        """Whether strips were inspected since the last report."""
        return len(self.inspected) > self.reported

    def take(self, strips: Iterable[Taken]) -> None:
        """Enter strips of the batch."""
        self._happened(
            [{"event": "taken", "strip_id": one.strip_id} | asdict(one) for one in strips]
        )

    def done(self, strips: Mapping[str, Mapping[str, str]], time: str) -> None:
        """Enter strips that were inspected, by `copy`, with what is to be told of each."""
        happened = {"event": "inspected", "time": time}
        self._happened([happened | {"copy": copy} | dict(told) for copy, told in strips.items()])

    def report(self, time: str) -> None:
        """Enter that a report of all inspected strips is there."""
        self._happened([{"event": "reported", "time": time, "strips": len(self.inspected)}])

    def _happened(self, entries: list[dict[str, Any]]) -> None:
        self._append(entries)
        for entry in entries:
            self._enter(entry)

    def _enter(self, entry: Mapping[str, Any]) -> None:
        if entry["event"] == "taken":
            taken = Taken(**{name: _typed(entry, name) for name in Taken.__dataclass_fields__})
            self.waiting[taken.copy] = taken
        elif entry["event"] == "inspected":
            self.inspected[entry["copy"]] = self.waiting.pop(entry["copy"])
        elif entry["event"] == "reported":
            self.reported = int(entry["strips"])
        else:
            raise ValueError(f"unknown event {entry['event']!r}")

    def _append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Append whole lines and wait for the disk; a line that did not fit is overwritten."""
        lines = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
        with self.path.open("r+b" if self.path.exists() else "xb") as stream:
            stream.truncate(self._end)
            stream.seek(self._end)
            stream.write(lines)
            stream.flush()
            os.fsync(stream.fileno())
        self._end += len(lines)


def _typed(entry: Mapping[str, Any], name: str) -> Any:
    value = entry[name]
    if type(value) is not (int if name in ("size", "mtime_ns") else str):
        raise ValueError(f"{name}: {value!r}")
    return value


def read_journals(folder: Path) -> list[Journal]:
    """The journals of a folder, oldest first. Raises WatchError for one that is damaged."""
    paths = [path for path in folder.glob("*.jsonl") if _NAME.fullmatch(path.stem)]
    journals = [Journal.read(path) for path in paths]
    return sorted((one for one in journals if one is not None), key=lambda one: one.name)


def next_name(current: Journal | None, today: date, most: int | None, settings: str) -> BatchName:
    """The batch that the next strip belongs to: of the day, with `most` strips, of one model.

    Never one before the current, whatever the clock says.
    """
    if current is None or today > current.name.day:
        return BatchName(today)
    full = most is not None and current.count >= most
    if full or current.settings != settings:
        return BatchName(current.name.day, current.name.number + 1)
    return current.name
