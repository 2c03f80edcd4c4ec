"""What `sise bench` is asked to measure, and what a row of its table holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from sise.backends import Backend
from sise.errors import SiseError
from sise.precision import Precision, resolve
from sise.registry import MethodSpec, defaults, parse_spec

ROWS_BESIDE = ("scoring", "exact", "budgets", "scorecam-torchcam", "scorecam-gradcam")
"""Rows that are no method of the registry, but for "exact", which is its "sise"."""
_OF_THE_PLAN = ("precision", "backend", "compile", "batch_size")

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
class Plan:
    """Which rows to measure, and how often.

    `methods` are words of `ROWS_BESIDE` and methods of the registry, with or without options;
    `in_full` runs all passes of the slow ones too.
    """

    methods: Sequence[str]
    budgets: Sequence[int | Literal["auto"]]
    precisions: Sequence[Precision]
    backends: Sequence[Backend]
    compile: Sequence[bool]
    batch_size: int | Literal["auto"]
    repeats: int
    in_full: bool = False

    def specs(self) -> list[MethodSpec]:
        """The methods of the registry. Raises SiseError for one that does not exist, and for
        options that are the plan's."""
        words = ["sise" if word == "exact" else word for word in self.methods]
        named = [word for word in dict.fromkeys(words) if word not in ROWS_BESIDE]
        return [_spec(word) for word in named]


@dataclass(frozen=True)
class Setting:
    """What runs the passes. `as_given`: the model itself, not a copy made for speed."""

    precision: Precision
    backend: Backend = "torch"
    compiled: bool = False
    as_given: bool = False

    def __str__(self) -> str:
        kind = ", as given" if self.as_given else ", compiled" if self.compiled else ""
        return f"{self.backend} {self.precision}{kind}"


@dataclass(frozen=True)
class Row:
    """A method's cost.

    passes       forward passes per image
    run          those that were run; where they are fewer, passes and times are extrapolated
    seconds      per image
    rate         passes per second
    ratio        rate over that of bare forward passes of the same setting and batch size;
                 `ratio_range` has the least and the greatest of `pairs` comparisons
    peak_memory  bytes (`machine.PeakMemory`)
    share        FLOP/s of the passes over those of a large matrix product
    in_paper     seconds per image in the paper, on its machine
    """

    method: str
    setting: Setting
    batch_size: int
    passes: float
    run: float
    seconds: float
    rate: float
    ratio: float
    ratio_range: tuple[float, float]
    pairs: int
    peak_memory: int | None
    share: float
    in_paper: float | None = None


@dataclass(frozen=True)
class Skipped:
    """What has no row, and why; `failed` if it was asked for and could not be done."""

    what: str
    why: str
    failed: bool


def settings(plan: Plan, device: torch.device) -> list[Setting]:
    """Every combination once; OpenVINO, which always compiles, once per precision."""
    words = [word_of(precision, device) for precision in plan.precisions]
    every = [
        Setting(word, backend, compiled and backend == "torch")
        for word in words
        for backend in plan.backends
        for compiled in plan.compile
    ]
    return list(dict.fromkeys(every))


def word_of(precision: Precision, device: torch.device) -> Precision:
    """The precision that "auto" means on `device`; any other is itself.

    Raises SiseError for one that does not exist.
    """
    return _WORDS[resolve(precision, device)]


def scores_masks(method: str) -> bool:
    """Whether a method of the registry scores masked images, by a network that may be made for
    speed: whether it has a backend to choose."""
    return "backend" in defaults(method)


def _spec(word: str) -> MethodSpec:
    if word.partition(":")[0] in ROWS_BESIDE:
        raise SiseError(f"method {word!r}: {word.partition(':')[0]} takes no options")
    try:
        spec = parse_spec(word)
    except SiseError as error:
        raise SiseError(f"{error}; or one of {', '.join(ROWS_BESIDE)}") from error
    for name in _OF_THE_PLAN:
        if name in spec.options:
            raise SiseError(f"method {word!r}: give --{name.replace('_', '-')}, for all methods")
    return spec
