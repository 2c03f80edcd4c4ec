"""Thresholds of least cost, against searches of all that there are."""

from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.pipeline.policy import PolicyFile, flag, probability_column
from training.thresholds import NEVER, Priced, choose, cost_per_crop, flagged, sweep, sweep_together

HALF = 0.5


def priced(crops: list[tuple[float, ...]], escape: list[float], overkill: list[float]) -> Priced:
    """Crops by their probabilities; the normal ones, of no escape, cost `overkill` by class."""
    normal = np.array(escape) == 0
    return Priced(
        np.array(crops, float),
        np.array(escape, float),
        np.where(normal[:, None], np.array(overkill, float), 0.0),
    )


ONE = priced([(0.9,), (0.6,), (0.4,), (0.3,), (0.1,)], [5, 0, 5, 0, 0], [1])
"""Of one class, from high to low: defect, normal, defect, normal, normal."""


def test_the_cost_of_every_threshold_by_hand() -> None:
    found = sweep(ONE, np.array([HALF]), 0)
    assert found.upper.tolist() == [1.0, 0.9, 0.6, 0.4, 0.3, 0.1]
    assert found.lower.tolist() == [0.9, 0.6, 0.4, 0.3, 0.1, 0.0]
    # Both escape; then one; then one, and an overkill; then one, two and three overkills.
    assert found.cost.tolist() == [10, 5, 6, 1, 2, 3]
    assert found.best() == pytest.approx(0.35)
    # A patch is flagged from its threshold on: 0.4 itself still flags the crop of 0.4.
    assert found.at(np.array([1, 0.9, 0.5, 0.4, 0.35, 0.3, 0.05])).tolist() == [
        10, 5, 6, 1, 1, 2, 3,
    ]  # fmt: skip


def test_equal_costs_go_to_the_widest_room() -> None:
    # An overkill as dear as an escape: one of them is paid from 0.7 to 0.95, and up to 0.2.
    tied = sweep(priced([(0.95,), (0.7,), (0.2,)], [1, 0, 1], [1]), np.array([HALF]), 0)
    assert tied.cost.tolist() == [2, 1, 2, 1]
    assert tied.best() == pytest.approx(0.825), "0.25 wide, against 0.2"
    tied = sweep(priced([(0.95,), (0.9,), (0.2,)], [1, 0, 1], [1]), np.array([HALF]), 0)
    assert tied.best() == pytest.approx(0.1), "0.2 wide, against 0.05"


def test_thresholds_stay_within_what_a_card_takes() -> None:
    sure = priced([(1.0,), (1.0,), (0.0,)], [0, 3, 1], [1])
    found = sweep(sure, np.array([HALF]), 0)
    # Nothing lies above a probability of 1, and a threshold of 0 is none.
    assert (found.lower.tolist(), found.upper.tolist()) == ([0.0], [1.0])
    assert found.cost.tolist() == [2.0]
    assert 0 < found.best() < 1
    for escape in ([0, 0], [1, 1]):
        best = sweep(priced([(0.5,), (0.25,)], escape, [1]), np.array([HALF]), 0).best()
        assert best == (0.75 if escape == [0, 0] else 0.125), "none flagged, all flagged"


def test_a_crop_that_another_class_flags_needs_no_second_flag() -> None:
    # Class 1 finds the first; class 2 finds the second, and would find the first for an overkill.
    crops = [(0.8, 0.3), (0.0, 0.6), (0.1, 0.4)]
    both = priced(crops, [9, 9, 0], [1, 1])
    chosen = choose(both, np.array([HALF, HALF]), np.array([True, True]))
    assert cost_per_crop(both, chosen).sum() == 0
    assert chosen[1] == pytest.approx(0.5), "midway between 0.4 and 0.6"


def test_fixed_thresholds_stay() -> None:
    both = priced([(0.8, 0.3), (0.2, 0.6), (0.7, 0.1)], [9, 9, 0], [1, 1])
    chosen = choose(both, np.array([0.75, HALF]), np.array([False, True]))
    assert chosen[0] == 0.75
    assert chosen[1] == pytest.approx(0.35), "0.1 to 0.6 all cost the same"
    assert choose(both, np.array([0.6, 0.7]), np.array([False, False])).tolist() == [0.6, 0.7]


