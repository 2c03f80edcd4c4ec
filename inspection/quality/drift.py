"""Whether scores have moved since training: top-1 confidence against the model's reference.

The reference is in the bundle's card, as `metrics["confidence"]`:
{"split": "val", "crops": N, "quantiles": [201 numbers]}: the quantiles of the calibrated top-1
probability over the crops of that split, at 0, 0.5, …, 100 %. A batch has another mix of classes
than the training set, so that a difference says "look", not "the model is wrong".
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import kstwobign

QUANTILES = 201
PSI_BINS = 10
DIGITS = 6
"""Both sides are rounded to as many. A sure model's scores are 1 but for the last bits of a float,
and what is 1 in the reference must not count as more than what is nearly 1 in the batch."""
NO_REFERENCE = "the bundle's card has no metrics.confidence to compare with"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """Top-1 confidence on `split`: its `quantiles` (201,) ascending in [0, 1], of `crops`."""

    split: str
    crops: int
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Drift:
    """`psi`: population stability index over the reference's deciles, from 0. `ks`: the largest
    distance of the two distribution functions, in [0, 1]; `p`: how probable a distance at least
    as large is without drift, were patches independent (they are not: it errs towards drift).
    `level`: the usual words for `psi`: below 0.1, below 0.25, and above."""

    psi: float
    ks: float
    p: float
    patches: int

    @property
    def level(self) -> Literal["stable", "moderate", "large"]:
        return "stable" if self.psi < 0.1 else "moderate" if self.psi < 0.25 else "large"


def reference(metrics: Mapping[str, Any]) -> Reference | None:
    """The reference that a model card's metrics hold; None if there is none, or none usable."""
    entry: Any = metrics.get("confidence")
    try:
        quantiles = np.array(entry["quantiles"], np.float64)
        known = Reference(str(entry["split"]), int(entry["crops"]), tuple(quantiles.tolist()))
    except (KeyError, TypeError, ValueError):
        return None
    in_order = bool((np.diff(quantiles) >= 0).all()) if quantiles.shape == (QUANTILES,) else False
    usable = in_order and quantiles[0] >= 0 and quantiles[-1] <= 1 and known.crops > 0
    return known if usable else None


def drift(confidence: Floats, known: Reference) -> Drift | None:
    """Compare the confidence (N,) of a batch's patches with the reference; None without patches."""
    if not len(confidence):
        return None
    confidence = confidence.round(DIGITS)
    known = replace(known, quantiles=tuple(np.array(known.quantiles).round(DIGITS).tolist()))
    distance = _ks(confidence, known)
    sizes = len(confidence) * known.crops / (len(confidence) + known.crops)
    p = float(kstwobign.sf(np.sqrt(sizes) * distance))
    return Drift(_psi(confidence, known), distance, p, len(confidence))


def _psi(confidence: Floats, known: Reference) -> float:
    """Σ (a − e) ln(a / e), half a patch added to each bin so that none is empty."""
    step = (QUANTILES - 1) // PSI_BINS
    edges = np.unique(np.array(known.quantiles)[step:-1:step])
    below = share_up_to(edges, known)
    expected = np.diff(below, prepend=0, append=1) * known.crops
    actual = np.bincount(np.searchsorted(edges, confidence), minlength=len(edges) + 1)
    shares = [(counts + 0.5) / (counts + 0.5).sum() for counts in (actual, expected)]
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())


def _ks(confidence: Floats, known: Reference) -> float:
    places = np.unique(np.concatenate([confidence, known.quantiles]))
    own = np.searchsorted(np.sort(confidence), places, side="right") / len(confidence)
    return float(np.abs(own - share_up_to(places, known)).max())


def share_up_to(places: Floats, known: Reference) -> Floats:
    """The reference's distribution function: linear between its quantiles, a step where equal."""
    shares = np.linspace(0, 1, QUANTILES)
    below: Floats = np.interp(places, known.quantiles, shares, left=0.0, right=1.0)
    return below
