"""Options that name a place, such as s3://bucket/folder, for commands that work on local files.

What a command reads is brought into a folder of the cache, where only what changed there is
fetched again. What it writes is written into such a folder, on top of what the place holds, and is
carried back when the command ends, however it ends. `severstal_prep` and `sise` import nothing of
each other: each has this module, word for word.
"""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeVar, cast

if TYPE_CHECKING:
    from jsonargparse import Namespace

T = TypeVar("T")
Track = Callable[[Iterable[str], int, str], Iterator[str]]
"""Yields names while it shows progress: how many there are, and what is done with them."""

WRITTEN = frozenset({"out", "run", "single_file", "pdf"})
"""Options that name what a command writes; it reads all others."""
SAY_WHOLE = (
    "test.json", "model.json", "export.json", "card.json", "dataset.json", "batch.json",
    "SHA256SUMS",
)  # fmt: skip
"""Files that say that a result is whole: carried back last, and removed first."""
TEXTS = frozenset({"reference", "weights"})
"""Options that are text, but may name a file or folder, with a part of it after #."""
AGAIN = "what was made is kept here; the same command again carries it there"
SECONDS_BETWEEN_NOTES = 30.0
"""Of what was fetched, so that a command that is killed has not fetched for nothing."""
TOGETHER = 64
"""Files that are fetched, or carried back, at the same time."""
_ADDRESS = re.compile(r"([a-z][a-z0-9+.:-]+):/+([^/].*)", re.DOTALL | re.IGNORECASE)
_HERE = ("file", "local")
_PARTIAL = re.compile(r"\..+\.partial")
_OF_THIS_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_TALKATIVE = ("aiobotocore", "botocore", "fsspec", "gcsfs", "s3fs")
_LOCKS = set[int]()
_NAMES: dict[str, str] = {}
"""Folders and files of the cache that this process uses, and the places that they stand for."""


def named(text: str) -> str:
    """The text, where a path in the cache is the place that it stands for."""
    for local, address in _NAMES.items():
        text = text.replace(local, address)
    return text


def is_place(path: Path) -> bool:
    """Whether a path stands for a place, and is a copy in the cache."""
    return named(str(path)) != str(path)


def check_here(*paths: Path | None) -> None:
    """Raise OSError for a path that stands for a place, where a command cannot work on copies."""
    for path in paths:
        if path is not None and is_place(path):
            raise _refusal(named(str(path)), "an address, where a folder of this machine belongs")


def carried(command: Callable[["Namespace"], T], options: "Namespace", track: Track) -> T:
    """Run a command where the places among its options are local; what it returns.

    Raises OSError, with the place and the cure, for one that cannot be read or written.
    """
    if not any(_addresses(key, value) for key, value in options.items()):
        return command(options)
    with carrying(track) as bring:
        bring(options)
        return command(options)


@contextmanager
def carrying(track: Track) -> Iterator["Carrier"]:
    """Yield what makes places among options local; results are carried back as the block ends."""
    with (
        redirect_stdout(cast(TextIO, _Renaming(sys.stdout))),
        redirect_stderr(cast(TextIO, _Renaming(sys.stderr))),
        ExitStack() as stack,
    ):
        yield Carrier(stack, track, {})


@dataclass(frozen=True)
class Carrier:
    """Makes places among options local. `local` has those that are already, by address."""

    stack: ExitStack
    track: Track
    local: dict[str, Path]

    def __call__(self, options: "Namespace", follows: bool = False) -> None:
        """Replace the addresses among the options. A process that `follows` another, which
        carries for both, only learns where the copy of a result is."""
        found = {key: _addresses(key, value) for key, value in options.items()}
        addresses = {one for those in found.values() for one in those.values()}
        written = {
            address
            for key, those in found.items()
            if key.rpartition(".")[2] in WRITTEN
            for address in those.values()
        }
        _check_apart(written, addresses - written)
        for address in sorted(addresses - self.local.keys()):
            self.local[address] = self._brought(address, address in written, follows)
        for key, those in found.items():
            if those:
                by = {given: self.local[address] for given, address in those.items()}
                options[key] = _replaced(options[key], by)

    def _brought(self, address: str, written: bool, follows: bool) -> Path:
        scheme, _, path = address.partition("://")
        if scheme in _HERE:
            return Path("/" + path)
        copy = _Copy.of(address, written)
        _NAMES[str(copy.local)] = address
        if not written:
            self.stack.enter_context(copy.input(self.track))
        elif not follows:
            self.stack.enter_context(copy.output(self.track))
        return copy.local


