"""The files that `sise explain` writes of an image: whose they are, and whether they still hold."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sise.errors import OutputError, SiseError
from sise.outputs import holds
from sise.status import NOT_FINITE

FILES = ("map.npy", "map.png", "overlay.png")


def claim(out: Path, images: Sequence[Path]) -> None:
    """Make the folder; raise OutputError if a file of another program would be overwritten."""
    for path in images:
        record = out / f"{path.stem}.json"
        mine = holds(record, image_sha256=..., bundle_sha256=..., settings=...)
        files = [out / f"{path.stem}_{kind}" for kind in FILES]
        damaged = not holds(record) and all(file.is_file() for file in (record, *files))
        for file in (record, *files):
            if file.exists() and not (mine or damaged):
                raise OutputError(
                    f"{file}: a file of others, where {path} is explained to; name another --out"
                )
    out.mkdir(parents=True, exist_ok=True)


def check_names(images: Sequence[Path]) -> None:
    """Raise SiseError for two images whose files would have the same names."""
    seen: dict[str, Path] = {}
    for path in images:
        if path.stem in seen:
            raise SiseError(
                f"{seen[path.stem]} and {path} would write the same files; "
                "explain them into different folders"
            )
        seen[path.stem] = path


@contextmanager
def all_or_none(record: Path, *others: Path) -> Iterator[None]:
    """Without a record, files that an interruption left would be taken for those of others."""
    record.unlink(missing_ok=True)
    try:
        yield
    except BaseException:
        for file in (record, *others):
            file.unlink(missing_ok=True)
        raise


def is_up_to_date(record_path: Path, identity: Mapping[str, Any], files: Sequence[Path]) -> bool:
    """Whether an image was explained to these files before, with all that `identity` says.

    The files of one whose numbers are not finite, which an earlier version wrote, are removed.
    """
    if not all(file.is_file() for file in files):
        return False
    not_json: list[str] = []  # NaN and infinity, which Python writes and JSON has not
    try:
        record = json.loads(record_path.read_text("utf-8"), parse_constant=not_json.append)
        if not all(record[key] == value for key, value in identity.items()):
            return False
        broken = any(tile["status"] == NOT_FINITE for tile in record["tiles"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    if broken or not_json:
        for file in (*files, record_path):  # which says that they are ours
            file.unlink()
        return False
    return True
