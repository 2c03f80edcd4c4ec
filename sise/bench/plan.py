"""What `sise bench` is asked to measure, and what a row of its table holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from sise.backends import Backend
from sise.precision import Precision, resolve

Method = Literal["scoring", "exact", "budgets", "gradcam", "scorecam-torchcam", "scorecam-gradcam"]

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
    """Which rows to measure, and how often."""

    methods: Sequence[Method]
    budgets: Sequence[int | Literal["auto"]]
    precisions: Sequence[Precision]
    backends: Sequence[Backend]
    compile: Sequence[bool]
    batch_size: int | Literal["auto"]
    repeats: int


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
    seconds      per image
    rate         passes per second
    ratio        rate over that of bare forward passes of the same setting and batch size;
                 `ratio_range` has the least and the greatest of `pairs` comparisons
    peak_memory  bytes (`machine.PeakMemory`)
    share        FLOP/s of the passes over those of a large matrix product
    """

    method: str
    setting: Setting
    batch_size: int
    passes: float
    seconds: float
    rate: float
    ratio: float
    ratio_range: tuple[float, float]
    pairs: int
    peak_memory: int | None
    share: float


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
