"""Extremal perturbations (Fong, Patrick, Vedaldi, ICCV 2019), written from the paper's formulas."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import ceil, log10
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from sise.capture import Output, Target, resolve_targets
from sise.engine import Settings
from sise.errors import SiseError
from sise.explanation import Explanation
from sise.fills import Fill, Filling
from sise.masks import upsample
from sise.methods.answers import Answer, check_differentiable, differentiate, explanation
from sise.methods.base import EngineExplainer
from sise.precision import Forward, Precision

# σ of the masks' smoothness as a share of the image's shorter side: 21 px of 224.
SIGMA = 0.09375
_POINTS_PER_SIGMA = 3
_REACH = 2  # in σ; beyond it the kernel is below 0.012
_TEMPERATURE = 1 / 20
_RATE, _MOMENTUM = 0.01, 0.9
_WEAKEST, _STRONGEST = 1.0, 5000.0
_SPAN = 10.0


class ExtremalPerturbation(EngineExplainer):
    """The smooth masks that, given their area, leave most of the class's logit; added up.

    For each area a, a mask m maximises Φ(m ⊗ I) - λ · R(m), where R is the mean square of what
    m's sorted values differ from (1 - a) · HW zeros followed by a · HW ones, and m is the smooth
    max-convolution of a coarse grid, so that it cannot be made of specks. The map is the sum over
    areas, min-max normalised: what the smallest mask keeps is in all of them.

    Where this is not the paper's: ascent begins with the whole image, without randomness, and λ
    grows from where it hardly counts, so that what counts least goes first; Φ is scaled to a
    span of 10 between background and image, so that the size of logits does not matter. A mask
    blends the image with its background, `fill`; the paper blurs each pixel the more the less its
    mask keeps. Kernel, temperature and step size are ours too.

    Args:
        areas: shares of the image, between 0 and 1.
        steps: of ascent, each one forward and one backward pass for every area; two forward
            passes go before.

    Other arguments and errors as for `SISE`; a batch of the backward pass holds an eighth of
    `batch_size`.
    """

    def __init__(
        self,
        model: nn.Module,
        areas: Sequence[float] = (0.025, 0.05, 0.1, 0.2),
        steps: int = 800,
        fill: Fill = "blur",
        output: Output = "softmax",
        precision: Precision = "auto",
        batch_size: int | Literal["auto"] = "auto",
    ) -> None:
        if not areas or not all(0 < area < 1 for area in areas):
            raise SiseError(f"areas must lie between 0 and 1, not {', '.join(map(str, areas))}")
        if steps < 1:
            raise SiseError(f"steps must be at least 1, not {steps}")
        self.areas = tuple(areas)
        self.steps = steps
        settings = Settings(precision=precision, batch_size=batch_size, fill=fill, output=output)
        super().__init__(model, settings)

    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        answer = self._answer(images, target)
        forward = self.engine.scoring_network(images.device).forward
        filling = Filling(images, self.engine.settings.fill)
        smooth = SmoothMasks(filling.size)
        every = torch.arange(len(images), device=images.device)
        owners = every.repeat_interleave(len(self.areas))
        areas = images.new_tensor(self.areas).repeat(len(images))
        found = []
        at_once = self.engine.captured_at_once(images)
        for whose, share in zip(
            torch.split(owners, at_once), torch.split(areas, at_once), strict=True
        ):
            reward = partial(_logits_under, forward, filling, whose, answer.targets[whose])
            found.append(extremal_masks(reward, smooth, share, self.steps))
        maps = torch.cat(found).view(len(images), len(self.areas), *filling.size).sum(dim=1)
        spent = (self.steps + 2) * len(self.areas) + 1
        return explanation(self.engine, answer, maps, spent)

    def _answer(self, images: torch.Tensor, target: Target) -> Answer:
        """What the model says, if it can be differentiated: the scoring network's copy may be
        where the model itself is not."""
        forward = self.engine.exact_forward(images.device)
        with torch.enable_grad():
            # A copy of what gradients end at: a model may work on its input in place.
            inputs = images.clone().requires_grad_().clone()
            logits = forward(inputs)
            check_differentiable(logits)
        return Answer(logits.detach(), resolve_targets(target, logits))


def _logits_under(
    forward: Forward,
    filling: Filling,
    owners: torch.Tensor,
    targets: torch.Tensor,
    masks: torch.Tensor,
) -> torch.Tensor:
    """The logit of `targets` (K,) for each mask (K, H, W) on its image."""
    logits = forward(filling.masked(owners, masks)).gather(1, targets[:, None]).squeeze(1)
    return logits.to(masks.dtype)


@dataclass(frozen=True)
class SmoothMasks:
    """Masks for images of `size` (H, W) that are the smooth max-convolution of a coarse grid.

    m(u) = smax over v of k(u - v) · m̄(v), with smax f = Σ f · exp(f/T) / Σ exp(f/T), and a kernel
    k that is 1 up to σ/2 and falls off like a Gaussian beyond.
    """

    size: tuple[int, int]

    @property
    def grid(self) -> tuple[int, int]:
        """Points of m̄ along rows and columns."""
        step = max(1.0, self._sigma / _POINTS_PER_SIGMA)
        return ceil(self.size[0] / step), ceil(self.size[1] / step)

    def __call__(self, grids: torch.Tensor) -> torch.Tensor:
        """m̄ (K, *grid) in [0, 1] -> m (K, H, W)."""
        return upsample(self.at_points(grids), self.size)

    def at_points(self, grids: torch.Tensor) -> torch.Tensor:
        """m at the grid's own points: (K, *grid) -> (K, *grid)."""
        kernel = self._kernel.to(grids)
        around = (kernel.shape[0] // 2, kernel.shape[1] // 2)
        near = functional.unfold(grids[:, None], kernel.shape, padding=around)
        weighted = near * kernel.flatten()[:, None]
        highest = (weighted * (weighted / _TEMPERATURE).softmax(dim=1)).sum(dim=1)
        return highest.view_as(grids)

    @property
    def _sigma(self) -> float:
        return SIGMA * min(self.size)

    @cached_property
    def _kernel(self) -> torch.Tensor:
        offsets = []
        for length, points in zip(self.size, self.grid, strict=True):
            spacing = length / points
            reach = ceil(_REACH * self._sigma / spacing)
            offsets.append(torch.arange(-reach, reach + 1, dtype=torch.float64) * spacing)
        distance = torch.hypot(offsets[0][:, None], offsets[1][None, :]) / self._sigma
        return torch.exp(-2 * (distance - 0.5).clamp(min=0) ** 2)


def extremal_masks(
    reward: Callable[[torch.Tensor], torch.Tensor],
    smooth: SmoothMasks,
    areas: torch.Tensor,
    steps: int,
) -> torch.Tensor:
    """The masks (K, H, W) of `areas` (K,) for which `reward` (K, H, W) -> (K,) is highest.

    Raises SiseError for a reward without gradient.
    """
    wanted = sorted_masks(areas, smooth.size)
    with torch.no_grad():
        whole = areas.new_ones(len(areas), *smooth.size)
        span = (reward(whole) - reward(torch.zeros_like(whole))).abs()
        # Where the background scores as the image does, its scale is anyone's guess: the logit's.
        scale = _SPAN / torch.where(span > 1e-6, span, _SPAN)
    grids = areas.new_ones(len(areas), *smooth.grid)
    velocity = torch.zeros_like(grids)
    for strength in torch.logspace(log10(_WEAKEST), log10(_STRONGEST), steps).tolist():
        with torch.enable_grad():
            grids = grids.detach().requires_grad_()
            masks = smooth(grids)
            off = masks.flatten(1).sort(dim=1).values - wanted
            rewards = reward(masks)
            check_differentiable(rewards)
            energy = scale * rewards - strength * off.square().mean(dim=1)
            (gradient,) = differentiate(energy.sum(), [grids])
        velocity = _MOMENTUM * velocity + (1 - _MOMENTUM) * gradient
        grids = (grids.detach() + _RATE * velocity).clamp(0, 1)
    return smooth(grids)


def sorted_masks(areas: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """What the sorted values of masks of `areas` (K,) should be, zeros then ones: (K, H · W)."""
    pixels = size[0] * size[1]
    ones = (areas * pixels).round().clamp(min=1)
    return (torch.arange(pixels, device=areas.device) >= pixels - ones[:, None]).to(areas)
