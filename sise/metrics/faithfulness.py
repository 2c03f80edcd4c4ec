"""Metrics that ask the model again: does its score follow the pixels that the map ranks high?

What becomes of pixels that are taken away is the fill, and a Drop without its fill named means
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from sise.baselines import Fill, Masker
from sise.metrics.inputs import MetricInput, ModelQuery

KEPT_SHARE = 0.15
STEPS = 20


@dataclass(frozen=True, eq=False)
class PerturbationScores:
    """Scores of images that lose pixels to `fill`; the model is asked no question twice.

    Curves have `steps` steps. Scores are NaN for a map without order, which is not asked about.
    """

    inputs: MetricInput
    fill: Fill = "grey"
    steps: int = STEPS

    @cached_property
    def whole(self) -> torch.Tensor:
        """Ψ(I) of each map's image: (B,)."""
        return self._per_map(self._query.whole)

    @cached_property
    def kept(self) -> torch.Tensor:
        """Ψ of the top 15 % of the map alone: (B,)."""
        return self._scores([self._kept_count], keep_first=True)[0]

    @cached_property
    def removed(self) -> torch.Tensor:
        """Ψ of all but the top 15 % of the map: (B,)."""
        return self._scores([self._kept_count], keep_first=False)[0]

    @cached_property
    def counts(self) -> list[int]:
        """Pixels inserted or deleted at each of the curves' steps + 1 points."""
        return [round(step / self.steps * self._pixels) for step in range(self.steps + 1)]

    @cached_property
    def inserted(self) -> torch.Tensor:
        """Ψ with the first `counts` pixels of the map's order kept: (steps + 1, B)."""
        known = {0: self._nothing, self._pixels: self._ordered(self.whole)}
        if self._kept_count in self.counts:
            known = {self._kept_count: self.kept} | known
        return self._curve(known, keep_first=True)

    @cached_property
    def deleted(self) -> torch.Tensor:
        """Ψ with the first `counts` pixels of the map's order taken away: (steps + 1, B)."""
        known = {0: self._ordered(self.whole), self._pixels: self._nothing}
        if self._kept_count in self.counts:
            known = {self._kept_count: self.removed} | known
        return self._curve(known, keep_first=False)

    @property
    def _query(self) -> ModelQuery:
        return self.inputs.given_query

    @property
    def _pixels(self) -> int:
        return self.inputs.maps[0].numel()

    @property
    def _kept_count(self) -> int:
        return round(KEPT_SHARE * self._pixels)

    @cached_property
    def _masker(self) -> Masker:
        return Masker(self._query.images, self.fill)

    @cached_property
    def _nothing(self) -> torch.Tensor:
        """Ψ where nothing of the image is left."""
        images = self._query.images
        owners = torch.arange(len(images), device=images.device)
        empty = torch.zeros(len(images), *images.shape[2:], device=images.device)
        return self._ordered(self._per_map(self._query.asked(self._masker.masked(owners, empty))))

    def _per_map(self, values: torch.Tensor) -> torch.Tensor:
        return values.expand(len(self.inputs.maps))

    def _ordered(self, scores: torch.Tensor) -> torch.Tensor:
        return torch.where(self.inputs.ordered, scores, torch.nan)

    def _curve(self, known: dict[int, torch.Tensor], keep_first: bool) -> torch.Tensor:
        asked = sorted(set(self.counts) - known.keys())
        scores = dict(zip(asked, self._scores(asked, keep_first), strict=True))
        return torch.stack([(known | scores)[count] for count in self.counts])

    def _scores(self, counts: Sequence[int], keep_first: bool) -> torch.Tensor:
        """Ψ with only the first `counts` pixels, or with all but these: (len(counts), B).

        The masked images of all counts and maps stand in one row, so that memory holds a fixed
        number of them at a time, however many there are.
        """
        inputs, query = self.inputs, self._query
        owners = inputs.ordered.nonzero()[:, 0]
        wanted = torch.tensor(counts, dtype=torch.int64, device=owners.device)
        scores = self.whole.new_full((len(counts), len(inputs.maps)), torch.nan)
        if len(owners) == 0 or len(wanted) == 0:
            return scores
        targets = self._per_map(query.targets)
        scored = []
        for part in torch.split(torch.cartesian_prod(wanted, owners), query.at_once):
            count, of = part.unbind(dim=1)
            pixels = (inputs.places[of] < count[:, None, None]) == keep_first
            scored.append(query.score(self._masker.masked(of, pixels), targets[of]))
        scores[:, owners] = torch.cat(scored).view(len(counts), len(owners))
        return scores


def drop(whole: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """max(0, Ψ(I) − Ψ(I ⊙ T)) / Ψ(I) of each image: (B,), (B,) -> (B,) in [0, 1].

    NaN where Ψ(I) is 0 or a score is NaN.
    """
    return (whole - kept).clamp(min=0) / whole


def left(whole: torch.Tensor, removed: torch.Tensor) -> torch.Tensor:
    """min(1, Ψ(I ⊙ (1 − T)) / Ψ(I)), what stays without the top 15 %: (B,), (B,) -> (B,) in [0, 1].

    Drop's counterpart, and as that it does not count by how much a score rises. NaN where Ψ(I) is 0
    or a score is NaN.
    """
    return torch.where(whole == 0, torch.nan, (removed / whole).clamp(max=1))


def increase(whole: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """1 where the kept part scores higher than the whole image, else 0: (B,), (B,) -> (B,).

    NaN where a score is NaN.
    """
    rises = (kept > whole).to(whole.dtype)
    return torch.where(whole.isnan() | kept.isnan(), torch.nan, rises)


def area(curve: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Area under scores (points, B) against the share of pixels: (B,), by the trapezoidal rule.

    `counts` are the pixels at each point, from 0 to all. In [0, 1] for probabilities, NaN where a
    score is (Petsiuk et al., BMVC 2018).
    """
    shares = torch.tensor(counts, device=curve.device, dtype=curve.dtype) / counts[-1]
    return torch.trapezoid(curve, shares, dim=0)