def cache_folder() -> Path:
    """Where copies of places are: STEEL_CACHE, or steel-sise in the user's folder for caches."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "steel-sise"
    return Path(os.environ.get("STEEL_CACHE") or usual).resolve()


def _addresses(key: str, value: Any) -> dict[Any, str]:
    """What is an address in the value of an option, with it; paths have lost a slash of theirs."""
    values = value if isinstance(value, list | tuple) else [value]
    found = dict[Any, str]()
    for one in values:
        text = one.partition("#")[0] if isinstance(one, str) else str(one)
        match = _ADDRESS.fullmatch(text)
        if match and isinstance(one, Path if key.rpartition(".")[2] not in TEXTS else str | Path):
            found[one] = f"{match[1].lower()}://{match[2]}"
    return found


def _replaced(value: Any, by: Mapping[Any, Path]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(by.get(one, one) for one in value)
    return (
        f"{by[value]}{''.join(value.partition('#')[1:])}" if isinstance(value, str) else by[value]
    )


def _check_apart(written: Iterable[str], read: Iterable[str]) -> None:
    for out in written:
        for one in read:
            if out.startswith(f"{one}/"):
                raise _refusal(out, f"lies in {one}, which is read; name a place elsewhere")


def _refusal(address: str, words: str) -> OSError:
    return OSError(0, words, address)


def _forget() -> None:
    """A forked process must not hold what the one that began holds, beyond its end."""
    for lock in _LOCKS:
        os.close(lock)
    _LOCKS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class _Renaming:
    """A stream in whose text paths in the cache are the places that they stand for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(named(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@dataclass(frozen=True)
class _File:
    """A file at a place: its path for fsspec, its bytes (None: not told), and what changes with
    its content."""

    path: str
    size: int | None
    mark: str


@dataclass(frozen=True)
class _Known:
    """A file as it was last fetched or carried back: its mark there, bytes and time here."""

    mark: str
    size: int
    time: int


@dataclass(frozen=True)
class _State:
    """What a copy holds of its place. `open`: a command wrote there, and has not carried all back;
    `pending`: what it was carrying when this was noted."""

    files: Mapping[str, _Known]
    open: bool = False
    pending: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Copy:
    """The copy of a place in the cache: `home` holds what is known of it and, in a folder of its
    own, the folder or file itself, `local`. Names of files are relative to the place, and "" is the
    place, if it is one."""

    address: str
    home: Path
    local: Path
    system: Any
    root: str

    @classmethod
    def of(cls, address: str, written: bool) -> "_Copy":
        """Raises OSError for an address that leads nowhere."""
        scheme, _, path = address.partition("://")
        parts = path.split("/")
        secret = ":" in parts[0].rpartition("@")[0] or (scheme.startswith("http") and "?" in path)
        if secret:  # which records and reports would tell
            words = "holds a password or key; give those in fsspec's configuration (docs/remote.md)"
            raise _refusal(f"{scheme}://{parts[0].rpartition('@')[2]}/…", words)
        if "::" in address or not all(map(_is_plain, parts)):
            raise _refusal(address, "no address of a folder or file; check it")
        with _told(address):
            import fsspec

            system, root = fsspec.core.url_to_fs(address)
        digest = hashlib.sha256(address.encode()).hexdigest()[:24]
        home = cache_folder() / ("written" if written else "read") / digest
        return cls(address, home, home / "copy" / parts[-1], system, str(root).rstrip("/"))

    @contextmanager
    def input(self, track: Track) -> Iterator[None]:
        """Bring what is there, and let nobody change the copy while the block runs."""
        with self._lock() as lock:
            _hold(lock, "shared")
            there = self._there()
            if not there:
                raise _refusal(self.address, "nothing is there; check the address")
            if self._differing(there, self._state().files):
                try:
                    _hold(lock, "alone, now")
                except BlockingIOError:
                    words = "changed there, and another command reads the copy; waiting for its end"
                    print(f"{self.address}: {words}", file=sys.stderr, flush=True)
                    _hold(lock, "alone")
                self._fetch(there, self._state(), track)
                _hold(lock, "shared")
            yield

    @contextmanager
    def output(self, track: Track) -> Iterator[None]:
        """Bring what is there, and carry back what the block made of it, if it fails, too."""
        with self._lock() as lock:
            try:
                _hold(lock, "alone, now")
            except BlockingIOError:
                words = "another command on this machine writes there; wait, or name another place"
                raise _refusal(self.address, words) from None
            there, state = self._there(), self._state()
            if not self._goes_on(there, state):
                for name in self._here().keys() - state.files.keys():
                    self._remove(name)
                state = _State(self._fetch(there, state, track))
            else:  # what was on its way when that ended is carried again
                again = {name: _Known(there[name].mark, -1, 0) for name in there}
                kept = {n: known for n, known in state.files.items() if n not in state.pending}
                state = _State({**again, **kept})
            self._note(_State(state.files, open=True))
            try:
                yield
            finally:
                self._carry_back(state.files, track)

    def _goes_on(self, there: Mapping[str, _File], state: _State) -> bool:
        """Whether the copy is ahead of the place: of a command that was killed, or whose results
        could not be carried back, where nobody else has changed anything since."""
        names = (there.keys() | state.files.keys()) - set(state.pending)
        return (
            state.open
            and self.local.exists()
            and all(
                name in there and name in state.files and there[name].mark == state.files[name].mark
                for name in names
            )
        )

    @contextmanager
    def _lock(self) -> Iterator[int]:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.local.parent.mkdir(exist_ok=True)
        lock = os.open(self.home / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        _LOCKS.add(lock)
        try:
            yield lock
        finally:
            if lock in _LOCKS:  # not so in a process forked meanwhile
                _LOCKS.remove(lock)
                os.close(lock)

    def _there(self, after: str = "") -> dict[str, _File]:
        """The files of the place. Raises OSError for a name that no file here may have."""
        with _told(self.address, after):
            self.system.invalidate_cache()
            found = self.system.find(self.root, detail=True)
        files = dict[str, _File]()
        for path, about in found.items():
            if about["type"] != "file" or (path.endswith("/") and not about["size"]):
                continue  # consoles make such a file for a folder
            inside = path.removeprefix(f"{self.root}/")
            name = "" if path == self.root else inside
            if name and (inside == path or not all(map(_is_plain, name.split("/")))):
                words = f"holds {name!a}, which no file of a folder can be called; remove it there"
                raise _refusal(self.address, words)
            files[name] = _File(path, about["size"], _mark(about))
        return files

    def _path(self, name: str) -> Path:
        return self.local / name if name else self.local

    def _here(self) -> dict[str, tuple[int, int]]:
        """Bytes and time of the files of the copy, by name."""
        if self.local.is_file():
            return {"": _stat(self.local)}
        return {
            (Path(folder) / name).relative_to(self.local).as_posix(): _stat(Path(folder) / name)
            for folder, _, names in os.walk(self.local)
            for name in names
            if not _PARTIAL.fullmatch(name) and not (Path(folder) / name).is_symlink()
        }

    def _differing(self, there: Mapping[str, _File], known: Mapping[str, _Known]) -> list[str]:
        """Names that must be fetched, or removed here."""
        return [
            *(name for name, file in there.items() if not self._has(name, file, known.get(name))),
            *(name for name in known if name not in there),
        ]

    def _has(self, name: str, file: _File, known: _Known | None) -> bool:
        if known is None or known.mark != file.mark:
            return False
        with suppress(OSError):
            return _stat(self._path(name)) == (known.size, known.time)
        return False

    def _fetch(self, there: Mapping[str, _File], state: _State, track: Track) -> dict[str, _Known]:
        """Make the copy what is there; each file whole or not at all."""
        differing = self._differing(there, state.files)
        files = {name: known for name, known in state.files.items() if name not in differing}
        self._note(_State(files))
        for name in differing:
            if name not in there:
                self._remove(name)
        wanted = [name for name in differing if name in there]
        self._check_space(sum(there[name].size or 0 for name in wanted))
        temporary = self.home / "fetched"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()

        def fetched() -> Iterator[str]:
            noted = time.monotonic()
            for names in _parted(wanted):
                if time.monotonic() - noted > SECONDS_BETWEEN_NOTES:
                    self._note(_State(files))
                    noted = time.monotonic()
                paths = [temporary / str(number) for number in range(len(names))]
                with _told(self.address):
                    self.system.get([there[name].path for name in names], list(map(str, paths)))
                for name, path in zip(names, paths, strict=True):
                    if there[name].size not in (None, path.stat().st_size):
                        words = f"{name or 'it'} changed while it was fetched; run again later"
                        raise _refusal(self.address, words)
                    target = self._path(name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
                    files[name] = _Known(there[name].mark, *_stat(target))
                yield from names

        try:
            if wanted:
                for _ in track(fetched(), len(wanted), f"fetching {self.address}"):
                    pass
        finally:
            self._note(_State(files))
            shutil.rmtree(temporary, ignore_errors=True)
        return files

    def _remove(self, name: str) -> None:
        """Remove a file of the copy, and the folders that are empty without it."""
        path = self._path(name)
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        for folder in path.parents:
            if not folder.is_relative_to(self.local):
                break
            with suppress(OSError):
                folder.rmdir()

    def _check_space(self, size: int) -> None:
        free = shutil.disk_usage(self.home).free
        if size > free:
            words = (
                f"{size / 1e9:.1f} GB, more than the {free / 1e9:.1f} GB that are free in "
                f"{cache_folder()}; name a folder on a larger disk by STEEL_CACHE"
            )
            raise _refusal(self.address, words)

    def _carry_back(self, files: Mapping[str, _Known], track: Track) -> None:
        """Make the place what the copy is; the files that say that it is whole come last."""
        here = self._here()
        gone = [name for name in files if self.local.exists() and not self._path(name).is_file()]
        changed = [
            name
            for name in sorted(here, key=lambda one: (_rank(one), here[one][1], one))
            if name not in files or here[name] != (files[name].size, files[name].time)
        ]
        if gone or changed:
            there = self._there(AGAIN)
            self._check_unchanged([*gone, *changed], there, files)
            self._note(_State(files, open=True, pending=(*gone, *changed)))
            with _told(self.address, AGAIN):
                for name in [*gone, *filter(_rank, changed)]:
                    if name in there:
                        self.system.rm_file(there[name].path)
            for _ in track(self._put(changed), len(changed), f"writing {self.address}"):
                pass
            there = self._there(AGAIN)
            lost = [n for n in changed if n not in there or there[n].size != here[n][0]]
            if lost:
                raise _refusal(self.address, f"{lost[0]} did not arrive whole; {AGAIN}")
            files = {n: _Known(there[n].mark, *here[n]) for n in here if n in there}
        self._note(_State(files))

    def _put(self, names: list[str]) -> Iterator[str]:
        for rank in sorted(set(map(_rank, names))):
            for part in _parted([name for name in names if _rank(name) == rank]):
                there = [f"{self.root}/{name}" if name else self.root for name in part]
                with _told(self.address, AGAIN):
                    self.system.put([str(self._path(name)) for name in part], there)
                yield from part

    def _check_unchanged(
        self, names: Iterable[str], there: Mapping[str, _File], files: Mapping[str, _Known]
    ) -> None:
        for name in names:
            now, before = there.get(name), files.get(name)
            if (now and now.mark) != (before and before.mark):
                words = (
                    f"{name or 'it'} was changed there while this command ran, and is left as it "
                    f"is; what was made is in {self.home}"
                )
                raise _refusal(self.address, words)

    def _state(self) -> _State:
        try:
            content = json.loads((self.home / "state.json").read_text("utf-8"))
            files = {name: _Known(*known) for name, known in content["files"].items()}
            return _State(files, content["open"], tuple(content["pending"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return _State({})

    def _note(self, state: _State) -> None:
        content = {
            "address": self.address,
            "open": state.open,
            "pending": state.pending,
            "files": {name: [one.mark, one.size, one.time] for name, one in state.files.items()},
        }
        temporary = self.home / "state.json.partial"
        temporary.write_text(json.dumps(content), "utf-8")
        temporary.replace(self.home / "state.json")


def _hold(lock: int, how: Literal["shared", "alone", "alone, now"]) -> None:
    """Raises BlockingIOError where another process holds what is wanted now."""
    import fcntl  # not on Windows, where the library explains, too

    alone = fcntl.LOCK_EX | (fcntl.LOCK_NB if how == "alone, now" else 0)
    fcntl.flock(lock, fcntl.LOCK_SH if how == "shared" else alone)


def _is_plain(part: str) -> bool:
    """Whether it can be the name of a file or folder, and leads nowhere else."""
    try:
        return part not in ("", ".", "..") and "\0" not in part and len(part.encode()) < 256
    except UnicodeEncodeError:
        return False


def _rank(name: str) -> int:
    """0, or more for a file that says that a result is whole."""
    last = PurePosixPath(name).name
    return SAY_WHOLE.index(last) + 1 if last in SAY_WHOLE else 0


def _stat(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns


def _mark(about: Mapping[str, Any]) -> str:
    names = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated",
             "created")  # fmt: skip
    return f"{about['size']} {next((about[name] for name in names if about.get(name)), '')}"


def _parted(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), TOGETHER):
        yield names[start : start + TOGETHER]


@contextmanager
def _told(address: str, after: str = "") -> Iterator[None]:
    """Turn what fsspec raises into an OSError with the place and a cure."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THIS_DISK:
            raise OSError(error.errno, error.strerror, str(cache_folder())) from error
        words = _cure(address, error)
        raise _refusal(address, f"{words}; {after}" if after else words) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _cure(address: str, error: Exception) -> str:
    kind, text = type(error).__name__, " ".join(str(error).split())
    scheme = address.partition("://")[0]
    if isinstance(error, ImportError):
        ours = scheme in ("s3", "s3a", "gs", "gcs") or error.name == "fsspec"
        return 'needs pip install "steel-sise[remote]"' if ours else text
    if "Protocol not known" in text:
        return f"{scheme}:// is unknown; s3:// and gs:// are known, and what fsspec knows"
    if "redentials" in kind + text or "Token" in kind:
        return f"no valid credentials ({text}); see docs/remote.md"
    if isinstance(error, PermissionError) or "Forbidden" in text:
        return "access denied; give credentials that may, see docs/remote.md"
    if isinstance(error, FileNotFoundError):
        return "no such bucket or folder; check the address"
    if "onnect" in kind + text or "imeout" in kind + text:
        return f"cannot be reached ({text}); check the network and the endpoint"
    return f"{kind}: {text}"
