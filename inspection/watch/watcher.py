"""The watcher: what is complete is taken into the day's batch, inspected, and reported."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import chain, count, islice
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from inspection.errors import InspectionError, WatchError
from inspection.pipeline.strips import StripFile
from inspection.store.tables import write_json
from inspection.watch.arrivals import Arrival, Arrivals, Stamp
from inspection.watch.inspector import Inspector, Judged
from inspection.watch.journal import BatchName, Journal, Taken, next_name, read_journals
from severstal_prep.alone import alone, unused
from severstal_prep.checked import checked, read_json
from severstal_prep.errors import PrepError
from severstal_prep.failures import in_words
from severstal_prep.files import replacing
from sise.errors import SiseError
from sise.progress import note

FORMAT = "steel-sise watch 1"
MARK = "watch.json"
AT_ONCE = 4
"""Strips that are inspected before what came of them is written down."""
TAKEN_AT_ONCE = 64
"""Strips that are taken before the next are inspected."""
LOOKING = 5
"""Times as long as it took to list the folder, it is not listed again."""
LONGEST_WAIT = 60.0
"""Seconds between trials of what the machine refuses, at most."""


@dataclass(frozen=True)
class Options:
    """What is watched, and how. `settle`, `patience` in s, `report_every` in minutes.

    `strips`: the most strips of a batch, None for any number.
    """

    folder: Path
    out: Path
    settle: float = 2.0
    patience: float = 60.0
    strips: int | None = None
    report_every: float = 15.0


class Clock:
    """The time, and waiting for it."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self.zone = zone

    def now(self) -> datetime:
        """The time of day, in the zone that was given or that of this machine."""
        return datetime.now(UTC).astimezone(self.zone)

    def running(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Do nothing for so long."""
        time.sleep(seconds)


def zone(name: str) -> tzinfo:
    """A time zone by its name. Raises WatchError for one that is not known here."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise WatchError(
            f"--timezone {name!a}: not known here; give a name such as Europe/Vienna"
        ) from error


@dataclass
class Trouble:
    """What the machine refuses, in words; it is tried `again` (by `Clock.running`)."""

    words: str
    wait: float
    again: float


@dataclass(frozen=True)
class Inspected:
    """A strip that was inspected into `batch`; `arrived` is when its file was last written."""

    batch: BatchName
    judged: Judged
    arrived: datetime
    inspected: datetime
    seconds: float


def _unheard(_: Inspected) -> None:
    pass


