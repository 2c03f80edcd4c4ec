"""The process of a command: how it ends by Ctrl-C, SIGTERM or a closed pipe, from its start on.

Nothing heavy is imported here, so that the signals are heeded before anything else is loaded.
`severstal_prep` and `sise` import nothing of each other: each has this module, word for word.
"""

import contextlib
import os
import select
import signal
import sys
import time
from types import FrameType
from typing import TextIO

ENDED = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}
PIPE_CLOSED = 141
PROJECT = "steel-sise"
_TOGETHER = 1.0
"""Seconds within which a second signal is the same one, sent to the group and handed on."""
_IMPORT = "<frozen importlib._bootstrap>"


def guarded(program: str, home: str, extra: str = "") -> int:
    """Run `main()` of the module `home`; the exit code of the process.

    Ctrl-C gives 130, SIGTERM 143, each with a line that `main` prints as it catches a
    KeyboardInterrupt, or that is printed here; a reader that has gone (`| head`) gives 141 and
    no word. Where an import fails and packages of `extra` are not installed, a line names them.
    Errors that `main` lets through are ours, and keep their traceback.
    """
    guard = _Guard(program)
    guard.install()
    try:
        code = _run(home)
    except KeyboardInterrupt:
        guard.say()
        code = 1
    except BrokenPipeError:
        if not _silence_closed():
            raise
        code = PIPE_CLOSED
    except OSError as error:
        if not _silence_closed() and error.filename is not None:
            raise
        _write(f"{program}: standard output: {error.strerror}; nothing more was printed\n")
        code = 2
    except Exception as error:
        missing = _missing(extra) if isinstance(error, ImportError) else set()
        if guard.received:  # a library's answer to the interruption
            guard.say()
            code = 1
        elif missing:
            _write(
                f'{program} needs {", ".join(sorted(missing))}: pip install "{PROJECT}[{extra}]"\n'
            )
            code = 2
        else:
            raise
    guard.ending = True
    return 128 + guard.received if guard.received else code


def _run(home: str) -> int:
    from importlib import import_module

    try:
        code = import_module(home).main()
    except SystemExit as stop:
        if isinstance(stop.code, str):
            raise
        code = stop.code
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return int(code or 0)


def _missing(*extras: str) -> set[str]:
    """The packages that `extras` of this project add, as far as they are not installed."""
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    missing: set[str] = set()
    for line in requires(PROJECT) or []:
        asked = re.match(r"([\w.-]+)(?:\[(.*?)\])?.*extra == .(.*).$", line)
        if asked is None or asked[3] not in extras:
            continue
        if asked[1] == PROJECT:
            missing |= _missing(*asked[2].split(","))
            continue
        try:
            version(asked[1])
        except PackageNotFoundError:
            missing.add(asked[1])
    return missing


class _Guard:
    """What the signals do. `received` is the number of the first that came, or 0."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.received = 0
        self.since = 0.0
        self.ending = False

    def install(self) -> None:
        """Heed the signals, unless the parent wants them ignored (nohup)."""
        for number, usual in (
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGTERM, signal.SIG_DFL),
        ):
            if signal.getsignal(number) is usual:
                signal.signal(number, self.heed)
        sys.unraisablehook = self.unraisable
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_in_child)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # names of files may hold what no encoding has
                stream.reconfigure(errors="backslashreplace")

    def heed(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt in the work; where that may be lost, end the process."""
        now = time.monotonic()
        if self.received and now - self.since < _TOGETHER:
            return
        first, self.received, self.since = not self.received, number, now
        # Raised in the middle of an import it becomes whatever the library makes of it.
        if first and not self.ending and not _importing(frame):
            raise KeyboardInterrupt
        if first:
            self.say()
        os._exit(128 + number)

    def say(self) -> None:
        """Print the line."""
        _write(f"{self.program}: {ENDED[signal.Signals(self.received or signal.SIGINT)]}\n")

    def unraisable(self, lost: "sys.UnraisableHookArgs") -> None:
        """Keep `Exception ignored in …` from the user, and a KeyboardInterrupt from being lost."""
        if not issubclass(lost.exc_type, KeyboardInterrupt) or self.ending:
            return
        from threading import Timer, main_thread

        number, self.received = self.received or signal.SIGINT, 0
        again = Timer(0.05, signal.pthread_kill, [main_thread().ident, number])
        again.daemon = True
        again.start()


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT:
            return True
        frame = frame.f_back
    return False


def _in_child() -> None:
    """In a forked worker: Ctrl-C reaches the whole group, but is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _silence_closed() -> bool:
    """Point what cannot be written to any more at nothing; whether there was any."""
    closed = [s for s in (sys.stdout, sys.stderr) if s is not None and not _takes_more(s)]
    for stream in closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(closed)


def _takes_more(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        return False
    # Where nothing is buffered (PYTHONUNBUFFERED), a flush writes nothing and cannot fail.
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return not any(event & select.POLLERR for _, event in poll.poll(0))


def _write(text: str) -> None:
    """Past Python's buffers, which a signal may find locked."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode(errors="backslashreplace"))
