"""Units of work by the machines of a Ray cluster, which see no file of this one.

Bundle and strips go there as bytes; rows and pictures come back. An actor per GPU, or per processor
where there is no GPU, loads the model once, and decodes and draws one unit beside the passes of
another. An actor that dies with its process or its machine is replaced wherever there is room, and
what it had is done again.

This is not Ray Data: that takes all of its input before it begins, and bounds memory by the bytes
of blocks, which here are known only when pictures are drawn. A number of units for each actor
bounds memory by that number, and units come as they are needed.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Literal, cast

from inspection.errors import EngineError
from inspection.pipeline.classifier import Model, describe_model
from inspection.pipeline.engines import Done, Read, Unit, WorkerOptions, draw_unit, make_worker
from inspection.pipeline.settings import BackendName, DeviceName, PrecisionName
from inspection.pipeline.strips import ReadStrip, decode_strip, open_strip
from severstal_prep.ray_engine import HERE, answer, check_versions, cluster, counter
from sise.bundle import CARD_NAME, WEIGHTS_NAME
from sise.progress import note

UNDER_WAY = 3
"""Units sent to an actor and not yet back: one in its passes, one decoded or drawn, one waiting."""
LOST = 5
"""How often a unit may be lost with its actor; then it is what kills them."""
_SECONDS_BETWEEN_COUNTS = 2.0
_SECONDS_TO_SAY = 60.0
_PACKAGES = ("steel-sise", "numpy", "opencv-python-headless", "pillow", "torch")


@dataclass(frozen=True, eq=False)
class Sent:
    """A unit with its strips' files as bytes, or what is read of one that cannot be opened.

    `lost` is how often it was sent before, and came to nothing.
    """

    unit: Unit
    strips: tuple[bytes | ReadStrip, ...]
    lost: int = 0


class Actor:
    """A worker in a process of the cluster."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._passes = Lock()

    def load(self, bundle: Mapping[str, bytes], versions: Mapping[str, str]) -> None:
        """Load the model of a bundle. Raises PrepError for other versions than the sender's."""
        check_versions(versions)
        with TemporaryDirectory() as folder:
            options = replace(self._options, bundle=_unpacked(bundle, Path(folder)))
            self._worker = make_worker(options)

    def work(self, sent: Sent) -> Done:
        """All stages of a unit."""
        side = self._worker.side
        files = [strip.file for strip in sent.unit.strips]
        strips = tuple(
            decode_strip(file, content, side) if isinstance(content, bytes) else content
            for file, content in zip(files, sent.strips, strict=True)
        )
        with self._passes:
            computed = self._worker.compute(Read(sent.unit, strips))
        return draw_unit(computed, side)


@dataclass(eq=False)
class _Placed:
    """An actor, whether it has its model, and what it was sent and has not given back."""

    handle: Any
    ready: Any
    loaded: bool = False
    under_way: dict[Any, Sent] = field(default_factory=dict)


