"""What is printed: progress of long work and notes on stderr, tables on stdout."""

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from sise.remote import named

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 30.0
_silent = ContextVar("silent", default=False)


@contextmanager
def silent() -> Iterator[None]:
    """Show no progress of the work in this block."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def note(message: str) -> None:
    """Print a line on stderr, beside any bar."""
    print(named(message), file=sys.stderr, flush=True)


def table_console() -> "Console":
    """A console for tables on stdout: as wide as the terminal, or 160 columns of a file."""
    from rich.console import Console

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 160
    return Console(width=width, highlight=False, markup=False)


def track(work: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield what `work` yields, `total` times, while showing how far it is."""
    if _silent.get():
        yield from work
        return
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
