"""Progress of long work, on stderr: a bar with the time left on a terminal, else plain lines."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 30.0


def note(message: str) -> None:
    """Print a line on stderr, beside any bar."""
    print(message, file=sys.stderr, flush=True)


def track(work: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield what `work` yields, `total` times, while showing how far it is."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(work, label, total, console=Console(stderr=True))
        return
    started = last = time.monotonic()
    for done, piece in enumerate(work, start=1):
        yield piece
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or done == total:
            last = now
            left = (now - started) / done * (total - done)
            note(f"{label}: {done} of {total}, {now - started:.0f} s, about {left:.0f} s left")