class RayEngine:
    """At the Ray cluster of an address; connected when it is first needed, until it is closed."""

    def __init__(self, options: WorkerOptions, address: str, cpus: int) -> None:
        self.patches_at_once = options.patches_at_once
        self._options = replace(options, threads=1)
        self._address, self._cpus = address, cpus
        self._connection = ExitStack()
        self._actors: list[_Placed] = []
        self._died_loading = 0
        self._ray: Any = None

    def close(self) -> None:
        """End the actors, and leave the cluster."""
        self._actors.clear()
        self._connection.close()
        self._ray = None

    def __call__(self, units: Iterable[Unit]) -> Iterator[Done]:
        """Do the units. Raises EngineError for one that kills every actor, and what loading the
        model or a unit's work raises."""
        left, again = iter(units), deque[Sent]()
        first = _next(left)
        if first is None:
            return
        again.append(first)
        self._connect()
        while True:
            self._count()
            while (actor := self._free()) is not None:
                sent = again.popleft() if again else _next(left)
                if sent is None:
                    break
                actor.under_way[actor.handle.work.remote(sent)] = sent
            waited = {reference: one for one in self._actors for reference in one.under_way}
            if not waited and self._free() is not None:
                return
            waited |= {one.ready: one for one in self._actors if not one.loaded}
            answered, _ = self._ray.wait([*waited], timeout=_SECONDS_BETWEEN_COUNTS)
            self._say_if_none()
            for reference in answered:
                done = self._answer(waited[reference], reference, again)
                if done is not None:
                    yield done

    def _connect(self) -> None:
        if self._ray is not None:
            return
        self._ray = ray = self._connection.enter_context(cluster(self._address, self._cpus))
        cuda = self._options.model.device == "cuda"
        # A unit in its passes, one that is decoded or drawn.
        self._served = time.monotonic()
        self._made = ray.remote(num_cpus=1, num_gpus=int(cuda), max_concurrency=2)(Actor)
        self._room = counter(ray, "GPU" if cuda else "CPU")
        self._bundle = ray.put(_packed(self._options.bundle))
        self._versions = {name: version(name) for name in _PACKAGES}

    def _count(self) -> None:
        """Make as many actors as there is room for."""
        while len(self._actors) < self._room():
            handle = self._made.remote(self._options)
            self._actors.append(_Placed(handle, handle.load.remote(self._bundle, self._versions)))

    def _say_if_none(self) -> None:
        """Say, once a minute, that there is no worker with a model."""
        now = time.monotonic()
        if any(one.loaded for one in self._actors):
            self._served = now
        elif now - self._served > _SECONDS_TO_SAY:
            self._served = now
            note("the cluster has no worker yet, or none any more; waiting for a machine with room")

    def _free(self) -> _Placed | None:
        """The actor with the fewest units under way, if it may have another."""
        loaded = [one for one in self._actors if one.loaded]
        least = min(loaded, key=lambda one: len(one.under_way), default=None)
        return least if least is not None and len(least.under_way) < UNDER_WAY else None

    def _answer(self, actor: _Placed, reference: Any, again: deque[Sent]) -> Done | None:
        """What came of a unit; None if the actor has loaded its model, or has died."""
        errors = self._ray.exceptions
        try:
            done = self._ray.get(reference)
        except errors.RayError as error:
            cause = error.cause if isinstance(error, errors.RayTaskError) else error
            if not isinstance(cause, errors.RayError):
                raise cause from error
            if actor in self._actors:
                self._lose(actor, again, error)
            return None
        if reference == actor.ready:
            actor.loaded, self._died_loading = True, 0
            return None
        del actor.under_way[reference]
        return cast(Done, done)

    def _lose(self, actor: _Placed, again: deque[Sent], error: Exception) -> None:
        """Do without an actor; what it had is to be done again."""
        self._actors.remove(actor)
        self._died_loading += not actor.loaded
        if self._died_loading > LOST:
            raise EngineError(
                f"{self._died_loading} processes of the cluster died as they loaded the model "
                f"({type(error).__name__}), perhaps for memory; look at its logs"
            ) from error
        with suppress(Exception):
            self._ray.kill(actor.handle)
        for sent in actor.under_way.values():
            if sent.lost >= LOST:
                names = ", ".join(strip.file.strip_id for strip in sent.unit.strips)
                raise EngineError(
                    f"{names}: {LOST + 1} processes of the cluster died of these strips "
                    f"({type(error).__name__}); look at its logs, and run again to continue"
                ) from error
            again.append(replace(sent, lost=sent.lost + 1))


def _next(units: Iterator[Unit]) -> Sent | None:
    """The next unit with its strips' files."""
    unit = next(units, None)
    if unit is None:
        return None
    return Sent(unit, tuple(open_strip(strip.file) for strip in unit.strips))


def describe_on(
    address: str,
    folder: Path,
    device: DeviceName,
    precision: PrecisionName,
    batch_size: int | Literal["auto"],
    backend: BackendName,
) -> Model:
    """What a bundle will be on the cluster at `address`: as `describe_model`, where "auto" means a
    GPU if a machine of the cluster has one.

    Raises EngineError for "cuda" where none has.
    """
    if address == HERE or device == "cpu":
        return describe_model(folder, device, precision, batch_size, backend)
    with cluster(address, 1) as ray:
        if ray.cluster_resources().get("GPU"):
            asked = ray.remote(num_gpus=1)(_described)
            described = asked.remote(_packed(folder), precision, batch_size, backend)
            return cast(Model, answer(ray, described))
    if device == "cuda":
        raise EngineError("--device cuda: no machine of the cluster has a GPU")
    return describe_model(folder, "cpu", precision, batch_size, backend)


def _described(
    bundle: Mapping[str, bytes],
    precision: PrecisionName,
    batch_size: int | Literal["auto"],
    backend: BackendName,
) -> Model:
    with TemporaryDirectory() as folder:
        place = _unpacked(bundle, Path(folder))
        return describe_model(place, "cuda", precision, batch_size, backend)


def _packed(folder: Path) -> dict[str, bytes]:
    """The files of a bundle that a model is loaded of, by name."""
    return {name: (folder / name).read_bytes() for name in (CARD_NAME, WEIGHTS_NAME)}


def _unpacked(files: Mapping[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
