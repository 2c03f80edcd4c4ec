"""One process at a time writes into an output folder.

The lock is the system's (flock): it ends with the process, however that ends. The file tells whose
it is; what a killed process leaves of it keeps nobody out.
"""

import errno
import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from severstal_prep.checked import checked, read_json
from severstal_prep.console import note
from severstal_prep.errors import InUseError

LOCK = "lock"

_LEFT = re.compile(rf"{LOCK}|\..+\.partial")
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_held = set[int]()


@dataclass(frozen=True)
class Holder:
    """A process that writes; `since` is UTC, ISO 8601 to the second."""

    pid: int
    host: str
    since: str


@contextmanager
def alone(output: Path, work: Path | None = None) -> Iterator[None]:
    """Keep other processes from writing into `output`; the lock lies in `work`, a folder in it.

    Folders are made where they are missing. Raises InUseError, naming the process, where another
    one writes already, and OSError where the lock cannot be written. On a file system without
    locks a note says so, and nobody is kept out.
    """
    file = (work or output) / LOCK
    made = not file.parent.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _take(file, output)
    _held.add(descriptor)
    try:
        ours = Holder(os.getpid(), socket.gethostname(), _now())
        os.truncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(ours)).encode())
        yield
    finally:
        if descriptor in _held:  # not so in a process forked meanwhile
            _held.remove(descriptor)
            file.unlink(missing_ok=True)
            os.close(descriptor)
            if made:
                with suppress(OSError):  # not empty, or gone
                    file.parent.rmdir()


def unused(folder: Path) -> bool:
    """Whether a folder is not there, or holds at most what a process leaves that was killed before
    its first file was whole."""
    return not folder.exists() or all(_LEFT.fullmatch(one.name) for one in folder.iterdir())


def _take(file: Path, output: Path) -> int:
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise InUseError(
                f"{output}: {_holder(file)} writes here; wait for its end, or name another --out"
            ) from error
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                os.close(descriptor)
                raise
            note(f"{output}: no locks on this file system; see that no other run writes here")
            return descriptor
        if _is_there(descriptor, file):
            return descriptor
        os.close(descriptor)  # its holder ended, and removed it, between the two calls


def _is_there(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _holder(file: Path) -> str:
    try:
        holder = checked(Holder, read_json(file))
    except (OSError, ValueError):  # it has only just begun
        return "another process"
    return f"process {holder.pid} on {holder.host}, since {holder.since},"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _forget() -> None:
    """A forked process must not keep the lock beyond the end of the one that took it."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget)
