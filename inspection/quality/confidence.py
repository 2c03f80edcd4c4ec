"""How sure the model is, and whether it is right as often as it is sure.

Confidence is the probability of the most probable class, as in Guo et al. (ICML 2017).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from inspection.pipeline.policy import NORMAL, probability_column
from inspection.quality.labels import MIN_PIXELS, true_column
from training.calibration import ECE_BINS, bins_of, calibration_error

HISTOGRAM_BINS = 20

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """Patches with a confidence in (low, high], 0 in the first bin too.

    `confidence` and `accuracy` are their means, in [0, 1]; None for an empty bin, accuracy also
    where the truth is not known.
    """

    low: float
    high: float
    patches: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Reliability:
    """The reliability curve, and ECE: the bins' gaps between confidence and accuracy, weighted
    by their patches; in [0, 1], 0 is best, None without patches."""

    bins: tuple[Bin, ...]
    ece: float | None


def confidence(patches: pd.DataFrame, classes: Sequence[str]) -> Floats:
    """The confidence of each row of patches, in [0, 1]."""
    columns = [probability_column(name) for name in classes]
    top: Floats = patches[columns].to_numpy(np.float64).max(axis=1, initial=0.0)
    return top


def histogram(patches: pd.DataFrame, classes: Sequence[str]) -> tuple[Bin, ...]:
    """Patches with steel by confidence, in 20 equal bins of [0, 1]."""
    return _bins(confidence(patches[patches["steel"]], classes), None, HISTOGRAM_BINS)


def reliability(patches: pd.DataFrame, classes: Sequence[str]) -> Reliability:
    """The reliability curve of rows of `outcomes.add_outcome`, in 15 equal bins as in training.

    A patch with steel and known truth is right if it shows its predicted class; a normal one if
    normal is predicted.
    """
    known = patches[patches["steel"] & patches["truth_known"]]
    right = (known["predicted"] == NORMAL) & (known["true_class"] == NORMAL)
    for name in classes:
        if name != NORMAL:
            right |= (known["predicted"] == name) & (known[true_column(name)] >= MIN_PIXELS)
    sure, hits = confidence(known, classes), right.to_numpy(bool)
    ece = calibration_error(sure, hits) if len(known) else None
    return Reliability(_bins(sure, hits, ECE_BINS), ece)


def _bins(values: Floats, right: npt.NDArray[np.bool_] | None, number: int) -> tuple[Bin, ...]:
    edges = np.linspace(0, 1, number + 1)
    bin_of = bins_of(values, number)
    bins = []
    for index in range(number):
        own = bin_of == index
        some = bool(own.any())
        bins.append(
            Bin(
                low=float(edges[index]),
                high=float(edges[index + 1]),
                patches=int(own.sum()),
                confidence=float(values[own].mean()) if some else None,
                accuracy=float(right[own].mean()) if some and right is not None else None,
            )
        )
    return tuple(bins)
