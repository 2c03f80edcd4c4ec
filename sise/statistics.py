"""Shares with their intervals, and how alike two maps are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
"""Of every interval."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Rate:
    """`hits` of `trials`, 0 <= hits <= trials."""

    hits: int
    trials: int

    @property
    def share(self) -> float | None:
        """In [0, 1]; None without trials."""
        return self.hits / self.trials if self.trials else None

    @property
    def interval(self) -> Interval | None:
        """Wilson's interval (Wilson, JASA 1927); None without trials.

        It takes trials to be independent. Patches of one strip are not: for them it is too
        narrow, and the interval over strips is the safer one.
        """
        # A plain install of sise comes without scipy, and makes maps without intervals.
        from scipy.stats import binomtest

        if not self.trials:
            return None
        interval = binomtest(self.hits, self.trials).proportion_ci(LEVEL, method="wilson")
        return float(interval.low), float(interval.high)


def pearson(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Pearson's correlation of maps, pixel by pixel: (…, H, W) twice -> (…), in [-1, 1].

    NaN where one of the two is constant, or has a value that is not finite.
    """
    flat = [maps.reshape(*maps.shape[:-2], -1).astype(np.float64) for maps in (one, other)]
    constant = np.logical_or(*(maps.min(axis=-1) == maps.max(axis=-1) for maps in flat))
    first, second = (maps - maps.mean(axis=-1, keepdims=True) for maps in flat)
    spread = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    correlation = (first * second).sum(axis=-1) / np.where(constant, np.nan, spread)
    return np.asarray(correlation.clip(-1, 1))
