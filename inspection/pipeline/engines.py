"""Where units of work are done: in this process, or in several.

A unit is read, passed through the model, and drawn. It is made of plain values and gives plain
values, tables and encoded pictures: nothing of it is written here. So one `Worker` serves every
engine, and what comes of a unit does not depend on which.
"""

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from inspection.errors import EngineError
from inspection.pipeline.classifier import Classifier, Model, StripClassifier, load_described
from inspection.pipeline.explainer import (
    EVIDENCE_COLUMNS,
    PatchEvidence,
    PatchExplainer,
    PatchTask,
    patches_at_once,
)
from inspection.pipeline.runner_up import similarity
from inspection.pipeline.settings import SiseOptions
from inspection.pipeline.strips import ReadStrip, StripFile, read_strip
from inspection.store.pictures import PatchMaps, draw_maps, draw_patch, draw_raw, draw_thumb
from sise.batches import auto_batch_size
from sise.status import OK

Map = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of a map that was made before: its status, and the map (H, W) uint8."""

    status: str
    heat: Map


@dataclass(frozen=True, eq=False)
class Asked:
    """A patch to explain, at `left` and `top` px of its strip: for `target`, and for `runner_up`
    unless that is "". `key` and `runner_up_key` are what the maps are kept under; one that is
    `known` is drawn, and not made again."""

    patch_key: str
    left: int
    top: int
    target: str
    key: str
    known: Kept | None
    runner_up: str
    runner_up_key: str
    known_runner_up: Kept | None


@dataclass(frozen=True)
class StripToClassify:
    """A strip, what its patches are kept under, and whether it is drawn at full size."""

    file: StripFile
    key: str
    full_size: bool


@dataclass(frozen=True)
class StripToExplain:
    """A strip, all of its patches that are explained, and whether it is drawn at full size, which
    may have been done when it was classified."""

    file: StripFile
    patches: tuple[Asked, ...]
    full_size: bool


@dataclass(frozen=True)
class Classify:
    """A unit of work: strips to classify."""

    strips: tuple[StripToClassify, ...]


@dataclass(frozen=True)
class Explain:
    """A unit of work: strips with patches to explain."""

    strips: tuple[StripToExplain, ...]


Unit = Classify | Explain


@dataclass(frozen=True, eq=False)
class Read:
    """A unit with its strips' pixels."""

    unit: Unit
    strips: tuple[ReadStrip, ...]


@dataclass(frozen=True, eq=False)
class Computed:
    """A unit after its passes: rows to keep, each under its `key`, and the maps to draw."""

    read: Read
    rows: pd.DataFrame
    maps: dict[str, tuple[PatchMaps, ...]]
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Done:
    """What came of a unit: `rows` to keep, `pictures` to write, by path inside the report, and
    why some of its strips could not be inspected, by strip_id; `seconds` is what its passes
    took."""

    unit: Unit
    rows: pd.DataFrame
    pictures: dict[str, bytes]
    reasons: dict[str, str]
    seconds: float


def read_unit(unit: Unit, side: int) -> Read:
    """Stage "read" of a unit; `side` is that of a patch in px."""
    return Read(unit, tuple(read_strip(strip.file, side) for strip in unit.strips))


def draw_unit(computed: Computed, side: int) -> Done:
    """Stage "render" of a unit."""
    pictures: dict[str, bytes] = {}
    reasons: dict[str, str] = {}
    unit: Sequence[StripToClassify | StripToExplain] = computed.read.unit.strips
    for strip, asked in zip(computed.read.strips, unit, strict=True):
        if strip.pixels is None:
            reasons[strip.file.strip_id] = strip.reason
            continue
        sha256 = strip.file.sha256
        if asked.full_size:
            pictures |= draw_raw(strip.pixels, sha256)
        if isinstance(computed.read.unit, Classify):
            pictures |= draw_thumb(strip.pixels, sha256)
            continue
        maps = computed.maps[strip.file.strip_id]
        for one in maps:
            pictures |= draw_patch(one, _tile(strip.pixels, one.left, one.top, side))
        pictures |= draw_maps(strip.pixels, sha256, maps)
    return Done(computed.read.unit, computed.rows, pictures, reasons, computed.seconds)