@dataclass
class Watcher:
    """Watches a folder until it is stopped.

    `alert` hears of every strip before it is entered as inspected, so that it may hear of one
    twice, but misses none; `tell` hears of it after that. `beat` is when the last step ended, by
    `Clock.running`.
    """

    options: Options
    inspector: Inspector
    clock: Clock = field(default_factory=Clock)
    alert: Callable[[Inspected], None] = _unheard
    tell: Callable[[Inspected], None] = _unheard
    troubles: dict[str, Trouble] = field(default_factory=dict)
    last: Inspected | None = None
    last_error: dict[str, str] | None = None
    beat: float = 0.0

    def __post_init__(self) -> None:
        """Take up what an earlier watcher left. Raises WatchError for a damaged journal."""
        options = self.options
        self._root = options.out.resolve()
        self.journals = read_journals(self._root / "journal")
        self.arrivals = Arrivals(
            options.folder.resolve(), options.settle, options.patience, self.clock.running
        )
        self._contents: dict[str, str] = {}
        for journal in self.journals:
            for taken in (*journal.inspected.values(), *journal.waiting.values()):
                self._remember(taken)
        self._forget_finished()
        self._last_report = self._next_look = self.beat = self.clock.running()

    def run(self) -> None:
        """Watch; a KeyboardInterrupt ends it, after the report is made of what was inspected."""
        if not (self._root / MARK).is_file():
            write_json(self._root / MARK, {"format": FORMAT, "folder": str(self.arrivals.root)})
        pause = min(max(self.options.settle / 4, 0.05), 1.0)
        try:
            while True:
                if not self.step():
                    self.clock.wait(pause)
        except KeyboardInterrupt:
            # The signal may have come between a journal's lines and what is known here of them.
            for journal in [Journal.read(one.path) for one in self.journals]:
                if journal is not None and journal.unreported:
                    self._report(journal)
            raise

    def step(self) -> bool:
        """Look once for what there is to do, and do some of it; whether there was anything."""
        busy = [
            self._try("folder", self._take),
            self._try("inspection", self._judge),
            self._try("report", self._renew_reports),
        ]
        self.beat = self.clock.running()
        return any(busy)

    @property
    def queue(self) -> int:
        """Strips that are not yet inspected, as far as they have been seen."""
        return self.arrivals.waiting + sum(len(journal.waiting) for journal in self.journals)

    @property
    def behind(self) -> float:
        """Seconds since the oldest strip that waits was taken, 0 if none waits."""
        for journal in tuple(self.journals):
            for taken in tuple(islice(journal.waiting.values(), 1)):
                age = self.clock.now() - datetime.fromisoformat(taken.seen)
                return max(age.total_seconds(), 0.0)
        return 0.0

    @property
    def current(self) -> Journal | None:
        """The journal of the batch that strips are taken into."""
        return self.journals[-1] if self.journals else None

    def _try(self, what: str, work: Callable[[], bool]) -> bool:
        """Do a part of the work; what the machine refuses is said once, and tried again later."""
        before = self.troubles.get(what)
        if before is not None and self.clock.running() < before.again:
            return False
        try:
            busy = work()
        except Exception as error:
            words = _words(error)
            if words is None:
                raise
            wait = 1.0 if before is None else min(2 * before.wait, LONGEST_WAIT)
            if before is None or before.words != words:
                note(f"{what}: {words}; it is tried again")
            self.last_error = {"time": _utc(self.clock.now()), "error": f"{what}: {words}"}
            self.troubles[what] = Trouble(words, wait, self.clock.running() + wait)
            return False
        if before is not None:
            del self.troubles[what]
            note(f"{what}: goes on")
        return busy

    def _take(self) -> bool:
        """Take what is complete into the batch of the day."""
        if self.clock.running() < self._next_look:
            return False
        busy = False
        for arrival in islice(self.arrivals.complete(), TAKEN_AT_ONCE):
            self._take_one(arrival)
            busy = True
        self._next_look = self.clock.running() + LOOKING * self.arrivals.took * (not busy)
        if self.arrivals.error is not None:
            raise self.arrivals.error
        return busy

    def _take_one(self, arrival: Arrival) -> None:
        before = self._contents.get(arrival.path)
        if before == arrival.sha256:
            self.arrivals.known[arrival.path] = arrival.stamp
            return
        journal = self._journal()
        copy = _free_name(arrival.path, journal)
        if before is not None:
            same = "" if copy == arrival.path else f", as {copy}"
            note(f"{_shown(arrival.path)}: changed since it was inspected; it is a new strip{same}")
        if arrival.reason:
            note(f"{_shown(arrival.path)}: unreadable: {arrival.reason}")
        taken = Taken(
            arrival.path,
            copy,
            arrival.sha256,
            arrival.stamp.size,
            arrival.stamp.mtime_ns,
            _utc(self.clock.now()),
        )
        journal.take([taken])
        self._remember(taken)
        if arrival.content is not None:
            _write(self._copies(journal) / copy, arrival.content, arrival.stamp)

    def _remember(self, taken: Taken) -> None:
        self.arrivals.known[taken.path] = Stamp(taken.size, taken.mtime_ns)
        self._contents[taken.path] = taken.sha256

    def _journal(self) -> Journal:
        """The journal of the batch that the next strip belongs to, begun if it is a new one."""
        current, today = self.current, self.clock.now().date()
        name = next_name(current, today, self.options.strips, self.inspector.settings_key)
        if current is not None and name == current.name:
            return current
        path = self._root / "journal" / f"{name}.jsonl"
        journal = Journal.begin(path, self.inspector.settings_key)
        note(f"batch {name} begins")
        self.journals.append(journal)
        return journal

    def _judge(self) -> bool:
        """Inspect some of the strips that wait, oldest first."""
        journal = next((one for one in self.journals if one.waiting), None)
        if journal is None:
            return False
        chosen = list(islice(journal.waiting.values(), AT_ONCE))
        for taken in chosen:
            self._secure(journal, taken)
        begun = self.clock.running()
        files = {taken.copy: self._file(journal, taken) for taken in chosen}
        judged = self.inspector.judge(
            self._copies(journal), self._out(journal), list(files.values())
        )
        seconds = (self.clock.running() - begun) / len(chosen)
        by_id = {one.strip.strip_id: one for one in judged}
        now = self.clock.now()
        inspected = [
            Inspected(
                journal.name,
                by_id[taken.strip_id],
                datetime.fromtimestamp(taken.mtime_ns / 1e9, UTC),
                now,
                seconds,
            )
            for taken in chosen
        ]
        for one in inspected:
            self.alert(one)
        told = {
            taken.copy: {"status": one.judged.status, "disposition": one.judged.disposition}
            for taken, one in zip(chosen, inspected, strict=True)
        }
        journal.done(told, _utc(now))
        for one in inspected:
            self.tell(one)
            self.last = one
        return True

    def _secure(self, journal: Journal, taken: Taken) -> None:
        """See that a strip's copy is there, if its file still is."""
        copy = self._copies(journal) / taken.copy
        if not taken.sha256 or copy.is_file():
            return
        with suppress(FileNotFoundError):
            content = (self.arrivals.root / taken.path).read_bytes()
            if hashlib.sha256(content).hexdigest() == taken.sha256:
                _write(copy, content, Stamp(taken.size, taken.mtime_ns))

    def _renew_reports(self) -> bool:
        """Make the reports that are due: of a batch that is over, or from time to time."""
        current = self.current
        if current is None:
            return False
        due = self.clock.running() - self._last_report >= 60 * self.options.report_every
        busy = False
        for journal in self.journals:
            over = journal is not current or self._is_over(current)
            if journal.unreported and (due or (over and not journal.waiting)):
                self._report(journal)
                busy = True
        if due:
            self._last_report = self.clock.running()
        self._forget_finished()
        return busy

    def _is_over(self, current: Journal) -> bool:
        today = self.clock.now().date()
        key = self.inspector.settings_key
        return next_name(current, today, self.options.strips, key) != current.name

    def _report(self, journal: Journal) -> None:
        strips = [self._file(journal, taken) for taken in journal.inspected.values()]
        self.inspector.report(self._copies(journal), self._out(journal), strips, journal.settings)
        journal.report(_utc(self.clock.now()))
        page = self.options.out / str(journal.name) / "index.html"
        note(f"report of {len(strips)} strips: {page}")

    def _forget_finished(self) -> None:
        """Keep in memory the journals of batches that something is still to be done for."""
        self.journals = [
            one
            for one in self.journals
            if one.waiting or one.unreported or one is self.journals[-1]
        ]

    def _copies(self, journal: Journal) -> Path:
        return self._root / "strips" / str(journal.name)

    def _out(self, journal: Journal) -> Path:
        return self._root / str(journal.name)

    def _file(self, journal: Journal, taken: Taken) -> StripFile:
        root, name = self._copies(journal), taken.copy
        if not taken.sha256:
            root, name = self.arrivals.root, taken.path
        coil = taken.strip_id.rpartition("/")[0]
        size = taken.size if taken.sha256 else 0
        return StripFile(taken.strip_id, coil, root / name, taken.sha256, size)


