"""Who has a database file open, where the system tells (Linux, processes one may look at)."""

import os
from contextlib import suppress
from pathlib import Path


def holders(file: Path) -> list[str]:
    """The other processes that have a file open, as "process 4711 (python)"."""
    processes = []
    place = os.fspath(file.resolve())
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        if int(process.name) == os.getpid():
            continue
        with suppress(OSError):
            if any(_target(entry) == place for entry in (process / "fd").iterdir()):
                name = (process / "comm").read_text("utf-8", "replace").strip()
                processes.append(f"process {process.name} ({name})")
    return processes


def _target(entry: Path) -> str:
    try:
        return os.readlink(entry)  # noqa: PTH115 (a name in text, which need not exist)
    except OSError:
        return ""
