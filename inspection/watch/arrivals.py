"""Which files of a folder are complete: still for a while, and whole.

The folder is listed again and again, as network shares tell of nothing. Nothing in it is changed.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from severstal_prep.errors import UnreadableImageError
from severstal_prep.images import decode_image, looks_like_image

UNFINISHED = (".tmp", ".part")
"""Suffixes of files that are still being written."""
LOOK_AGAIN = 30.0
"""Seconds between looks at files that were taken already: whether they are others now."""


@dataclass(frozen=True)
class Stamp:
    """What tells, without reading it, whether a file changed. `size` in bytes."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Arrival:
    """A complete file. `path` is POSIX inside the folder.

    `content` is None, and `sha256` "", if it cannot be opened; `reason` tells why it is no whole
    image, "" if it is one.
    """

    path: str
    stamp: Stamp
    content: bytes | None
    sha256: str
    reason: str


@dataclass
class _Pending:
    stamp: Stamp
    since: float
    again: float = 0.0


@dataclass
class Arrivals:
    """The files of a folder and all folders in it.

    A file is complete when size and time have been still for `settle` seconds and it decodes as a
    whole. What does not is tried again until it has been still for `patience` seconds. `now` is a
    clock that never goes back, in s. `waiting` counts files that are not yet complete; `known` is
    what was taken or is no image. Links are followed to files alone, and not out of the folder.
    """

    root: Path
    settle: float
    patience: float
    now: Callable[[], float] = time.monotonic
    known: dict[str, Stamp] = field(default_factory=dict)
    error: OSError | None = None
    took: float = 0.0
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _look_again: float = 0.0

    @property
    def waiting(self) -> int:
        """Files that are not yet complete."""
        return len(self._pending)

    def complete(self) -> Iterator[Arrival]:
        """List the folder and yield what is complete and not known, oldest first.

        It is yielded again until it is made `known`. What could not be listed is passed over and
        kept as `error`; `took` is how long it took, in s.
        """
        now = self.now()
        files = self._changed(now)
        self._pending = {path: self._seen(path, stamp, now) for path, stamp in files.items()}
        settled = [
            (one.stamp.mtime_ns, path)
            for path, one in self._pending.items()
            if now - one.since >= self.settle and now >= one.again
        ]
        for _, path in sorted(settled):
            arrival = self._read(path, self._pending[path])
            if arrival is not None:
                yield arrival

    def _changed(self, now: float) -> dict[str, Stamp]:
        """Files that are not known as they are."""
        self.error = None
        look_again = now >= self._look_again
        if look_again:
            self._look_again = now + LOOK_AGAIN
        files: dict[str, Stamp] = {}
        folders = [""]
        while folders:
            inside = folders.pop()
            try:
                with os.scandir(self.root / inside) as entries:
                    for entry in entries:
                        path = inside + entry.name
                        if entry.name.startswith("."):
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(path + "/")
                            continue
                        known = self.known.get(path)
                        if known and not (look_again or path in self._pending):
                            continue
                        stamp = self._stamp(entry)
                        if stamp is not None and stamp != known:
                            files[path] = stamp
            except OSError as error:
                if not inside or not isinstance(error, FileNotFoundError):
                    self.error = error
        self.took = self.now() - now
        return files

    def _stamp(self, entry: os.DirEntry[str]) -> Stamp | None:
        """None for what is no file, unfinished, or gone."""
        if entry.name.endswith(UNFINISHED):
            return None
        try:
            if not entry.is_file():
                return None
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(self.root):
                return None
            return _stamp_of(entry.stat())
        except FileNotFoundError:
            return None

    def _seen(self, path: str, stamp: Stamp, now: float) -> _Pending:
        before = self._pending.get(path)
        return before if before is not None and before.stamp == stamp else _Pending(stamp, now)

    def _read(self, path: str, pending: _Pending) -> Arrival | None:
        """The file, if it is complete or given up; None if it is to be tried again, or no image."""
        place, stamp = self.root / path, pending.stamp
        given_up = self.now() - pending.since >= self.patience
        try:
            if not looks_like_image(place):
                self.known[path] = stamp
                return None
            with place.open("rb") as stream:
                content = stream.read()
            if _stamp_of(place.stat()) != stamp or len(content) != stamp.size:
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = f"cannot be opened ({error.strerror})"
            return self._doubtful(Arrival(path, stamp, None, "", reason), pending, given_up)
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            decode_image(content, place)
        except UnreadableImageError as error:
            arrival = Arrival(path, stamp, content, sha256, error.reason)
            return self._doubtful(arrival, pending, given_up)
        return Arrival(path, stamp, content, sha256, "")

    def _doubtful(self, arrival: Arrival, pending: _Pending, given_up: bool) -> Arrival | None:
        if given_up:
            return arrival
        still = self.now() - pending.since
        pending.again = self.now() + min(max(still, 0.5), max(self.patience - still, 0.0))
        return None


def _stamp_of(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns)
