"""A small batch, and what must be the same of its report whatever happened while it was made."""

import hashlib
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from toys import strip, write_strip

from inspection.store.checksums import CHECKSUMS
from inspection.store.reading import open_report
from inspection.store.verify import Request, verify

Work = Callable[[], object]
UNREADABLE = "void.jpg"
STRIPS = ["a.png", "b.png", "coil/a.png", "plain.png", UNREADABLE]


def write_batch(folder: Path) -> Path:
    """Strips with indications, one twice, one without, and one that cannot be read."""
    write_strip(folder / "a.png", strip(512, bright=[40]))
    write_strip(folder / "b.png", strip(512, bright=[40], black=[420]))
    write_strip(folder / "coil" / "a.png", strip(512, bright=[40]))
    write_strip(folder / "plain.png", strip(512))
    (folder / UNREADABLE).write_bytes(b"")
    return folder


def contents(out: Path) -> dict[str, str]:
    """The hash of each file of a report, its times and its folder's name left out; not of its log,
    of work in progress, and of the list that covers times."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_file() and not name.startswith("work/") and name not in ("log.jsonl", CHECKSUMS):
            plain = re.sub(rb"\d{4}-\d\d-\d\dT[\d:+]+", b"TIME", path.read_bytes())
            found[name] = hashlib.sha256(plain).hexdigest()
    return found


def assert_whole(out: Path, unbroken: dict[str, str], batch: Path) -> None:
    """The report equals the unbroken one, file by file; every strip is in it; its seal holds."""
    found = contents(out)
    assert found.keys() == unbroken.keys()
    assert [name for name in found if found[name] != unbroken[name]] == []
    strips = open_report(out).strips
    there = {path.relative_to(batch).as_posix() for path in batch.rglob("*") if path.is_file()}
    assert set(strips["strip_id"]) == there
    assert set(strips["status"]) <= {"inspected", "unreadable", "not judged"}
    verification = verify(Request(out, batch=batch))
    assert not verification.having("changed", "missing", "new", "unreadable"), verification
    assert not list(out.rglob(".*.partial"))


def stop_clock(monkeypatch: Any, now: str = "2026-11-27T10:00:00+00:00") -> None:
    """The page tells how long an inspection took."""
    for name, module in list(sys.modules.items()):
        if name.startswith("inspection.") and hasattr(module, "utc_now"):
            monkeypatch.setattr(module, "utc_now", lambda: now)


def rows(out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    report = open_report(out)
    return report.patches, report.strips


@contextmanager
def at_write(number: int, act: Callable[[Path, Path], None], after: bool = False) -> Iterator[list]:
    """Let `act(temporary, final)` happen at the file that is the `number`-th to get its name.

    The list holds the names of all files that got theirs.
    """
    given: list[str] = []
    replace = Path.replace

    def counted(self: Path, target: Any) -> Path:
        given.append(Path(target).name)
        now = len(given) == number
        if now and not after:
            act(self, Path(target))
        done = replace(self, target)
        if now and after:
            act(self, Path(target))
        return done

    Path.replace = counted  # type: ignore[method-assign]
    try:
        yield given
    finally:
        Path.replace = replace  # type: ignore[method-assign]


def in_process(work: Work) -> int:
    """Do work in a process of its own; its exit code, negative for the signal that ended it."""

    def begin() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        torch.set_num_threads(1)
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        try:
            work()
        except KeyboardInterrupt:
            os._exit(130)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=begin)
    process.start()
    process.join(120)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def kill(_temporary: Path, _final: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_half_written(temporary: Path, _final: Path) -> None:
    content = temporary.read_bytes()
    temporary.write_bytes(content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt(_temporary: Path, _final: Path) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def damaged(content: bytes, how: str) -> bytes:
    """A file's content after a disk has failed."""
    noise = np.random.default_rng(0).integers(0, 255, len(content), np.uint8).tobytes()
    return {"half": content[: len(content) // 2], "empty": b"", "noise": noise}[how]
