"""Whether scores have moved since training: top-1 confidence against the model's reference.

The reference is in the bundle's card, as `metrics["confidence"]`:
{"split": "val", "crops": N, "quantiles": [201 numbers]}: the quantiles of the calibrated top-1
probability over the crops of that split, at 0, 0.5, …, 100 %. A batch has another mix of classes
than the training set, so that a difference says "look", not "the model is wrong".

A small batch differs from the reference by chance alone. Without drift PSI is about
(1/n + 1/m) χ², of one degree of freedom less than there are bins (Yurdakul, "Statistical properties
of the population stability index", 2018), n patches against m crops. Patches of a strip are alike:
n is divided by the design effect of the strips (Rao and Scott, J. Am. Stat. Assoc. 76, 1981).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, kstwobign

from inspection.words import word

QUANTILES = 201
PSI_BINS = 10
MODERATE, LARGE = 0.1, 0.25
"""PSI from which it is usual to speak of a moderate, of a large drift."""
FEWEST_STRIPS = 8
"""Below, their spread cannot be told."""
CONFIDENCE = 0.99
DIGITS = 6
"""Both sides are rounded to as many. A sure model's scores are 1 but for the last bits of a float,
and what is 1 in the reference must not count as more than what is nearly 1 in the batch."""
NO_REFERENCE = word("the bundle's card has no metrics.confidence to compare with")

Floats = npt.NDArray[np.float64]
Level = Literal["unknown", "stable", "moderate", "large"]


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
    as large is without drift. `effective` is the number of independent patches that say as much
    as these `patches`, 0 where too few strips tell; `noise` the PSI that 1 % of such batches
    exceed without drift, None with `effective` 0.

    `level`: the usual words for `psi`, below 0.1, below 0.25, and above; "unknown" where chance
    alone may pass the limit in question.
    """

    psi: float
    ks: float
    p: float
    patches: int
    effective: float
    noise: float | None

    @property
    def level(self) -> Level:
        if self.noise is None:
            return "unknown"
        if self.psi >= LARGE and self.noise <= LARGE:
            return "large"
        if self.noise > MODERATE:
            return "unknown"
        return "stable" if self.psi < MODERATE else "moderate"


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


def drift(confidence: Floats, strips: npt.NDArray[np.int64], known: Reference) -> Drift | None:
    """Compare the confidence (N,) of a batch's patches with the reference; `strips` (N,) numbers
    the strip of each from 0. None without patches."""
    if not len(confidence):
        return None
    confidence = confidence.round(DIGITS)
    known = replace(known, quantiles=tuple(np.array(known.quantiles).round(DIGITS).tolist()))
    distance = _ks(confidence, known)
    step = (QUANTILES - 1) // PSI_BINS
    edges = np.unique(np.array(known.quantiles)[step:-1:step])
    expected = np.diff(share_up_to(edges, known), prepend=0, append=1)
    counts = np.zeros((int(strips.max()) + 1, len(expected)))
    np.add.at(counts, (strips, np.searchsorted(edges, confidence)), 1)
    psi = _psi(counts.sum(axis=0), expected * known.crops)
    effective = _effective(counts[counts.any(axis=1)], expected)
    if not effective:
        return Drift(psi, distance, 1.0, len(confidence), 0.0, None)
    both = 1 / effective + 1 / known.crops
    noise = both * float(chi2.ppf(CONFIDENCE, len(expected) - 1)) if len(expected) > 1 else 0.0
    p = float(kstwobign.sf(distance / np.sqrt(both)))
    return Drift(psi, distance, p, len(confidence), effective, noise)


def _psi(actual: Floats, expected: Floats) -> float:
    """Σ (a − e) ln(a / e) of counts per bin, half a patch added to each so that none is empty."""
    shares = [(counts + 0.5) / (counts + 0.5).sum() for counts in (actual, expected)]
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())


def _effective(counts: Floats, expected: Floats) -> float:
    """How many independent patches say as much as `counts` (strips, bins) do of the bins' shares;
    0 where there are too few strips to tell. `expected` (bins,) are the shares without drift."""
    strips, bins = counts.shape
    if strips < FEWEST_STRIPS:
        return 0.0
    patches = counts.sum()
    shares = counts.sum(axis=0) / patches
    apart = counts - counts.sum(axis=1, keepdims=True) * shares
    variance = strips / (strips - 1) * (apart**2).sum(axis=0) / patches**2
    effect = patches * (variance / np.maximum(expected, 1 / patches)).sum() / max(bins - 1, 1)
    return float(patches / max(effect, 1.0))


def _ks(confidence: Floats, known: Reference) -> float:
    places = np.unique(np.concatenate([confidence, known.quantiles]))
    own = np.searchsorted(np.sort(confidence), places, side="right") / len(confidence)
    return float(np.abs(own - share_up_to(places, known)).max())


def share_up_to(places: Floats, known: Reference) -> Floats:
    """The reference's distribution function: linear between its quantiles, a step where equal."""
    shares = np.linspace(0, 1, QUANTILES)
    below: Floats = np.interp(places, known.quantiles, shares, left=0.0, right=1.0)
    return below
