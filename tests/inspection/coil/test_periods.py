"""Roll marks on made-up coils, where the truth is known."""

import math

import numpy as np
import pytest
from scipy.stats import chi2

from inspection.coil.periods import HARMONICS, RollMark, Search, find_marks
from inspection.coil.periods import _spectrum as spectrum

LENGTH = 200.0


def coil(noise: np.random.Generator, others: int, length: float = LENGTH) -> np.ndarray:
    return noise.uniform(0, length, others)


def marked(
    noise: np.random.Generator,
    period: float,
    *,
    length: float = LENGTH,
    missing: float = 0.2,
    jitter: float = 0.005,
    others: int = 20,
) -> np.ndarray:
    """Turns from 0.3 m on, of which some are missing, among others that lie anywhere."""
    turns = 0.3 + period * np.arange(int((length - 0.3 - 0.05) / period) + 1)
    seen = turns[noise.random(len(turns)) >= missing]
    places = np.concatenate(
        [seen + noise.normal(0, jitter, len(seen)), coil(noise, others, length)]
    )
    return np.clip(places, 0, length)


def periods(groups: list[np.ndarray], length: float = LENGTH) -> list[float]:
    return sorted(round(mark.period, 2) for _, mark in find_marks(groups, length))


def test_the_score_is_that_of_buccheri() -> None:
    events = np.array([0.35, 2.96, 5.3, 9.87])
    frequencies, score = spectrum(events, 10.0, Search())
    place = len(score) // 3
    rounded = (events / 0.005).astype(int) * 0.005
    waves = 2 * math.pi * frequencies[place] * rounded
    expected = sum(
        2 / 4 * (np.cos(n * waves).sum() ** 2 + np.sin(n * waves).sum() ** 2)
        for n in range(1, HARMONICS + 1)
    )
    assert score[place] == pytest.approx(expected)
    assert frequencies[0] == pytest.approx(1 / 6.3, abs=0.01)
    assert frequencies[-1] == pytest.approx(1 / 0.3, abs=0.01)


def test_a_mark_is_told_with_its_period_its_turns_and_its_roll() -> None:
    # Eight turns of a roll of 0.80 m, of which the fifth was not seen.
    turns = 1.0 + 2.51 * np.array([0, 1, 2, 3, 5, 6, 7])
    ((group, mark),) = find_marks([np.array([3.0]), turns], 25.0)
    assert group == 1
    assert mark.period == pytest.approx(2.51, abs=1e-6)
    assert (mark.first, mark.turns) == (pytest.approx(1.0), 8)
    assert mark.members == (0, 1, 2, 3, 4, 5, 6)
    assert mark.diameter == pytest.approx(0.799, abs=5e-4)
    assert 0 < mark.p < 0.01


def test_members_are_the_places_of_the_positions_given() -> None:
    positions = np.array([9.0, 7.03, 1.0, 5.0, 3.0, 11.0, 5.9])
    ((_, mark),) = find_marks([positions], 12.0)
    assert mark.period == pytest.approx(2.0, abs=0.01)
    assert mark.members == (2, 4, 3, 1, 0, 5)


def test_without_a_mark_hardly_ever_one_is_told() -> None:
    noise = np.random.default_rng(1)
    coils = [[coil(noise, 15, 30.0) for _ in range(2)] for _ in range(200)]
    assert sum(bool(find_marks(groups, 30.0)) for groups in coils) <= 6, "1 % are 2"


@pytest.mark.slow
@pytest.mark.parametrize(("others", "groups"), [(6, 1), (30, 4), (200, 2)])
def test_without_a_mark_on_a_long_coil_hardly_ever_one_is_told(others: int, groups: int) -> None:
    noise = np.random.default_rng(others)
    coils = 300
    false = sum(
        bool(find_marks([coil(noise, others) for _ in range(groups)], LENGTH)) for _ in range(coils)
    )
    assert false <= 8, "1 % of 300 are 3, and 9 come by chance in 1 of 250 such tests"


@pytest.mark.parametrize(
    ("period", "length", "missing", "others"),
    [
        (2.51, 20, 0.0, 2), (2.51, 60, 0.2, 20), (2.51, 200, 0.2, 50), (0.5, 200, 0.2, 50),
        (6.0, 200, 0.2, 20), (0.35, 60, 0.1, 30),
    ],
)  # fmt: skip
def test_a_mark_is_found_with_its_own_period(
    period: float, length: float, missing: float, others: int
) -> None:
    # Neither half of it nor twice it, in 19 of 20 coils or more.
    noise = np.random.default_rng(int(100 * period))
    found = [
        periods([marked(noise, period, length=length, missing=missing, others=others)], length)
        for _ in range(40)
    ]
    assert sum(one[:1] == [pytest.approx(period, abs=0.011)] for one in found) >= 38


def test_a_mark_on_a_part_of_the_coil_ends_where_it_ends() -> None:
    noise = np.random.default_rng(4)
    part = 100 + marked(noise, 1.9, length=40, missing=0.1, others=0)
    ((_, mark),) = find_marks([np.concatenate([part, coil(noise, 15)])], LENGTH)
    assert mark.period == pytest.approx(1.9, abs=0.005)
    assert 98 <= mark.first <= 104
    assert mark.first + (mark.turns - 1) * mark.period <= 142


@pytest.mark.parametrize("pair", [(2.51, 1.7), (1.0, 2.0)])
def test_two_rolls_are_two_marks(pair: tuple[float, float]) -> None:
    noise = np.random.default_rng(5)
    both = np.concatenate(
        [marked(noise, pair[0], others=10), 0.43 + marked(noise, pair[1], others=0)]
    )
    assert periods([np.clip(both, 0, LENGTH)]) == sorted(pair)


def test_what_is_no_mark() -> None:
    three = np.array([1.0, 3.0, 5.0])
    assert find_marks([three], 10.0) == []
    assert find_marks([], 10.0) == []
    scratch = 4 + 0.02 * np.arange(60)  # one long defect, in many patches
    assert find_marks([scratch], 100.0) == []
    too_short = 0.2 * np.arange(50)
    assert periods([too_short], 10.0) != [0.2]


def test_the_rate_of_false_alarms_is_that_of_the_search() -> None:
    turns = 1.0 + 2.51 * np.arange(5)
    ((_, mark),) = find_marks([turns], 14.0)
    assert find_marks([turns], 14.0, Search(false_alarms=mark.p / 2)) == []
    # As many trials in each of two groups: twice the rate for the same score.
    ((_, twice),) = find_marks([turns, np.array([1.0, 4.4, 7.1, 9.3])], 14.0)
    assert twice.p == pytest.approx(2 * mark.p)
    score = chi2.isf(mark.p / (HARMONICS * 14 * (1 / 0.3 - 1 / 6.3)), 2 * HARMONICS)
    assert score == pytest.approx(2 * 5 * HARMONICS, rel=0.01), "all in step"


def test_a_roll_of_one_metre_turns_every_pi_metres() -> None:
    assert RollMark(math.pi, 0.0, 4, (0, 1, 2, 3), 0.001).diameter == 1.0
