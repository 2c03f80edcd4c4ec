"""Intervals and tests against counting by hand, scipy and known coverage."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sise.evaluation.statistics import PerImage, holm, intervals, means, per_image, sign_flip


def test_items_of_an_image_are_gathered_without_the_undefined() -> None:
    values = np.array([[1.0, np.nan], [2.0, 5.0], [4.0, np.nan]])
    data = per_image(values, np.array([7, 3, 7]))
    assert data.sums.tolist() == [[2.0, 5.0], [5.0, 0.0]]
    assert data.counts.tolist() == [[1.0, 1.0], [2.0, 0.0]]
    assert means(data).tolist() == [pytest.approx(7 / 3), 5.0]
    assert data.items.tolist() == [3, 1]
    assert data.images.tolist() == [2, 1]


def test_a_column_without_a_value_has_no_mean_and_no_interval() -> None:
    data = per_image(np.full((8, 1), np.nan), np.arange(8))
    assert np.isnan(means(data)).all()
    assert np.isnan(intervals(data, seed=0, resamples=10)).all()
    assert np.isnan(sign_flip(data, seed=0)).all()


def test_an_interval_is_what_scipy_finds() -> None:
    values = np.random.default_rng(1).exponential(size=60)
    low, high = intervals(per_image(values[:, None], np.arange(60)), seed=0)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=2
    ).confidence_interval
    assert (low[0], high[0]) == pytest.approx(theirs, abs=0.02)


def test_items_of_one_image_carry_no_information_of_their_own() -> None:
    values = np.random.default_rng(0).normal(size=40)
    single = per_image(values[:, None], np.arange(40))
    tenfold = per_image(np.repeat(values, 10)[:, None], np.repeat(np.arange(40), 10))
    alone, together = (np.array(intervals(one, 0, 2000)) for one in (single, tenfold))
    assert together == pytest.approx(alone, abs=1e-5)


def test_intervals_hold_the_truth_nineteen_times_in_twenty() -> None:
    """300 columns of independent normals with mean 0; the percentile interval is a bit narrow."""
    values = np.random.default_rng(0).normal(size=(50, 300))
    low, high = intervals(per_image(values, np.arange(50)), seed=0, resamples=1000)
    assert 0.90 <= np.mean((low <= 0) & (high >= 0)) <= 0.98


def test_a_seed_repeats_an_interval_and_another_does_not() -> None:
    data = per_image(np.random.default_rng(0).normal(size=(20, 1)), np.arange(20))
    assert intervals(data, 0, 500) == intervals(data, 0, 500)
    assert intervals(data, 0, 500) != intervals(data, 1, 500)


def test_chunks_of_draws_are_all_used(monkeypatch: pytest.MonkeyPatch) -> None:
    data = per_image(np.random.default_rng(0).normal(size=(30, 2)), np.arange(30))
    whole = np.array(intervals(data, 0, 1000)), sign_flip(data, 0, 1000)
    monkeypatch.setattr("sise.evaluation.statistics._CHUNK", 30 * 7)
    assert np.array(intervals(data, 0, 1000)) == pytest.approx(whole[0], abs=1e-6)
    assert sign_flip(data, 0, 1000) == pytest.approx(whole[1], abs=0.05)


def test_fewer_than_six_images_give_neither_interval_nor_p() -> None:
    for images, said in ((5, False), (6, True)):
        data = per_image(np.arange(1.0, images + 1)[:, None], np.arange(images))
        assert np.isfinite(intervals(data, 0, 100)).all() == said
        assert np.isfinite(sign_flip(data, 0)).all() == said


def test_six_differences_of_one_sign_are_counted_out() -> None:
    """Only all kept and all reversed are as extreme: 2 of 64."""
    data = per_image(np.arange(1.0, 7.0)[:, None], np.arange(6))
    assert sign_flip(data, seed=0) == pytest.approx([2 / 64])


@settings(max_examples=25)
@given(st.lists(st.integers(-4, 4), min_size=6, max_size=8))
def test_all_signs_are_counted_ties_included(differences: list[int]) -> None:
    total = abs(sum(differences))
    ways = list(product((1, -1), repeat=len(differences)))
    extreme = sum(
        abs(sum(s * d for s, d in zip(way, differences, strict=True))) >= total for way in ways
    )
    data = per_image(np.array(differences, float)[:, None], np.arange(len(differences)))
    assert sign_flip(data, seed=0) == pytest.approx([extreme / len(ways)])


def test_random_signs_agree_with_scipy_and_with_all_signs() -> None:
    differences = np.random.default_rng(3).normal(0.35, 1, size=14)
    data = per_image(differences[:, None], np.arange(14))
    exact = sign_flip(data, seed=0)
    theirs = stats.permutation_test(
        (differences, np.zeros(14)),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert exact == pytest.approx([theirs.pvalue], abs=1e-9)
    assert sign_flip(data, seed=0, flips=10_000) == pytest.approx(exact, abs=0.02)
    assert sign_flip(data, seed=0, flips=10_000) != exact


def test_p_of_random_signs_is_never_nought() -> None:
    data = PerImage(np.ones((200, 1)), np.ones((200, 1)))
    assert sign_flip(data, seed=0, flips=99).tolist() == [1 / 100]


def test_p_is_even_where_nothing_differs() -> None:
    values = np.random.default_rng(0).normal(size=(40, 400))
    p = sign_flip(per_image(values, np.arange(40)), seed=0, flips=2000)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_holm_by_hand() -> None:
    """.01·3, then max(.03, .02·2), then max(.04, .04·1); the untested one does not count."""
    corrected = holm(np.array([0.04, np.nan, 0.01, 0.02]))
    assert corrected == pytest.approx([0.04, np.nan, 0.03, 0.04], nan_ok=True)


def test_holm_stays_at_one() -> None:
    assert holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]
