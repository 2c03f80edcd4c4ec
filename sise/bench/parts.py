"""Doing a slow method in part, so that its cost can be told without paying it.

The time of a method that shows the network many masked images grows by the same amount with each.
So a shorter and a longer part of it, timed, say what the whole takes: what does not depend on the
number (feature maps, gradients, fusion) is in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from sise.bench.pieces import pieces
from sise.engine import Engine, Settings
from sise.explainer import SISE
from sise.explanation import Explainer
from sise.methods.extremal_perturbation import ExtremalPerturbation
from sise.methods.integrated_gradients import IntegratedGradients
from sise.methods.rise import RISE
from sise.methods.scorecam import ScoreCAM
from sise.registry import MethodSpec
from sise.sampling import MaskScorer, MaskSet


class Divisible(Protocol):
    """A method that can be done in part: in `count` of its steps or masks."""

    @property
    def least(self) -> int:
        """The smallest count that fills a batch."""

    def whole(self) -> int:
        """The count of the whole method."""

    def do(self, count: int) -> int:
        """Explain with so many; returns the forward passes that were run."""


def divisible(explainer: Explainer, spec: MethodSpec, images: torch.Tensor) -> Divisible | None:
    """`explainer`, which `spec` made, as something that can be done in part; None if it cannot.

    SISE under a budget cannot: what it scores next depends on what it has scored.
    """
    if isinstance(explainer, RISE):
        batch = explainer.engine.batch_size(images).value
        return ByOption(explainer, "n_masks", batch, explainer.n_masks, images)
    if isinstance(explainer, IntegratedGradients):
        batch = explainer.engine.captured_at_once(images)
        return ByOption(explainer, "steps", batch, explainer.steps, images)
    if isinstance(explainer, ExtremalPerturbation):
        return ByOption(explainer, "steps", 1, explainer.steps, images)
    if isinstance(explainer, ScoreCAM) or (
        isinstance(explainer, SISE) and spec.options.get("budget") is None
    ):
        if not isinstance(explainer.engine, PartialEngine):
            explainer.engine = PartialEngine(explainer.engine.model, explainer.engine.settings)
        return ByMasks(explainer, explainer.engine, images)
    return None


@dataclass(frozen=True)
class ByOption:
    """A method with an option that says how much it does."""

    explainer: Explainer
    option: str
    least: int
    all: int
    images: torch.Tensor

    def whole(self) -> int:
        return self.all

    def do(self, count: int) -> int:
        setattr(self.explainer, self.option, count)
        return int(self.explainer(self.images).forwards.sum())


@dataclass(frozen=True)
class ByMasks:
    """A method that scores masks made of feature maps, all at once; `count` is of all images."""

    explainer: Explainer
    engine: "PartialEngine"
    images: torch.Tensor

    @property
    def least(self) -> int:
        return self.engine.batch_size(self.images).value

    def whole(self) -> int:
        self.do(0)
        return self.engine.left_out

    def do(self, count: int) -> int:
        self.engine.left, self.engine.left_out = count, 0
        try:
            said = int(self.explainer(self.images).forwards.sum())
        finally:
            self.engine.left = None
        return said - self.engine.left_out


class PartialEngine(Engine):
    """An engine that can be told to score no more than `left` masks, of any number of images.

    The others' scores are 1, and `left_out` counts them. None scores every mask.
    """

    def __init__(self, model: torch.nn.Module, settings: Settings) -> None:
        super().__init__(model, settings)
        self.left: int | None = None
        self.left_out = 0

    def scorer(self, images: torch.Tensor, targets: torch.Tensor) -> MaskScorer:
        whole = super().scorer(images, targets)
        return whole if self.left is None else _PartialScorer(**vars(whole), engine=self)


@dataclass(frozen=True)
class _PartialScorer(MaskScorer):
    engine: PartialEngine

    def __call__(self, mask_sets: Sequence[MaskSet]) -> tuple[torch.Tensor, ...]:
        lengths = [len(part) for part in mask_sets]
        scores = torch.cat([part.masks.new_ones(len(part)) for part in mask_sets])
        count = min(self.engine.left or 0, len(scores))
        if count:
            scores[:count] = torch.cat(super().__call__(next(pieces(mask_sets, count))))
        self.engine.left = (self.engine.left or 0) - count
        self.engine.left_out += len(scores) - count
        return torch.split(scores, lengths)