def _free_name(path: str, journal: Journal) -> str:
    """What a strip is called in a batch that may hold one of its name: a.png, then a@2.png."""
    pure = PurePosixPath(path)
    names = (str(pure.with_stem(f"{pure.stem}@{number}")) for number in count(2))
    return next(name for name in chain([path], names) if name not in journal)


def _write(copy: Path, content: bytes, stamp: Stamp) -> None:
    """Write a strip's copy, with its file's time, and wait for the disk."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    with replacing(copy) as temporary:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.utime(temporary, ns=(stamp.mtime_ns, stamp.mtime_ns))


def _words(error: Exception) -> str | None:
    """What went wrong that may be cured meanwhile; None for an error of ours."""
    if isinstance(error, InspectionError | PrepError | SiseError):
        return str(error)
    return in_words(error)


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds")


def _shown(path: str) -> str:
    return path if path.isprintable() else ascii(path)


def check(options: Options) -> None:
    """Raise WatchError for options that cannot be, and for folders that cannot be used so."""
    for name, value in (("settle", options.settle), ("patience", options.patience)):
        if not 0 <= value < float("inf"):
            raise WatchError(f"--{name} must be a number of seconds, not {value:g}")
    if not 0 < options.report_every < float("inf"):
        raise WatchError(
            f"--report-every must be a positive number of minutes, not {options.report_every:g}"
        )
    folder, out = options.folder.resolve(), options.out.resolve()
    if not folder.is_dir():
        what = "a file" if folder.is_file() else "no such folder"
        raise WatchError(f"{options.folder}: {what}; name the one that strips come into")
    if out.is_relative_to(folder) or folder.is_relative_to(out):
        raise WatchError(
            f"{options.out}: lies in the folder that is watched, or around it; "
            "choose an --out elsewhere"
        )
    if out.exists() and not out.is_dir():
        raise WatchError(f"{options.out}: a file; --out takes a folder")
    mark = options.out / MARK
    if mark.is_file():
        try:
            known = checked(dict[str, str], read_json(mark))
            watched = known["folder"]
            if known["format"] != FORMAT:
                raise ValueError(f"its format is {known['format']!r}")
        except (ValueError, KeyError) as error:
            raise WatchError(f"{mark}: damaged ({error}); choose another --out") from error
        if Path(watched) != folder:
            raise WatchError(f"{options.out}: holds what came from {watched}; choose another --out")
    elif not unused(options.out):
        raise WatchError(f"{options.out}: not empty, and no watcher's; choose another --out")


@contextmanager
def holding(options: Options) -> Iterator[None]:
    """Make the watcher's folder and hold it, as `severstal_prep.alone` does.

    Raises WatchError as `check`, and InUseError if another watcher holds it.
    """
    check(options)
    with alone(options.out):
        yield
