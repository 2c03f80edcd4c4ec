"""How the command lines talk: results on stdout, progress and notes on stderr."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from severstal_prep.failures import MEMORY, in_one_line, in_words
from severstal_prep.remote import named

T = TypeVar("T")

CURABLE = 2
INTERRUPTED = 130
SECONDS_BETWEEN_LINES = 10.0


def note(message: str) -> None:
    """Print a line on stderr, beside any progress bar."""
    print(named(message), file=sys.stderr, flush=True)


def notes(file: Path, messages: Iterable[str]) -> None:
    """Print what a file's reader understood, a line each, on stderr."""
    for message in messages:
        note(f"{file}: {message}")


def track(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield `items` while showing progress: a bar on a terminal, plain lines elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(items, label, total, console=Console(stderr=True))
        return
    start = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            note(f"{label}: {done}/{total}, {last - start:.0f} s")
    note(f"{label}: {done}/{total}, {time.monotonic() - start:.1f} s")


def run(
    program: str,
    command: Callable[[], int | None],
    expected: tuple[type[Exception], ...],
    memory: str = MEMORY,
) -> int:
    """Run a command and return its exit code; an expected error becomes one line on stderr.

    Errors of the types in `expected` carry their `exit_code`. What the machine refuses gives 2;
    `memory` is the cure for too little of it. Ctrl-C gives 130. A closed pipe, and errors of ours,
    are raised on.
    """
    try:
        return command() or 0
    except expected as error:
        note(f"{program}: {in_one_line(error)}")
        return int(getattr(error, "exit_code", 2))
    except KeyboardInterrupt:
        note(f"{program}: interrupted; run the same command again to continue")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        words = in_words(error, memory)
        if words is None:
            raise
        note(f"{program}: {words}")
        return CURABLE
