"""Fewer forward passes: score a few masks, and estimate the scores of the others.

Masks that look alike score alike. The masks of each layer are grouped by k-means on their shape,
the mask in the middle of each group is scored, and every mask takes the score of the nearest
scored one. All of them enter the sum of equation 12, each with its own shape: only scores are
estimated. `docs/budget.md` has the measurements.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from sise.clusters import medoids, nearest
from sise.errors import SiseError
from sise.masks import pooled
from sise.sampling import Asking, MaskSet
from sise.statistics import pearson

Budget = int | Literal["auto"] | None
# What gives the scores (K,) of masks, as `EvidenceScorer` does.
Scorer = Callable[[Sequence[MaskSet]], Asking[Sequence[torch.Tensor]]]

CELLS = 8
"""Masks are compared by their means over a grid of so many cells a side."""
FIRST_SHARE, FEWEST = 50, 10
"""budget="auto" begins with one mask in so many, but at least so many masks."""
TOLERANCE = 0.02
"""budget="auto" ends when twice the masks changed a map's correlation by no more than this."""


def check_budget(budget: Budget) -> None:
    """Raise SiseError unless `budget` is None, "auto" or at least 1."""
    if budget is None or budget == "auto":
        return
    if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
        raise SiseError(f'budget must be a number of passes from 1, "auto" or None, not {budget!r}')


@dataclass
class _Layer:
    """The masks of one layer as sets of points, image by image, and what is known of them."""

    points: torch.Tensor
    valid: torch.Tensor
    scores: torch.Tensor
    known: torch.Tensor


class Estimate:
    """Scores of all masks of B images from those of a few.

    `layers` are the masks of each layer, of all images in order; `images` is B.
    """

    def __init__(self, layers: Sequence[MaskSet], images: int, size: tuple[int, int]) -> None:
        self._mask_sets = layers
        self._layers = [_as_sets(part, images, size) for part in layers]

    @property
    def masks(self) -> torch.Tensor:
        """How many masks each image has: (B,) int64."""
        return torch.stack([layer.valid.sum(dim=1) for layer in self._layers]).sum(dim=0)

    @property
    def scored(self) -> list[torch.Tensor]:
        """Per layer, how many masks of each image were scored: (B,) int64."""
        return [layer.known.sum(dim=1) for layer in self._layers]

    def score(self, scorer: Scorer, wanted: torch.Tensor) -> Asking[None]:
        """Score masks of each image until `wanted` (B,) of them are known, or all are."""
        shares = _shares(wanted, [layer.valid.sum(dim=1) for layer in self._layers])
        chosen = [
            _to_score(layer, share) for layer, share in zip(self._layers, shares, strict=True)
        ]
        few = [
            MaskSet(part.masks[new[layer.valid]], part.owners[new[layer.valid]])
            for part, layer, new in zip(self._mask_sets, self._layers, chosen, strict=True)
        ]
        found = yield from scorer(few)
        for layer, new, scores in zip(self._layers, chosen, found, strict=True):
            layer.scores[new] = scores
            layer.known |= new

    def scores(self) -> list[torch.Tensor]:
        """Per layer, the score of every mask (K,), known or estimated.

        A layer without a scored mask takes the mean of the image's known scores (1 if there is
        none): then its masks count alike.
        """
        known = torch.stack([layer.known.sum(dim=1) for layer in self._layers]).sum(dim=0)
        total = torch.stack([layer.scores.sum(dim=1) for layer in self._layers]).sum(dim=0)
        mean = torch.where(known > 0, total / known.clamp(min=1), 1.0)
        estimated = []
        for layer in self._layers:
            like = layer.scores.gather(1, nearest(layer.points, layer.known))
            like = torch.where(layer.known.any(dim=1, keepdim=True), like, mean[:, None])
            estimated.append(like[layer.valid])
        return estimated


def settle(
    estimate: Estimate, scorer: Scorer, maps_of: Callable[[list[torch.Tensor]], torch.Tensor]
) -> Asking[None]:
    """Score twice as many masks again and again, until each image's map has settled.

    `maps_of` makes maps (B, H, W) of the scores of all masks. A map has settled when doubling
    its masks moved it by no more than TOLERANCE: correlation of both at least 1 - TOLERANCE.
    """
    wanted = (estimate.masks // FIRST_SHARE).clamp(min=FEWEST)
    yield from estimate.score(scorer, wanted)
    before = maps_of(estimate.scores())
    active = wanted < estimate.masks
    while bool(active.any()):
        wanted = torch.where(active, 2 * wanted, 0)
        yield from estimate.score(scorer, wanted)
        now = maps_of(estimate.scores())
        active &= (correlation(before, now) < 1 - TOLERANCE) & (wanted < estimate.masks)
        before = now


def correlation(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Pearson's correlation of maps, pixel by pixel: (B, H, W) twice -> (B,).

    1 for two constant maps, 0 for a constant and another. In float64 on the processor: some
    devices have no such numbers.
    """
    flat = [maps.amin(dim=(1, 2)) == maps.amax(dim=(1, 2)) for maps in (one, other)]
    alike = torch.from_numpy(pearson(one.cpu().numpy(), other.cpu().numpy()))
    alike = torch.where(flat[0] | flat[1], 0.0, alike.to(one.device, torch.float32))
    return torch.where(flat[0] & flat[1], 1.0, alike)


def _as_sets(part: MaskSet, images: int, size: tuple[int, int]) -> _Layer:
    counts = torch.bincount(part.owners, minlength=images)
    most = int(counts.amax())
    valid = torch.arange(most, device=counts.device) < counts[:, None]
    points = part.masks.new_zeros((images, most, CELLS * CELLS))
    points[valid] = pooled(part.masks, size, CELLS)
    scores = part.masks.new_zeros((images, most))
    return _Layer(points, valid, scores, torch.zeros_like(valid))


def _shares(wanted: torch.Tensor, masks: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """`wanted` (B,) dealt out among layers in proportion to their masks, (B,) each.

    Never more than a layer has masks, nor more than `wanted` together: what a layer's share
    holds beyond whole masks is carried to the next, deeper layer.
    """
    total = torch.stack(list(masks)).sum(dim=0).clamp(min=1)
    wanted = torch.minimum(wanted, total)
    before = torch.zeros_like(total)
    dealt = torch.zeros_like(total)
    shares = []
    for count in masks:
        before = before + count
        upto = wanted * before // total
        shares.append(torch.minimum(upto - dealt, count))
        dealt = upto
    return shares


def _to_score(layer: _Layer, share: torch.Tensor) -> torch.Tensor:
    """The masks to score next, so that about `share` (B,) of them are known: (B, N) bool."""
    missing = (share - layer.known.sum(dim=1)).clamp(min=0)
    whole = share >= layer.valid.sum(dim=1)
    unknown = layer.valid & ~layer.known
    if bool(whole.all()):
        return unknown
    middle = medoids(layer.points, layer.valid, torch.where((missing > 0) & ~whole, share, 0))
    # Clusters whose medoid is known already need no pass; the rest come in order, as many as fit.
    new = middle & ~layer.known
    new &= new.cumsum(dim=1) <= missing[:, None]
    return torch.where(whole[:, None], unknown, new)
