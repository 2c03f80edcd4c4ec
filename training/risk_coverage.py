"""Above which confidence the machine may decide alone: error among the crops that it decides.

Confidence is the calibrated probability of the most probable class. Accepting only crops of at
least some confidence gives a *coverage*, the share that is accepted, and a *risk*, the share of
these that is classified wrongly (El-Yaniv and Wiener, JMLR 2010).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from sise.statistics import LEVEL, Rate
from training.calibration import Floats

DEFAULT_RISK = 0.02
POINTS = 40
"""Of the curve that the card tells: at 2.5, 5, …, 100 % coverage."""

TRIED = tuple(step / 20 for step in range(20, 0, -1))
"""The shares of the crops that `choose` tries to accept, the largest first."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Alone:
    """The crops of at least `min_confidence`: how many of `crops`, how many of them are wrong.

    `bound` is an upper bound of the risk that holds with a probability of 95 %.
    """

    min_confidence: float
    crops: int
    wrong: Rate
    bound: float

    @property
    def coverage(self) -> float:
        """Share of all crops, in [0, 1]."""
        return self.wrong.trials / self.crops

    def as_dict(self) -> dict[str, Any]:
        """As JSON values; what is undefined is null."""
        return {
            "min_confidence": self.min_confidence,
            "coverage": self.coverage,
            "accepted": self.wrong.trials,
            "wrong": self.wrong.hits,
            "risk": self.wrong.share,
            "risk_at_most": self.bound,
        }


@dataclass(frozen=True)
class RiskCoverage:
    """The curve on some crops: `confidence` (N,), descending, and the mean number of wrong ones
    among the first 1 to N, `wrong` (N,), were crops of one confidence in random order."""

    confidence: Floats
    wrong: Floats

    @property
    def coverage(self) -> Floats:
        """1/N, 2/N, …, 1."""
        crops = len(self.confidence)
        return np.arange(1, crops + 1) / crops

    @property
    def risk(self) -> Floats:
        """The share of wrong ones at each coverage, in [0, 1]."""
        return self.wrong / np.arange(1, len(self.wrong) + 1)

    @property
    def aurc(self) -> float:
        """Area under the curve, the mean of its N risks (Geifman et al., ICLR 2019); 0 is best."""
        return float(self.risk.mean())

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, the curve at `POINTS` or fewer."""
        crops = len(self.confidence)
        last = np.unique(np.ceil(np.arange(1, POINTS + 1) * crops / POINTS).astype(int)) - 1
        columns = {"coverage": self.coverage, "confidence": self.confidence, "risk": self.risk}
        return {
            "crops": crops,
            "aurc": self.aurc,
            "curve": {name: column[last].round(6).tolist() for name, column in columns.items()},
        }


def curve(confidence: Floats, wrong: Flags) -> RiskCoverage:
    """The curve of crops with their confidence (N,) and whether they are wrong (N,); N ≥ 1."""
    order = np.argsort(-confidence, kind="stable")
    values, which, alike = np.unique(-confidence, return_inverse=True, return_counts=True)
    share = np.bincount(which, weights=wrong, minlength=len(values)) / alike
    return RiskCoverage(confidence[order], np.cumsum(np.repeat(share, alike)))


def alone(
    confidence: Floats, wrong: Flags, min_confidence: float, doubt: float = 1 - LEVEL
) -> Alone:
    """The crops of at least a confidence that was chosen on other crops; `doubt` that the bound
    holds."""
    accepted = confidence >= min_confidence
    rate = Rate(int(wrong[accepted].sum()), int(accepted.sum()))
    return Alone(min_confidence, len(wrong), rate, upper_bound(rate, doubt))


def choose(confidence: Floats, wrong: Flags, risk: float) -> Alone | None:
    """The lowest confidence above which the true risk stays below `risk`, in (0, 1).

    That holds with a probability of 95 % over the crops, which are taken to be independent, though
    the confidence is chosen on them; None if there is none. Source: Geifman and El-Yaniv, Selective
    Classification for Deep Neural Networks, NeurIPS 2017: the bounds of several confidences hold
    together if each gets its part of the 5 %. Theirs are the steps of a binary search, which few
    crops mislead, as their bound is wide whatever their risk; these accept fixed shares, `TRIED`.
    """
    ordered = np.sort(confidence)[::-1]
    for share in TRIED:
        least = float(ordered[int(np.ceil(share * len(ordered))) - 1])
        found = alone(confidence, wrong, least, (1 - LEVEL) / len(TRIED))
        if found.bound < risk:
            return found
    return None


def upper_bound(rate: Rate, doubt: float) -> float:
    """The upper end of Clopper and Pearson's one-sided interval at a confidence of 1 − doubt."""
    if rate.hits == rate.trials:
        return 1.0
    return float(beta.ppf(1 - doubt, rate.hits + 1, rate.trials - rate.hits))


def crops_needed(risk: float) -> int:
    """How many crops `choose` must accept, all of them right, to be sure of a risk below `risk`."""
    return int(np.ceil(np.log((1 - LEVEL) / len(TRIED)) / np.log1p(-risk)))
