"""How good a map is, per image: `METRICS`, one entry each.

A metric takes a `Case`, a batch of maps with what else is known of them, and gives one number per
image, NaN where it is undefined. Nothing is averaged here: means, intervals and tests are for
whoever compares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import torch

from sise.errors import SiseError
from sise.fills import Fill, masked

MIOU_SHARE = 0.2
KEPT_SHARE = 0.15
RIM = 8

# Scores of images (K, 3, H, W) for classes (K,) int64: (K,), such as softmax probabilities.
Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Probe:
    """The model that was explained, for metrics that ask it again.

    `images` (B, 3, H, W) as the model takes them, `targets` (B,) int64 the classes explained,
    `score` the model's answer, `fill` what becomes of pixels that a metric takes away: a Drop
    without its fill named means nothing.
    """

    images: torch.Tensor
    targets: torch.Tensor
    score: Score
    fill: Fill = "grey"

    @cached_property
    def whole(self) -> torch.Tensor:
        """Ψ(I): (B,)."""
        return self.score(self.images, self.targets)

    def keeping(self, pixels: torch.Tensor) -> torch.Tensor:
        """Ψ of the images with only `pixels` (B, H, W) bool kept: (B,)."""
        return self.score(masked(self.images, pixels, self.fill), self.targets)


@dataclass(frozen=True, eq=False)
class Case:
    """Maps (B, H, W) ≥ 0, and what they are held against.

    `truth` (B, H, W) bool, the pixels of the defect or object; `probe`, the model.
    """

    maps: torch.Tensor
    truth: torch.Tensor | None = None
    probe: Probe | None = None

    @cached_property
    def scores(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Ψ(I) and Ψ of the top 15 % of the map alone, (B,) each; NaN for a map without order."""
        probe = self._given_probe
        kept = probe.keeping(top_share(self.maps, KEPT_SHARE))
        return probe.whole, torch.where(has_order(self.maps), kept, torch.nan)

    @property
    def given_truth(self) -> torch.Tensor:
        """The truth. Raises SiseError if there is none."""
        if self.truth is None:
            raise SiseError("this metric needs the ground truth; give truth=")
        return self.truth

    @property
    def _given_probe(self) -> Probe:
        if self.probe is None:
            raise SiseError("this metric asks the model; give probe=")
        return self.probe


@dataclass(frozen=True)
class Metric:
    """A number per image. `better` tells which direction is, `needs` what a case must carry."""

    title: str
    better: Literal["higher", "lower", "none"]
    needs: Literal["map", "truth", "model"]
    measure: Callable[[Case], torch.Tensor]


def measure(case: Case) -> dict[str, torch.Tensor]:
    """Every metric that the case has what it needs for: name -> (B,) float."""
    known = {"map": True, "truth": case.truth is not None, "model": case.probe is not None}
    with torch.no_grad():
        return {
            name: metric.measure(case) for name, metric in METRICS.items() if known[metric.needs]
        }


def ebpg(maps: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Energy-based pointing game, ‖S ⊙ G‖₁ / ‖S‖₁: maps, truth (B, H, W) -> (B,) in [0, 1].

    NaN for an empty truth and for a map of zeros.
    """
    inside = (maps * truth).sum(dim=(1, 2)) / maps.sum(dim=(1, 2))
    return torch.where(truth.any(dim=2).any(dim=1), inside, torch.nan)


def miou(maps: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Intersection over union of the map's top 20 % with the truth: (B,) in [0, 1].

    The paper's mIoU is its mean over images. NaN for an empty truth and for a constant map.
    """
    top = top_share(maps, MIOU_SHARE)
    shared = (top & truth).sum(dim=(1, 2)) / (top | truth).sum(dim=(1, 2))
    return torch.where(truth.any(dim=2).any(dim=1) & has_order(maps), shared, torch.nan)


def bbox(maps: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Share of the truth's N pixels that are among the map's top N: (B,) in [0, 1].

    NaN for an empty truth and for a constant map.
    """
    count = truth.sum(dim=(1, 2))
    found = (top_pixels(maps, count) & truth).sum(dim=(1, 2)) / count
    return torch.where(has_order(maps), found, torch.nan)


def drop(whole: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """max(0, Ψ(I) − Ψ(I ⊙ T)) / Ψ(I) of each image: (B,), (B,) -> (B,) in [0, 1].

    NaN where Ψ(I) is 0 or a score is NaN.
    """
    return (whole - kept).clamp(min=0) / whole


def increase(whole: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """1 where the kept part scores higher than the whole image, else 0: (B,), (B,) -> (B,).

    NaN where a score is NaN.
    """
    rises = (kept > whole).to(whole.dtype)
    return torch.where(whole.isnan() | kept.isnan(), torch.nan, rises)


def border_energy(maps: torch.Tensor, rim: int = RIM) -> torch.Tensor:
    """Share of the map's energy within `rim` px of the border over that rim's share of the area.

    Maps (B, H, W) -> (B,) ≥ 0; 1 is even. NaN for a map of zeros. What lies within the border is
    the image's own affair: compare maps of the same images.
    """
    height, width = maps.shape[1:]
    energy = maps.sum(dim=(1, 2))
    inner = maps[:, rim : height - rim, rim : width - rim]
    inner_share = inner.sum(dim=(1, 2)) / energy
    inner_area = inner[0].numel() / maps[0].numel()
    return (1 - inner_share).clamp(min=0) / (1 - inner_area)


def top_share(maps: torch.Tensor, share: float) -> torch.Tensor:
    """The round(share · pixels) largest values of each map: (B, H, W) -> (B, H, W) bool.

    Among equals the first pixel in reading order wins.
    """
    count = round(share * maps[0].numel())
    return top_pixels(maps, torch.full((len(maps),), count, device=maps.device))


def top_pixels(maps: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """The `counts` (B,) int64 largest values of each map: (B, H, W) -> (B, H, W) bool."""
    flat = maps.flatten(1)
    order = flat.argsort(dim=1, descending=True, stable=True)
    wanted = torch.arange(flat.shape[1], device=maps.device) < counts[:, None]
    return torch.zeros_like(wanted).scatter(1, order, wanted).view_as(maps)


def has_order(maps: torch.Tensor) -> torch.Tensor:
    """Whether a map ranks its pixels at all, being not constant: (B, H, W) -> (B,) bool."""
    return maps.amin(dim=(1, 2)) < maps.amax(dim=(1, 2))


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "ebpg": Metric("EBPG", "higher", "truth", lambda c: ebpg(c.maps, c.given_truth)),
        "miou": Metric("mIoU", "higher", "truth", lambda c: miou(c.maps, c.given_truth)),
        "bbox": Metric("Bbox", "higher", "truth", lambda c: bbox(c.maps, c.given_truth)),
        "drop": Metric("Drop", "lower", "model", lambda c: drop(*c.scores)),
        "increase": Metric("Increase", "higher", "model", lambda c: increase(*c.scores)),
        "border": Metric("border energy", "none", "map", lambda c: border_energy(c.maps)),
    }
)
