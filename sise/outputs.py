"""Where results may go: a tool writes over nothing that it did not write.

A folder is new, empty, or known as ours by a mark or by the card in it; a file is new or known
by what it says; and neither lies in what is read.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path

from sise.errors import OutputError
from sise.failures import check_replaceable

MARK = ".steel-sise"
"""A file in the folder of an evaluation: all that has our names there is ours.

It holds the name of the command that wrote there; earlier versions left it empty.
"""


def check_apart(out: Path, inputs: Iterable[Path]) -> None:
    """Raise OutputError if `out` is one of the input folders, or inside one. Links are followed."""
    place = out.resolve()
    for one in inputs:
        if place.is_relative_to(one.resolve()):
            where = "is" if place == one.resolve() else "lies in"
            raise OutputError(f"{out}: {where} {one}, which is read; name a folder elsewhere")


def check_folder(out: Path, ours: Callable[[Path], bool]) -> None:
    """Raise OutputError if `out` is a file, or holds what neither a mark nor `ours` knows."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: a file; name a folder")
    if not is_free(out) and not (out / MARK).is_file() and not ours(out):
        stranger = next(path.name for path in sorted(out.iterdir()))
        raise OutputError(
            f"{out}: holds files of others ({stranger}, for one); name a new or empty folder"
        )


def claim(
    out: Path,
    ours: Callable[[Path], bool],
    inputs: Iterable[Path],
    command: str,
    others: Mapping[str, str],
) -> None:
    """Check as `check_apart` and `check_folder`, make the folder and mark it as `command`'s.

    `others` names files that only other commands write, each with its command: by them a folder
    is known whose mark is empty. Raises OutputError for the folder of another command, whose
    files may have the same names.
    """
    check_apart(out, inputs)
    check_folder(out, ours)
    mark = out / MARK
    writer = mark.read_text("utf-8", "replace").strip() if mark.is_file() else ""
    writers = [one for name, one in others.items() if (out / name).exists()]
    other = writer or (writers[0] if writers else command)
    if other != command:
        raise OutputError(f"{out}: holds results of sise {other}; name a new or empty folder")
    out.mkdir(parents=True, exist_ok=True)
    if not writer:
        mark.write_text(f"{command}\n", "utf-8")


def check_file(path: Path, *words: bytes) -> None:
    """Raise OutputError if a file is there that holds none of `words`, as ours do.

    Raises OSError for a device, pipe or socket.
    """
    check_replaceable(path)
    if path.is_file():
        content = path.read_bytes()
        if not any(word in content for word in words):
            raise OutputError(f"{path}: a file of others; name another, or remove it")


def is_free(out: Path) -> bool:
    """Whether the folder is not there, or empty."""
    return not out.exists() or not any(out.iterdir())


def holds(path: Path, **entries: object) -> bool:
    """Whether a file is a JSON object with these entries; … stands for any value."""
    try:
        content = json.loads(path.read_text("utf-8"))
        return all(
            name in content and (value is ... or content[name] == value)
            for name, value in entries.items()
        )
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def begins_with_rows(path: Path) -> bool:
    """Whether a file's first lines hold a row of `sise.evaluation.store`."""
    try:
        with path.open("rb") as stream:
            lines = list(islice(stream, 2))
        return any(json.loads(line).keys() >= {"key"} for line in lines)
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
