"""Thresholds of least expected cost, by the policy's own rule: one class that reaches its
threshold flags a patch, or all defect classes together that reach theirs.

Each class's threshold is swept over the sorted probabilities, which is exact while the others
stay; classes are swept in turn until no sweep lowers the cost. As one class may flag what another
then need not, this may stop short of the best combination; several starts make that rare. The
threshold of all together is swept last, so that it flags what no class does where that pays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from training.calibration import Floats

NEVER = np.inf
"""As a start only: no crop reaches it."""

STARTS = (NEVER, 0.3, 0.1, 0.03)
"""From which thresholds, of all classes at once, to descend."""

_EQUAL = 1e-9
"""Costs that differ by less, as a share of all that there is to pay, are the same."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Priced:
    """Crops, and what each decision on them costs.

    `probabilities` (N, D) of the defect classes; `escape` (N,): not to flag the crop;
    `overkill` (N, D): to flag it as that class. Costs are 0 or more, and finite.
    """

    probabilities: Floats
    escape: Floats
    overkill: Floats

    def times(self, weights: Floats) -> "Priced":
        """The same crops, each counted `weights` (N,) times, 0 or more."""
        some = weights > 0
        escape, overkill = self.escape[some], self.overkill[some]
        often = weights[some]
        return Priced(self.probabilities[some], escape * often, overkill * often[:, None])


def flagged(
    probabilities: Floats, thresholds: Floats, together: float = NEVER
) -> tuple[Flags, npt.NDArray[np.int64]]:
    """Whether each crop (N,) is flagged, and the class that it would indicate then.

    As `inspection.pipeline.policy.flag`: the most probable class of those that reach their
    threshold, or of all where only their sum reaches `together`.
    """
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    own = reached.max(axis=1) >= 0
    indicated = np.where(own, reached.argmax(axis=1), probabilities.argmax(axis=1))
    return own | (probabilities.sum(axis=1) >= together), indicated


def cost_per_crop(priced: Priced, thresholds: Floats, together: float = NEVER) -> Floats:
    """What the decision on each crop costs: (N,)."""
    flags, indicated = flagged(priced.probabilities, thresholds, together)
    as_class = priced.overkill[np.arange(len(indicated)), indicated]
    return np.where(flags, as_class, priced.escape)


@dataclass(frozen=True)
class Sweep:
    """The cost of all thresholds of one class, those of the others as they are.

    From `lower` (exclusive) to `upper` (inclusive) it is `cost`; each (M,), M at least 1, from high
    thresholds to low, together (0, 1].
    """

    lower: Floats
    upper: Floats
    cost: Floats

    @property
    def middles(self) -> Floats:
        """The threshold in each interval that lies farthest from the crops on both sides."""
        return np.asarray((self.lower + self.upper) / 2)

    def best(self) -> float:
        """The threshold of least cost; of several the one with most room around it, in (0, 1)."""
        scale = max(float(self.cost.max()), 1e-300)
        least = self.cost <= self.cost.min() + _EQUAL * scale
        room = np.where(least, self.upper - self.lower, 0.0)
        return float(self.middles[room.argmax()])

    def at(self, thresholds: Floats) -> Floats:
        """The cost of thresholds (K,) in (0, 1]."""
        return self.cost[np.searchsorted(-self.lower, -thresholds, side="right")]


def sweep(priced: Priced, thresholds: Floats, of: int, together: float = NEVER) -> Sweep:
    """Sweep the threshold of class `of` (0 to D−1) over (0, 1]."""
    others = thresholds.copy()
    others[of] = NEVER
    without = cost_per_crop(priced, others, together)
    others[of] = 0.0
    change = cost_per_crop(priced, others, together) - without
    return _swept(without, change, priced.probabilities[:, of])


def sweep_together(priced: Priced, thresholds: Floats) -> Sweep:
    """Sweep the threshold of all defect classes together over (0, 1]."""
    without = cost_per_crop(priced, thresholds)
    change = cost_per_crop(priced, thresholds, 0.0) - without
    return _swept(without, change, priced.probabilities.sum(axis=1).clip(max=1))


def _swept(without: Floats, change: Floats, probabilities: Floats) -> Sweep:
    """From what each crop costs unless it reaches the threshold, and by how much that changes."""
    matters = change != 0
    values, which = np.unique(probabilities[matters], return_inverse=True)
    steps = np.bincount(which, weights=change[matters], minlength=len(values))[::-1]
    edges = np.concatenate([[1.0], values[::-1], [0.0]])
    cost = without.sum() + np.concatenate([[0.0], np.cumsum(steps)])
    there = edges[:-1] > edges[1:]  # no threshold lies above a probability of 1, or below one of 0
    return Sweep(edges[1:][there], edges[:-1][there], cost[there])


def choose(priced: Priced, start: Floats, free: Flags, starts: Sequence[float] = STARTS) -> Floats:
    """Thresholds (D,) of least cost, those not `free` (D,) as in `start`; each in (0, 1].

    No other threshold of a single class costs less, and none of `start` does.
    """
    if not free.any():
        return start
    classes = np.flatnonzero(free)
    begun = [start, *(np.where(free, value, start) for value in starts)]
    found = [_descend(priced, *one) for one in product(begun, (classes, classes[::-1]))]
    costs = [cost_per_crop(priced, one).sum() for one in found]
    return found[int(np.argmin(costs))]


def _descend(priced: Priced, start: Floats, classes: npt.NDArray[np.int64]) -> Floats:
    thresholds = start.copy()
    cost = np.inf
    while True:
        for of in classes:
            thresholds[of] = sweep(priced, thresholds, int(of)).best()
        now = cost_per_crop(priced, thresholds).sum()
        if not now < cost * (1 - _EQUAL):
            return thresholds
        cost = now