def _tile(pixels: Map, left: int, top: int, side: int) -> Map:
    return pixels[top : top + side, left : left + side]


@dataclass(frozen=True)
class WorkerOptions:
    """What it takes to make a worker, in this process or in another. `threads` is how many each
    pass may use, None for PyTorch's own number."""

    bundle: Path
    model: Model
    stride: int
    sise: SiseOptions
    batch_size: int | Literal["auto"]
    threads: int | None = None

    @property
    def patches_at_once(self) -> int:
        """How many patches make good use of a unit to explain."""
        side, device, size = self.model.patch, torch.device(self.model.device), self.batch_size
        return patches_at_once(
            self.sise.budget, auto_batch_size((side, side), device) if size == "auto" else size
        )


class Worker:
    """The model, loaded once, and what is done with it."""

    def __init__(self, classifier: Classifier, options: WorkerOptions) -> None:
        self.side = classifier.patch
        self._classify = StripClassifier(classifier, options.stride)
        self._explain = PatchExplainer(classifier, options.sise, options.batch_size)

    @property
    def patches_at_once(self) -> int:
        """How many patches make good use of a unit to explain."""
        return self._explain.patches_at_once

    def __call__(self, unit: Unit) -> Done:
        """All stages of a unit."""
        return draw_unit(self.compute(read_unit(unit, self.side)), self.side)

    def compute(self, read: Read) -> Computed:
        """The passes of a unit through the model."""
        begun = time.monotonic()
        if isinstance(read.unit, Classify):
            computed = self._classified(read, read.unit)
        else:
            computed = self._explained(read, read.unit)
        return replace(computed, seconds=time.monotonic() - begun)

    def _classified(self, read: Read, unit: Classify) -> Computed:
        rows = self._classify(read.strips)
        keys = {strip.file.sha256: strip.key for strip in unit.strips}
        return Computed(read, rows.assign(key=rows["strip_sha256"].map(keys)), {})

    def _explained(self, read: Read, unit: Explain) -> Computed:
        asked = [
            (strip.file.strip_id, _tile(strip.pixels, one.left, one.top, self.side), one)
            for strip, whole in zip(read.strips, unit.strips, strict=True)
            if strip.pixels is not None
            for one in whole.patches
        ]
        evidence = self._explain([_task(pixels, one) for _, pixels, one in asked])
        rows: list[dict[str, object]] = []
        maps: dict[str, list[PatchMaps]] = {strip.file.strip_id: [] for strip in read.strips}
        for (strip_id, _, one), found in zip(asked, evidence, strict=True):
            first = one.known or Kept(found.map_status, _map(found.heat, self.side))
            second = one.known_runner_up or Kept(
                found.runner_up_status, _map(found.runner_up_heat, self.side)
            )
            rows += _rows(one, found, first, second)
            maps[strip_id].append(
                PatchMaps(one.patch_key, one.left, one.top, _shown(first), _shown(second))
            )
        return Computed(read, pd.DataFrame(rows), {name: tuple(own) for name, own in maps.items()})


def _task(pixels: Map, one: Asked) -> PatchTask:
    return PatchTask(
        pixels,
        target=one.target if one.known is None else "",
        runner_up=one.runner_up if one.known_runner_up is None else "",
    )


def _map(heat: Map | None, side: int) -> Map:
    """Zeros for a map that was not asked for."""
    return np.zeros((side, side), np.uint8) if heat is None else heat


def _shown(one: Kept) -> Map | None:
    return one.heat if one.status == OK else None


