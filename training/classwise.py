"""Calibration by class, and how far the crops can tell it.

The classwise ECE of a class compares its probability with its share of the crops, over all crops,
whatever is predicted (Kull et al., NeurIPS 2019; Nixon et al., CVPR workshops 2019, call their mean
the static calibration error). Of a rare class it is small, as most of its probabilities are.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sise.statistics import LEVEL, Interval
from training.answers import Answers
from training.calibration import ECE_BINS, Floats, bins_of
from training.resampling import resamples

DRAWS = 300


@dataclass(frozen=True)
class CalibrationError:
    """An ECE in [0, 1] with its 95 % interval, None with too few groups.

    `by_chance`: perfectly calibrated probabilities would stay below it on 95 % of such splits.
    """

    ece: float
    interval: Interval | None
    by_chance: float

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"ece": self.ece, "interval": self.interval, "by_chance": self.by_chance}


@dataclass(frozen=True)
class Calibration:
    """ECE of the confidence, as `evaluate` has it, and the classwise ECE of each class by name."""

    confidence: CalibrationError
    classes: dict[str, CalibrationError]

    @property
    def classwise_ece(self) -> float:
        """The mean over the classes."""
        return float(np.mean([error.ece for error in self.classes.values()]))

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, for the card."""
        return {
            "confidence": self.confidence.as_dict(),
            "classwise_ece": self.classwise_ece,
            "per_class": {name: error.as_dict() for name, error in self.classes.items()},
        }


def calibration(answers: Answers) -> Calibration:
    """Measure the probabilities of a split.

    ECE adds up what chance leaves in each bin, and the bootstrap adds as much again. So the
    interval is reflected (the basic one: Efron and Tibshirani 1993, chapter 13), within [0, 1], and
    begins at 0 where the ECE is no larger than by chance, as told by labels that are drawn from the
    probabilities (consistency resampling: Bröcker and Smith, Weather and Forecasting 2007). In
    simulations with 100 and 1,000 crops it held the true value in 80 to 97 % of cases; of
    calibrated probabilities the percentile interval never did.
    """
    columns = _Columns(answers.probabilities)
    measured = columns.errors(answers.labels)
    drawn = [columns.errors(answers.labels, often) for often in resamples(answers.groups, DRAWS)]
    generator = np.random.default_rng(0)
    sums = answers.probabilities.cumsum(axis=1)
    sums /= sums[:, -1:]
    chance = [
        columns.errors((generator.random((len(sums), 1)) >= sums).sum(axis=1)) for _ in range(DRAWS)
    ]
    by_chance = np.quantile(chance, LEVEL, axis=0)
    tail = (1 - LEVEL) / 2
    edges = np.quantile(drawn, [1 - tail, tail], axis=0) if drawn else None
    errors = []
    for index, ece in enumerate(measured):
        interval = None
        if edges is not None:
            low, high = np.clip(2 * ece - edges[:, index], 0, 1)
            interval = (0.0 if ece <= by_chance[index] else float(low), float(high))
        errors.append(CalibrationError(float(ece), interval, float(by_chance[index])))
    return Calibration(errors[-1], dict(zip(answers.classes, errors, strict=False)))


class _Columns:
    """The probability of each class, and the confidence behind them: columns to be calibrated."""

    def __init__(self, probabilities: Floats) -> None:
        self._predicted = probabilities.argmax(axis=1)
        self._values = np.column_stack([probabilities, probabilities.max(axis=1)])
        columns = self._values.shape[1]
        self._bins = bins_of(self._values, ECE_BINS) + ECE_BINS * np.arange(columns)

    def errors(self, labels: npt.NDArray[Any], often: Floats | None = None) -> Floats:
        """The ECE of each column, were each crop there so `often` (N,)."""
        classes = np.arange(self._values.shape[1] - 1)
        right = np.column_stack([labels[:, None] == classes, labels == self._predicted])
        gaps = right - self._values
        if often is not None:
            gaps *= often[:, None]
        size = self._values.shape[1] * ECE_BINS
        sums = np.bincount(self._bins.ravel(), gaps.ravel(), size).reshape(-1, ECE_BINS)
        total = len(labels) if often is None else often.sum()
        return np.asarray(np.abs(sums).sum(axis=1) / total)
