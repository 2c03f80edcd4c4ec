"""Means over items, with bootstrap intervals over their images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sise.evaluation.statistics import LEVEL, intervals, means, per_image

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
    """Over `items` that have a value; `low` and `high` bound the interval, NaN if too few."""

    mean: float
    low: float
    high: float
    items: int


NONE = Mean(float("nan"), float("nan"), float("nan"), 0)


def means_of(
    values: Floats, images: npt.NDArray[Any], seed: int, level: float = LEVEL
) -> list[Mean]:
    """The mean of each column of `values` (items, columns), NaN left out; `images` (items,)."""
    known = np.flatnonzero(~np.isnan(values).all(axis=0))
    found = [NONE] * values.shape[1]
    if len(known):
        codes = np.unique(images.astype(str), return_inverse=True)[1].astype(np.int64)
        data = per_image(values[:, known], codes)
        low, high = intervals(data, seed, level=level)
        for place, column in enumerate(known):
            found[column] = Mean(
                float(means(data)[place]),
                float(low[place]),
                float(high[place]),
                int(data.items[place]),
            )
    return found