def _rows(
    one: Asked, found: PatchEvidence, first: Kept, second: Kept
) -> Iterator[dict[str, object]]:
    """What is kept of a patch: a row for each map that was made."""
    if one.known is None:
        values = {name: getattr(found, name) for name in EVIDENCE_COLUMNS}
        yield {"key": one.key, **values, "heat": first.heat.tobytes()}
    if one.runner_up and one.known_runner_up is None:
        yield {
            "key": one.runner_up_key,
            "runner_up_status": found.runner_up_status,
            "runner_up_forwards": found.runner_up_forwards,
            "runner_up_similarity": similarity(first.heat, second.heat),
            "heat": second.heat.tobytes(),
        }


class Engine(Protocol):
    """Does units of work; what comes of them may come in any order, each once."""

    @property
    def patches_at_once(self) -> int:
        """How many patches make good use of a unit to explain."""
        ...

    def __call__(self, units: Iterable[Unit]) -> Iterator[Done]:
        """Do the units. They are taken as they are needed, so that memory stays flat."""
        ...

    def close(self) -> None:
        """Give back what it holds beyond this process."""
        ...


class LocalEngine:
    """In this process: the next units are read, and the last ones drawn, beside the passes."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.patches_at_once = worker.patches_at_once

    def __call__(self, units: Iterable[Unit]) -> Iterator[Done]:
        side = self._worker.side
        with ThreadPoolExecutor(1, "read") as readers, ThreadPoolExecutor(1, "draw") as drawers:
            reading = _ahead(readers, (partial(read_unit, unit, side) for unit in units), 1)
            drawing = deque[Future[Done]]()
            try:
                for read in reading:
                    computed = self._worker.compute(read)
                    drawing.append(drawers.submit(draw_unit, computed, side))
                    while len(drawing) > 1:
                        yield drawing.popleft().result()
            except GeneratorExit:  # nobody takes any more
                raise
            except BaseException:
                # Interrupted, or out of order: what was computed before is not lost.
                while drawing:
                    yield drawing.popleft().result()
                raise
            while drawing:
                yield drawing.popleft().result()

    def close(self) -> None:
        """Nothing is held."""


T = TypeVar("T")


def _ahead(pool: Executor, calls: Iterable[Callable[[], T]], ahead: int) -> Iterator[T]:
    """The results of calls in order, while `ahead` more are being worked at."""
    waiting = deque[Future[T]]()
    for call in calls:
        waiting.append(pool.submit(call))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class ProcessEngine:
    """In `jobs` processes of this machine, each with a model of its own."""

    def __init__(self, options: WorkerOptions, jobs: int) -> None:
        self._options = options
        self._jobs = jobs
        self.patches_at_once = options.patches_at_once

    def __call__(self, units: Iterable[Unit]) -> Iterator[Done]:
        threads = max(1, torch.get_num_threads() // self._jobs)
        options = replace(self._options, threads=threads)
        # Not forked: threads of PyTorch and of OpenVINO do not outlive that.
        pool = ProcessPoolExecutor(
            self._jobs, multiprocessing.get_context("spawn"), _begin, (options,)
        )
        try:
            yield from _ahead(pool, (partial(_work, unit) for unit in units), 2 * self._jobs)
        except BrokenProcessPool as error:
            raise EngineError(
                "a process of --jobs was killed (by whom, only the system knows; mostly for "
                "memory): run again to continue, with fewer --jobs"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Nothing is held: processes end with the call that made them."""


def make_worker(options: WorkerOptions) -> Worker:
    """A worker with its model. Raises as `load_classifier`."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    classifier = load_described(options.bundle, options.model)
    return Worker(classifier, options)


_chosen: list[WorkerOptions] = []


def _begin(options: WorkerOptions) -> None:
    # Ctrl-C reaches the whole group, but is the parent's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _chosen.append(options)


@cache
def _own_worker() -> Worker:
    return make_worker(_chosen[0])


def _work(unit: Unit) -> Done:
    return _own_worker()(unit)
