"""Rows of `sise bench`: whole explanations, timed in turn with bare forward passes."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from sise.bench.timing import Clock, Timing, Work, batches_lasting, in_turn
from sise.capture import in_eval_mode
from sise.engine import Engine, RunOptions
from sise.errors import SiseError
from sise.evaluation.paper import SECONDS
from sise.explanation import Explainer
from sise.precision import Precision, resolve
from sise.registry import MethodSpec, defaults, make_explainer

Say = Callable[[str], None]

BARE = "bare forward"
BARE_SECONDS = 1.0
"""Each run of bare forward passes lasts about so long."""
ROW_SECONDS = 120.0
"""A row that has taken so long is not repeated: it has averaged over the machine's noise."""

_WORDS: dict[torch.dtype, Precision] = {
    torch.float64: "fp64",
    torch.float32: "fp32",
    torch.bfloat16: "bf16",
}


@dataclass(frozen=True)
class Subject:
    """What is measured: `model`, in evaluation mode, on `images` (N, 3, H, W), on one device.

    `weights` says where they come from.
    """

    name: str
    weights: str
    model: nn.Module
    images: torch.Tensor


@dataclass(frozen=True)
class Setting:
    """What runs the passes. `as_given`: the model itself, not a copy made for speed."""

    engine: RunOptions
    as_given: bool = False

    def __str__(self) -> str:
        kind = ", as given" if self.as_given else ", compiled" if self.engine.compile else ""
        return f"{self.engine.backend} {self.engine.precision}{kind}"


@dataclass(frozen=True)
class Bare:
    """Bare forward passes of a setting: `work` runs some batches of `batch_size` images."""

    setting: Setting
    work: Work
    batch_size: int


@dataclass(frozen=True)
class Row:
    """A method's cost: forward `passes` per image, timed beside bare ones of the same setting and
    batch size. `in_paper` is the paper's seconds per image, on its machine."""

    method: str
    setting: Setting
    batch_size: int
    passes: float
    timing: Timing
    in_paper: float | None = None

    @property
    def seconds(self) -> float:
        """Per image."""
        return self.passes / self.timing.rate


@dataclass(frozen=True)
class Skipped:
    """What was asked for and could not be done, and why."""

    what: str
    why: str


def measure(
    subject: Subject, specs: Sequence[MethodSpec], shared: Mapping[str, Any], repeats: int, say: Say
) -> Iterator[Row | Skipped]:
    """A bare forward row and a row of each method, those of one setting together.

    `shared` are options of all methods (`RunOptions`); a method's own go before them. A
    setting that this machine or model cannot run, or a method that cannot explain the model, is
    passed over. Raises SiseError for a precision that does not exist.
    """
    by_setting: dict[Setting, list[MethodSpec]] = {}
    for spec in specs:
        by_setting.setdefault(setting_of(spec, shared, subject.images.device), []).append(spec)
    for setting, members in by_setting.items():
        say(f"{setting}: {BARE}")
        try:
            bare = bare_of(subject, setting)
        except SiseError as error:
            yield Skipped(str(setting), str(error))
            continue
        yield row_of(subject, bare, BARE, bare.work, repeats)
        for spec in members:
            say(f"{setting}: {spec.title}")
            try:
                explainer = make_explainer(spec, subject.model, shared)
                explain = partial(_explained, explainer, subject.images)
                in_paper = seconds_in_paper(subject.name, spec)
                yield row_of(subject, bare, spec.title, explain, repeats, in_paper)
            except SiseError as error:
                yield Skipped(f"{spec.title}, {setting}", str(error))


def _explained(explainer: Explainer, images: torch.Tensor) -> int:
    return int(explainer(images).forwards.sum())


def setting_of(spec: MethodSpec, shared: Mapping[str, Any], device: torch.device) -> Setting:
    """What runs a method's passes: a copy for speed where it has a choice of backends."""
    options = {key: spec.options.get(key, value) for key, value in shared.items()}
    dtype = resolve(options["precision"], device)
    if "backend" in defaults(spec.method):
        return Setting(RunOptions(**{**options, "precision": _WORDS[dtype]}))
    exact = _WORDS[torch.promote_types(dtype, torch.float32)]
    given = {"precision": exact, "backend": "torch", "compile": False}
    return Setting(RunOptions(**{**options, **given}), as_given=True)


def bare_of(subject: Subject, setting: Setting) -> Bare:
    """Warmed up here. Raises SiseError for a setting that cannot run."""
    images, device = subject.images, subject.images.device
    engine = Engine(subject.model, setting.engine)
    batch = engine.batch_size(images).value
    if setting.as_given:
        forward, dtype = engine.exact_forward(device), engine.exact_dtype(device)
    else:
        network = engine.scoring_network(device)
        forward, dtype = network.forward, network.dtype
    inputs = torch.randn(batch, *images.shape[1:], device=device)
    inputs = inputs.to(dtype, memory_format=torch.channels_last)

    def run(batches: int) -> int:
        with in_eval_mode(subject.model), torch.no_grad():
            for _ in range(batches):
                forward(inputs)
        return batch * batches

    batches = batches_lasting(BARE_SECONDS, partial(run, 1), clock_of(device))
    return Bare(setting, partial(run, batches), batch)


def clock_of(device: torch.device) -> Clock:
    """A clock that waits for `device` to finish before it tells the time."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def row_of(
    subject: Subject,
    bare: Bare,
    method: str,
    work: Work,
    repeats: int,
    in_paper: float | None = None,
) -> Row:
    """Time `work`, which explains all of the subject's images (or is the bare passes themselves).

    Its first run warms up, and counts only where it takes `ROW_SECONDS` and compiles nothing.
    """
    clock = clock_of(subject.images.device)
    compiles = bare.setting.engine.compile or bare.setting.engine.backend != "torch"
    works = [work] * (1 + repeats)
    timing = in_turn(works, bare.work, clock, ROW_SECONDS, least=1 + compiles)
    timing = Timing(timing.pairs[1:] or timing.pairs)
    passes = 1.0 if work is bare.work else timing.pairs[0].passes / len(subject.images)
    return Row(method, bare.setting, bare.batch_size, passes, timing, in_paper)


def seconds_in_paper(architecture: str, spec: MethodSpec) -> float | None:
    """Seconds per image on a Tesla T4, table 7; None where the table has none.

    It has the methods without options. How many masks its RISE has, the table does not say.
    """
    return None if spec.options else SECONDS.get(architecture, {}).get(spec.method)
