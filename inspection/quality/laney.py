"""The rate of flagged patches on a Laney p′ chart: is this batch like the earlier ones?

Source: D. B. Laney, "Improved control charts for attributes", Quality Engineering 14 (2002),
531-537. Limits of an ordinary p chart take patches of a strip for independent; with many patches
they collapse, and every strip is an alarm. Laney widens them by how much the strips really vary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import fmean

FEWEST = 8
"""Earlier subgroups below which there are no limits: their spread is not known."""

MEAN_RANGE = 1.128
"""d₂ for two: the mean moving range of independent normal values of standard deviation 1."""

SIGMAS = 3.0


@dataclass(frozen=True)
class Subgroup:
    """A strip or coil of a batch: `flagged` of `patches` that were judged."""

    batch: str
    name: str
    flagged: int
    patches: int

    @property
    def rate(self) -> float:
        """Share of flagged patches; there is at least one patch."""
        return self.flagged / self.patches


@dataclass(frozen=True)
class Baseline:
    """What earlier subgroups say: `centre`, the mean rate p̄; `sigma_z`, how many times more
    they vary than by chance within subgroups (1: an ordinary p chart)."""

    centre: float
    sigma_z: float
    subgroups: int

    def limits(self, patches: int) -> tuple[float, float]:
        """p̄ ± 3 σ_p σ_z for a subgroup of that many patches, cut to [0, 1]."""
        reach = SIGMAS * self.sigma_z * sqrt(self.centre * (1 - self.centre) / patches)
        return max(0.0, self.centre - reach), min(1.0, self.centre + reach)


@dataclass(frozen=True)
class Point:
    """A subgroup of the batch on the chart; limits None without a baseline."""

    subgroup: Subgroup
    low: float | None
    high: float | None

    @property
    def outside(self) -> bool:
        """Whether the rate lies beyond a limit."""
        if self.low is None or self.high is None:
            return False
        return not self.low <= self.subgroup.rate <= self.high


@dataclass(frozen=True)
class Chart:
    """The earlier subgroups in order of time, the batch's points in order, and the baseline;
    without one, `why_no_limits` tells why."""

    earlier: tuple[Subgroup, ...]
    points: tuple[Point, ...]
    baseline: Baseline | None
    why_no_limits: str


def baseline(earlier: Sequence[Subgroup]) -> Baseline | str:
    """The baseline of earlier subgroups in order of time, or why there is none.

    z = (p − p̄) / σ_p with σ_p = √(p̄ (1 − p̄) / n); σ_z is the mean of |z − the z before| over
    1.128. Subgroups without patches are left out.
    """
    judged = [subgroup for subgroup in earlier if subgroup.patches]
    if len(judged) < FEWEST:
        return f"{len(judged)} earlier subgroups; limits need {FEWEST}"
    flagged, patches = (sum(getattr(s, name) for s in judged) for name in ("flagged", "patches"))
    centre = flagged / patches
    if centre in (0, 1):
        return f"all or none of the earlier {patches} patches were flagged; rates have no spread"
    scores = [
        (subgroup.rate - centre) / sqrt(centre * (1 - centre) / subgroup.patches)
        for subgroup in judged
    ]
    ranges = [abs(after - before) for before, after in pairwise(scores)]
    return Baseline(centre, fmean(ranges) / MEAN_RANGE, len(judged))


def chart(batch: Sequence[Subgroup], earlier: Sequence[Subgroup]) -> Chart:
    """Put the batch's subgroups on a chart whose limits come from earlier ones alone."""
    known = baseline(earlier)
    before, judged = (
        tuple(subgroup for subgroup in group if subgroup.patches) for group in (earlier, batch)
    )
    if isinstance(known, str):
        points = tuple(Point(subgroup, None, None) for subgroup in judged)
        return Chart(before, points, None, known)
    points = tuple(Point(subgroup, *known.limits(subgroup.patches)) for subgroup in judged)
    return Chart(before, points, known, "")
