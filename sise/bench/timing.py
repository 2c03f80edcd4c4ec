"""The arithmetic of `sise bench`: work timed in turn with bare forward passes.

Machines are shared and noisy. So each piece of work stands between two runs of bare forward
passes, is compared with these two alone, and the median of all comparisons is taken. Clocks
are given, so that nothing here depends on real time.
"""

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Clock = Callable[[], float]
"""The time in seconds, once the device has finished what it was given."""
Work = Callable[[], int]
"""Does something, and returns how many images went through the network for it."""

_MOST_BATCHES = 1000


@dataclass(frozen=True)
class Pair:
    """`passes` in `seconds`, beside `bare_rate` bare forward passes per second."""

    passes: int
    seconds: float
    bare_rate: float

    @property
    def rate(self) -> float:
        """Passes per second."""
        return self.passes / self.seconds

    @property
    def ratio(self) -> float:
        """The share of the bare forward rate that was reached."""
        return self.rate / self.bare_rate


@dataclass(frozen=True)
class Timing:
    """At least one pair."""

    pairs: tuple[Pair, ...]

    @property
    def rate(self) -> float:
        """Passes per second, the median of the pairs."""
        return statistics.median(pair.rate for pair in self.pairs)

    @property
    def ratio(self) -> float:
        """The share of the bare forward rate, the median of the pairs."""
        return statistics.median(pair.ratio for pair in self.pairs)

    @property
    def ratio_range(self) -> tuple[float, float]:
        """The least and the greatest ratio of a pair."""
        ratios = [pair.ratio for pair in self.pairs]
        return min(ratios), max(ratios)


def in_turn(
    work: Iterable[Work],
    bare: Work,
    clock: Clock,
    limit: float = math.inf,
    least: int = 1,
) -> Timing:
    """Time bare, work, bare, work, …, bare; each work beside the bare runs around it.

    After `limit` seconds of work no more is begun, but for the first `least`. `work` holds at
    least one piece.
    """
    pairs = []
    spent = 0.0
    before = _timed(bare, clock)
    for piece in work:
        passes, seconds = _timed(piece, clock)
        after = _timed(bare, clock)
        bare_rate = (before[0] + after[0]) / (before[1] + after[1])
        pairs.append(Pair(passes, seconds, bare_rate))
        before = after
        spent += seconds
        if spent >= limit and len(pairs) >= least:
            break
    return Timing(tuple(pairs))


def batches_lasting(seconds: float, one: Callable[[], object], clock: Clock) -> int:
    """How many times `one`, which is warmed up here, must run to take so many seconds.

    At least 1, and at most 1000.
    """
    one()
    start = clock()
    one()
    each = max(clock() - start, seconds / _MOST_BATCHES)
    return max(1, math.ceil(seconds / each)) if each else 1


def _timed(work: Work, clock: Clock) -> tuple[int, float]:
    start = clock()
    passes = work()
    return passes, clock() - start
