"""SHA256SUMS: the hash of every file of a report, in the form that `sha256sum -c` reads.

The page, the tables, the images and batch.json are listed. Left out are the log, which grows,
the work folder, which a finished report does not need, and the list itself. The list's own
SHA-256 is the report's seal: whoever wrote it down can tell that nothing has changed since.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from inspection.errors import ReportFolderError
from severstal_prep.files import file_sha256, replacing

CHECKSUMS = "SHA256SUMS"
UNLISTED = frozenset({CHECKSUMS, "log.jsonl", "work"})
CLUTTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file managers leave in folders that they show."""

_LINE = re.compile(r"(\\?)([0-9a-f]{64})  (.+)")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}


def report_files(report: Path) -> Iterator[str]:
    """Names (POSIX paths inside the report) of all that a list of sums covers, sorted.

    Whatever is no folder counts, links too; linked folders are not entered.
    """
    for folder, folders, files in os.walk(report):
        here = Path(folder)
        if here == report:
            folders[:] = [name for name in folders if name not in UNLISTED]
            files = [name for name in files if name not in UNLISTED]
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links)
        for name in sorted([*files, *links]):
            if name not in CLUTTER:
                yield (here / name).relative_to(report).as_posix()


def write_checksums(report: Path) -> str:
    """List the files of a report folder in its SHA256SUMS; return the report's seal."""
    lines = [_line(file_sha256(report / name), name) for name in sorted(report_files(report))]
    with replacing(report / CHECKSUMS) as temporary:
        temporary.write_bytes(os.fsencode("".join(lines)))
    return file_sha256(report / CHECKSUMS)


def read_checksums(report: Path) -> Mapping[str, str]:
    """SHA-256 by name, from a report's SHA256SUMS.

    Raises ReportFolderError, naming the line, if it is no such list or names a file outside
    the report.
    """
    path = report / CHECKSUMS
    sums: dict[str, str] = {}
    try:
        lines = os.fsdecode(path.read_bytes()).split("\n")
    except OSError as error:
        raise ReportFolderError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, 1):
        if line:
            name, sha256 = _parse(line, f"{path}, line {number}")
            sums[name] = sha256
    return sums


def _line(sha256: str, name: str) -> str:
    escaped = re.sub(r"[\\\n\r]", lambda found: _ESCAPES[found[0]], name)
    mark = "\\" if escaped != name else ""
    return f"{mark}{sha256}  {escaped}\n"


def _parse(line: str, where: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ReportFolderError(f"{where}: not a SHA-256, two spaces and a file name")
    escaped, sha256, name = match.groups()
    if escaped:
        name = re.sub(r"\\[\\nr]", lambda pair: _UNESCAPES[pair[0]], name)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ReportFolderError(f"{where}: names a file outside the report")
    return name, sha256
