"""Roll marks: indications that repeat along a coil at one interval.

A damaged roll prints its mark once a turn, so the interval is its circumference. Positions are
searched as arrival times of a pulsar are: by Z²_n, the power at a frequency and its first
harmonics (Buccheri et al., Astronomy & Astrophysics 128, 1983). Without a mark, positions lie
anywhere, and Z²_n follows χ² with 2 n degrees of freedom; with the number of frequencies and groups
tried, that gives the rate of false alarms.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log, pi

import numpy as np
import numpy.typing as npt
from scipy.fft import next_fast_len, rfft
from scipy.stats import chi2

HARMONICS = 5
CELL_M = 0.005
"""Positions are counted in cells of so many metres."""
_PER_WIDTH = 2 * HARMONICS  # frequencies tried per width of a peak: none falls between two
_NEARLY_BEST = 0.8
_HIT_SHARE = 0.8  # of the turns of a mark that are found, as assumed where its stretch is cut out
_MOST_MARKS = 5
_MOST_PEAKS = 8

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Search:
    """What is looked for: periods from `shortest` to `longest` in m, of rolls from about 0.1 to
    2 m in diameter; `tolerance`, m, by which a mark may lie off; at least `repeats` of them; and
    `false_alarms`, the rate of coils without a mark in which one is reported, at most."""

    shortest: float = 0.3
    longest: float = 6.3
    tolerance: float = 0.03
    repeats: int = 4
    false_alarms: float = 0.01


@dataclass(frozen=True)
class RollMark:
    """Indications that repeat: every `period` m from `first` m on, in `turns` turns, of which the
    `members` (places in the positions given, in order) are those found. `p` bounds how often
    chance does as much in such a coil."""

    period: float
    first: float
    turns: int
    members: tuple[int, ...]
    p: float

    @property
    def diameter(self) -> float:
        """Of the roll, m, if the steel does not slip."""
        return self.period / pi


def find_marks(
    groups: Sequence[Floats], length: float, search: Search | None = None
) -> list[tuple[int, RollMark]]:
    """The roll marks of a coil, each with the place of its group, the surest first.

    `groups` are positions along the coil, m in [0, `length`], of what may have one cause: a class
    in a lane. Positions nearer than the tolerance are one.
    """
    search = search or Search()
    tried = [(place, group) for place, group in enumerate(groups) if len(group) >= search.repeats]
    found = [
        (place, mark)
        for place, group in tried
        for mark in _marks_of(np.asarray(group, np.float64), length, search, len(tried))
    ]
    return sorted(found, key=lambda one: one[1].p)


def _marks_of(positions: Floats, length: float, search: Search, groups: int) -> Iterator[RollMark]:
    left = np.argsort(positions, kind="stable")
    for _ in range(_MOST_MARKS):
        mark = _best(positions, left, length, search, groups)
        if mark is None:
            return
        yield mark
        near = np.abs(positions[left][:, None] - positions[list(mark.members)]).min(axis=1)
        left = left[near > search.tolerance]


def _best(
    positions: Floats, left: npt.NDArray[np.intp], length: float, search: Search, groups: int
) -> RollMark | None:
    """The surest mark among the positions at the places `left`, None if chance may do as much."""
    apart = left[np.diff(positions[left], prepend=-np.inf) > search.tolerance]
    if len(apart) < search.repeats:
        return None
    events = positions[apart]
    trials = groups * HARMONICS * max(1.0, length * (1 / search.shortest - 1 / search.longest))
    least = float(chi2.isf(search.false_alarms / trials, 2 * HARMONICS))
    chosen: RollMark | None = None
    for period, score in _candidates(events, length, search, least):
        p = float(trials * chi2.sf(score, 2 * HARMONICS))
        stretch = _stretch(events, period, search)
        # Half of a mark's turns lie at twice its period, too: its own has the most of them.
        if stretch is not None and (chosen is None or len(stretch[3]) > len(chosen.members)):
            period, first, turns, members = stretch
            chosen = RollMark(period, first, turns, tuple(apart[members].tolist()), p)
    return chosen


def _spectrum(events: Floats, length: float, search: Search) -> tuple[Floats, Floats]:
    """Frequencies, 1/m, and Z²_n of each."""
    cells = ceil(max(length, float(events.max()), search.longest) / CELL_M) + 1
    counts = np.bincount((events / CELL_M).astype(np.intp), minlength=cells)
    size = next_fast_len(cells * _PER_WIDTH, real=True)
    power = 2 * np.abs(rfft(counts, size)) ** 2 / len(events)
    step = 1 / (size * CELL_M)
    low, high = ceil(1 / search.longest / step), int(1 / search.shortest / step)
    index = np.arange(low, min(high, (len(power) - 1) // HARMONICS) + 1)
    score: Floats = sum((power[index * n] for n in range(1, HARMONICS + 1)), np.zeros(len(index)))
    return index * step, score


def _candidates(
    events: Floats, length: float, search: Search, least: float
) -> Iterator[tuple[float, float]]:
    """Periods to try, m, with their Z²_n, which is `least` or more. What repeats every T has as
    much power at T/2, T/3, …: so the multiples of what stands out are tried, too."""
    frequencies, score = _spectrum(events, length, search)
    if not len(score) or score.max() < 0.9 * least:
        return
    step = float(frequencies[1] - frequencies[0]) if len(score) > 1 else 0.0
    out = np.flatnonzero(score >= _NEARLY_BEST * score.max())
    peaks = out[np.diff(out, prepend=-_PER_WIDTH) >= _PER_WIDTH][:_MOST_PEAKS]
    tried = {
        round(float(frequencies[peak]) / n / step)
        for peak in peaks
        for n in range(1, int(search.longest * frequencies[peak]) + 1)
    }
    for place in sorted(tried):
        around = step * (place + np.linspace(-2, 2, 81)) if step else frequencies
        waves = np.exp(2j * pi * around[:, None] * events)
        power = sum(np.abs((waves**n).sum(axis=1)) ** 2 for n in range(1, HARMONICS + 1))
        best = int(np.argmax(power))
        if 2 * power[best] / len(events) >= least:
            yield float(1 / around[best]), float(2 * power[best] / len(events))


def _phase(events: Floats, period: float, tolerance: float) -> float:
    """Around where most events lie within a turn, m."""
    within = np.sort(events % period)
    twice = np.concatenate([within, within + period])
    until = np.searchsorted(twice, within + 2 * tolerance, side="right")
    begin = int((until - np.arange(len(within))).argmax())
    return float(np.median(twice[begin : until[begin]]))


def _stretch(
    events: Floats, period: float, search: Search
) -> tuple[float, float, int, npt.NDArray[np.intp]] | None:
    """Period, first position, turns and members of the stretch of the coil in which events repeat
    at about this period; None if there are too few, or more than two in five are missing."""
    phase = _phase(events, period, search.tolerance)
    for _ in range(3):
        turn = np.round((events - phase) / period)
        off = np.abs(events - phase - turn * period)
        close = np.flatnonzero(off <= search.tolerance)
        close = close[np.lexsort((off[close], turn[close]))]
        close = close[np.diff(turn[close], prepend=-np.inf) > 0]
        if len(close) < search.repeats:
            return None
        close = close[_dense(turn[close], len(events) * 2 * search.tolerance / np.ptp(events))]
        if len(close) < search.repeats:
            return None
        period, phase = np.polyfit(turn[close], events[close], 1).tolist()
    turns = int(turn[close[-1]] - turn[close[0]]) + 1
    if len(close) < 0.6 * turns or not search.shortest <= period <= search.longest:
        return None
    return float(period), float(phase + period * turn[close[0]]), turns, close


def _dense(turn: Floats, chance: float) -> slice:
    """The run of hits that speaks most for a mark: each hit for it, each turn missed against."""
    chance = min(max(chance, 1e-6), 0.5)
    hit, miss = log(_HIT_SHARE / chance), log((1 - _HIT_SHARE) / (1 - chance))
    best, begin, total, start = -np.inf, slice(0, 0), 0.0, 0
    for place in range(len(turn)):
        gap = miss * (turn[place] - turn[place - 1] - 1) if place else 0.0
        if total + gap <= 0:
            total, start, gap = 0.0, place, 0.0
        total += gap + hit
        if total > best:
            best, begin = total, slice(start, place + 1)
    return begin