def test_the_threshold_of_all_classes_together_by_hand() -> None:
    # No class reaches a half. Together: defect 0.8, normal 0.625, defect 0.5, normal 0.25; the
    # last defect is found by its own class.
    four = [(0.4, 0.4), (0.25, 0.375), (0.25, 0.25), (0.125, 0.125), (0.75, 0.0)]
    on = priced(four, [5, 0, 5, 0, 5], [1, 2])
    halves = np.array([HALF, HALF])
    found = sweep_together(on, halves)
    assert found.upper.tolist() == pytest.approx([1.0, 0.8, 0.625, 0.5, 0.25])
    assert found.cost.tolist() == [10, 5, 7, 2, 3], "the normal ones indicate class 2, then class 1"
    assert found.best() == pytest.approx((0.5 + 0.25) / 2)
    for threshold, cost in ((0.9, 10), (0.8, 5), (0.6, 7), (0.5, 2), (0.1, 3)):
        assert cost_per_crop(on, halves, threshold).sum() == cost


@st.composite
def crops(draw: st.DrawFn, classes: int) -> Priced:
    """Crops on a coarse grid, so that many are equal, with costs that differ by class."""
    rows = draw(st.integers(1, 9))
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    probabilities = generator.integers(0, 9, (rows, classes)) / 8
    labels = generator.integers(0, classes + 1, rows)
    escape = np.concatenate([[0], generator.integers(1, 20, classes)])[labels]
    overkill = generator.integers(1, 4, classes)
    return Priced(
        probabilities.astype(float),
        escape.astype(float),
        np.where(labels[:, None] == 0, overkill, 0).astype(float),
    )


def cost_by_policy(on: Priced, thresholds: np.ndarray, together: float = NEVER) -> float:
    """The same cost, crop by crop, from what inspection's own rule flags and indicates."""
    names = [f"class {index + 1}" for index in range(len(thresholds))]
    rows = pd.DataFrame(on.probabilities, columns=[probability_column(name) for name in names])
    limits = dict(zip(names, thresholds.tolist(), strict=True))
    policy = PolicyFile(name="mill", version="1", any_defect_threshold=together)
    rows = rows.assign(black_fraction=0.0, p_normal=1 - on.probabilities.sum(axis=1))
    decided = flag(rows, ("normal", *names), limits, policy)
    return sum(
        on.overkill[row, names.index(indicated)] if indicated else on.escape[row]
        for row, indicated in enumerate(decided["indicated"])
    )


def candidates(values: np.ndarray) -> list[float]:
    """One threshold in (0, 1] of each that decides differently."""
    edges = sorted({0.0, 1.0, *values.tolist()})
    return [(low + high) / 2 for low, high in pairwise(edges)]


@settings(max_examples=50)
@given(crops(1))
def test_one_class_is_exact(on: Priced) -> None:
    chosen = choose(on, np.array([HALF]), np.array([True]))
    tried = candidates(on.probabilities[:, 0])
    least = min(cost_per_crop(on, np.array([threshold])).sum() for threshold in tried)
    assert cost_by_policy(on, chosen) == pytest.approx(least)
    assert 0 < chosen[0] <= 1


@settings(max_examples=30)
@given(crops(3))
def test_no_threshold_alone_could_be_better(on: Priced) -> None:
    start = np.full(3, HALF)
    chosen = choose(on, start, np.full(3, True))
    cost = cost_by_policy(on, chosen)
    assert cost == pytest.approx(cost_per_crop(on, chosen).sum())
    assert cost <= cost_by_policy(on, start) + 1e-9
    for of in range(3):
        for value in candidates(on.probabilities[:, of]):
            other = chosen.copy()
            other[of] = value
            assert cost_per_crop(on, other).sum() >= cost - 1e-9
    together = sweep_together(on, chosen).best()
    cost = cost_by_policy(on, chosen, together)
    assert cost == pytest.approx(cost_per_crop(on, chosen, together).sum())
    for value in candidates(on.probabilities.sum(axis=1).clip(max=1)):
        assert cost_per_crop(on, chosen, value).sum() >= cost - 1e-9


def test_all_combinations_are_seldom_better() -> None:
    generator = np.random.default_rng(0)
    missed = 0
    for _ in range(60):
        labels = generator.integers(0, 3, 16)
        logits = generator.normal(0, 1, (16, 3)) + 1.5 * np.eye(3)[labels]
        odds = np.exp(logits)
        on = Priced(
            (odds / odds.sum(axis=1, keepdims=True))[:, 1:],
            np.array([0.0, 10, 3])[labels],
            np.where(labels[:, None] == 0, 1.0, 0.0) * np.ones(2),
        )
        tried = product(*(candidates(column) for column in on.probabilities.T))
        least = min(cost_per_crop(on, np.array(one)).sum() for one in tried)
        found = cost_per_crop(on, choose(on, np.full(2, HALF), np.full(2, True))).sum()
        missed += found > least + 1e-9
    assert missed <= 2


def test_flags_and_classes_are_the_policys() -> None:
    flags, indicated = flagged(np.array([[0.3, 0.6], [0.45, 0.55]]), np.array([0.2, 0.9]))
    assert (flags.tolist(), indicated.tolist()) == ([True, True], [0, 0])
