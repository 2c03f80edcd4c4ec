"""Extremal perturbations (Fong, Patrick, Vedaldi, ICCV 2019), written from the paper's formulas."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import ceil, log10, pi

import torch
from torch import nn
from torch.nn import functional

from sise.baselines import Fill, Masker
from sise.capture import Prediction
from sise.errors import SiseError
from sise.explanation import Explanation
from sise.masks import upsample
from sise.methods.base import EngineExplainer
from sise.methods.prediction import check_differentiable, differentiate, explanation
from sise.precision import Forward
from sise.targets import Target, resolve_targets

# Measured, with the alternatives, in docs/methods.md.
RADIUS = 0.05
"""Of the plateau of the masks' kernel, as a share of the image's shorter side."""
_POINTS_PER_RADIUS = 2
_TEMPERATURE = 0.1
_RATE, _BETAS = 0.05, (0.9, 0.99)
_WEAKEST, _STRONGEST = 1.0, 1000.0
_GROWING = 2 / 3  # of the ascent; then λ stays, and the rate falls to 0
_LEAST_SPAN, _TINY = 1e-6, 1e-12


@dataclass(eq=False)
class ExtremalPerturbation(EngineExplainer):
    """The smooth masks that, given their area, leave most of the class's logit; added up.

    For each area a, a mask m maximises Φ(m ⊗ I) - λ · R(m), where R is the mean square of what
    m's sorted values differ from (1 - a) · HW zeros followed by a · HW ones, and m is the smooth
    max-convolution of a coarse grid, so that it cannot be made of specks. The map is the sum over
    areas, min-max normalised: what the smallest mask keeps is in all of them.

    Where this is not the paper's: ascent (Adam) begins with the whole image, without randomness,
    and λ grows from where it hardly counts, so that what counts least goes first; Φ is divided by
    the range that it was seen to have on the way, so that the size of logits does not matter and
    no reward outweighs the area. A mask blends the image with its background, `fill`; the paper
    blurs each pixel the more the less its mask keeps. All constants were chosen and measured here.

    Args:
        areas: shares of the image, between 0 and 1.
        steps: of ascent, each one forward and one backward pass for every area; two forward
            passes go before.

    Other arguments and errors as for `SISE`; a batch of the backward pass holds an eighth of
    `batch_size`.
    """

    areas: Sequence[float] = (0.025, 0.05, 0.1, 0.2)
    steps: int = 200
    fill: Fill = field(default="blur", kw_only=True)

    def __post_init__(self, model: nn.Module) -> None:
        if not self.areas or not all(0 < area < 1 for area in self.areas):
            given = ", ".join(map(str, self.areas))
            raise SiseError(f"areas must lie between 0 and 1, not {given}")
        if self.steps < 1:
            raise SiseError(f"steps must be at least 1, not {self.steps}")
        super().__post_init__(model)

    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        prediction = self._predict(images, target)
        forward = self.engine.scoring_network(images.device).forward
        masker = Masker(images, self.fill)
        smooth = SmoothMasks(masker.size)
        every = torch.arange(len(images), device=images.device)
        owners = every.repeat_interleave(len(self.areas))
        areas = images.new_tensor(self.areas).repeat(len(images))
        masks = []
        at_once = self.engine.captured_at_once(images)
        for whose, share in zip(
            torch.split(owners, at_once), torch.split(areas, at_once), strict=True
        ):
            reward = partial(_logits_under, forward, masker, whose, prediction.targets[whose])
            masks.append(extremal_masks(reward, smooth, share, self.steps))
        maps = torch.cat(masks).view(len(images), len(self.areas), *masker.size).sum(dim=1)
        spent = (self.steps + 2) * len(self.areas) + 1
        return explanation(self.engine, prediction, maps, spent)

    def _predict(self, images: torch.Tensor, target: Target) -> Prediction:
        """What the model says, if it can be differentiated: the scoring network's copy may be
        where the model itself is not."""
        forward = self.engine.exact_forward(images.device)
        with torch.enable_grad():
            # A copy of what gradients end at: a model may work on its input in place.
            inputs = images.clone().requires_grad_().clone()
            logits = forward(inputs)
            check_differentiable(logits)
        return Prediction(logits.detach(), resolve_targets(target, logits))


def _logits_under(
    forward: Forward,
    masker: Masker,
    owners: torch.Tensor,
    targets: torch.Tensor,
    masks: torch.Tensor,
) -> torch.Tensor:
    """The logit of `targets` (K,) for each mask (K, H, W) on its image."""
    logits = forward(masker.masked(owners, masks)).gather(1, targets[:, None]).squeeze(1)
    return logits.to(masks.dtype)


@dataclass(frozen=True)
class SmoothMasks:
    """Masks for images of `size` (H, W) that are the smooth max-convolution of a coarse grid.

    m(u) = smax over v of k(u - v) · m̄(v), with smax f = Σ f · exp(f/T) / Σ exp(f/T), and a kernel
    k that is 1 up to a radius and falls to 0 at twice of it, as a cosine.
    """

    size: tuple[int, int]

    @property
    def grid(self) -> tuple[int, int]:
        """Points of m̄ along rows and columns."""
        step = max(1.0, self._radius / _POINTS_PER_RADIUS)
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
    def _radius(self) -> float:
        return RADIUS * min(self.size)

    @cached_property
    def _kernel(self) -> torch.Tensor:
        offsets = []
        for length, points in zip(self.size, self.grid, strict=True):
            spacing = length / points
            reach = ceil(2 * self._radius / spacing)
            offsets.append(torch.arange(-reach, reach + 1, dtype=torch.float64) * spacing)
        distance = torch.hypot(offsets[0][:, None], offsets[1][None, :]) / self._radius
        return (1 + torch.cos(pi * (distance - 1).clamp(0, 1))) / 2


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
    whole = areas.new_ones(len(areas), *smooth.size)
    with torch.no_grad():
        low, high = torch.stack([reward(whole), reward(torch.zeros_like(whole))]).aminmax(dim=0)
    grids = areas.new_ones(len(areas), *smooth.grid)
    ascent = _Adam(grids)
    growing = ceil(_GROWING * steps)
    strengths = torch.logspace(log10(_WEAKEST), log10(_STRONGEST), growing).tolist()
    for step in range(steps):
        with torch.enable_grad():
            grids = grids.detach().requires_grad_()
            masks = smooth(grids)
            seen = masks.detach().requires_grad_()
            rewards = reward(seen)
            check_differentiable(rewards)
            (slopes,) = differentiate(rewards.sum(), [seen])
            low, high = torch.minimum(low, rewards.detach()), torch.maximum(high, rewards.detach())
            # What a step may change is part of the range, where background and image score alike.
            span = torch.maximum(high - low, _RATE * slopes.abs().sum(dim=(1, 2)))
            gains = (slopes * masks).sum(dim=(1, 2)) / span.clamp(min=_LEAST_SPAN)
            off = masks.flatten(1).sort(dim=1).values - wanted
            losses = strengths[min(step, growing - 1)] * off.square().mean(dim=1)
            (gradient,) = differentiate((gains - losses).sum(), [grids])
        rate = _RATE * min(1.0, (steps - step) / (steps - growing + 1))
        grids = (grids.detach() + rate * ascent.direction(gradient)).clamp(0, 1)
    return smooth(grids)


class _Adam:
    """Adam (Kingma and Ba, ICLR 2015). PyTorch's own takes seconds to load its compiler."""

    def __init__(self, like: torch.Tensor) -> None:
        self.mean, self.square = torch.zeros_like(like), torch.zeros_like(like)
        self.step = 0

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        self.step += 1
        self.mean = _BETAS[0] * self.mean + (1 - _BETAS[0]) * gradient
        self.square = _BETAS[1] * self.square + (1 - _BETAS[1]) * gradient**2
        mean = self.mean / (1 - _BETAS[0] ** self.step)
        square = self.square / (1 - _BETAS[1] ** self.step)
        return mean / (square.sqrt() + _TINY)


def sorted_masks(areas: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """What the sorted values of masks of `areas` (K,) should be, zeros then ones: (K, H · W)."""
    pixels = size[0] * size[1]
    ones = (areas * pixels).round().clamp(min=1)
    return (torch.arange(pixels, device=areas.device) >= pixels - ones[:, None]).to(areas)
