"""How alike two maps of an image are: `MEASURES`, after Adebayo et al. 2018."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from scipy.stats import spearmanr
from skimage.feature import hog
from skimage.metrics import structural_similarity

from sise.metrics import has_order

_CELL = 16


@dataclass(frozen=True)
class Measure:
    """A number in [-1, 1] of two maps (H, W) in [0, 1], 1 for equal ones.

    `decides`: whether the verdict looks at it.
    """

    title: str
    compare: Callable[[torch.Tensor, torch.Tensor], float]
    decides: bool = True


def similarities(one: torch.Tensor, other: torch.Tensor) -> dict[str, float]:
    """Every measure of two maps (H, W); NaN if one of them is constant, or no map at all."""
    if not bool(has_order(torch.stack([one, other])).all()):
        return dict.fromkeys(MEASURES, float("nan"))
    return {name: measure.compare(one, other) for name, measure in MEASURES.items()}


def ssim(one: torch.Tensor, other: torch.Tensor) -> float:
    """Structural similarity in windows of 7×7 px, with data range 1 (Wang et al. 2004)."""
    alike = structural_similarity(one.numpy(), other.numpy(), data_range=1.0)  # type: ignore[no-untyped-call]
    return float(alike)


def rank_correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Spearman's, over all pixels; equal pixels share their mean rank."""
    return float(spearmanr(one.numpy().ravel(), other.numpy().ravel()).statistic)


def hog_similarity(one: torch.Tensor, other: torch.Tensor) -> float:
    """Pearson correlation of the histograms of oriented gradients in cells of 16×16 px.

    NaN for maps smaller than the 3×3 cells that a histogram is normalised over.
    """
    if min(one.shape) < 3 * _CELL:
        return float("nan")
    features = [hog(each.numpy(), pixels_per_cell=(_CELL, _CELL)) for each in (one, other)]
    if min(np.ptp(feature) for feature in features) == 0:
        return float("nan")
    return float(np.corrcoef(*features)[0, 1])


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "ssim": Measure("SSIM", ssim),
        "rank": Measure("rank correlation", rank_correlation),
        "hog": Measure("HOG similarity", hog_similarity, decides=False),
    }
)
