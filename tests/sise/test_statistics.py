"""Shares and correlations against scipy, and where they are not defined."""

import math

import numpy as np
import pytest
from scipy.stats import pearsonr

from sise.statistics import Rate, pearson


def test_a_share_and_its_interval() -> None:
    # Wilson's formula by hand: z = 1.96, 3 of 10.
    z = 1.959963984540054
    middle, half = 0.3 + z**2 / 20, z * math.sqrt(0.3 * 0.7 / 10 + z**2 / 400)
    expected = [(middle - half) / (1 + z**2 / 10), (middle + half) / (1 + z**2 / 10)]
    assert Rate(3, 10).share == 0.3
    assert Rate(3, 10).interval == pytest.approx(expected)
    assert (Rate(0, 0).share, Rate(0, 0).interval) == (None, None)


def test_correlation_of_a_batch_is_scipys_of_each() -> None:
    one, other = np.random.default_rng(0).random((2, 3, 4, 5), dtype=np.float32)
    expected = [pearsonr(a.ravel(), b.ravel()).statistic for a, b in zip(one, other, strict=True)]
    assert pearson(one, other).tolist() == pytest.approx(expected)
    assert pearson(one[0], other[0]) == pytest.approx(expected[0])


def test_a_constant_map_has_no_correlation() -> None:
    # The mean of many 0.1 is not 0.1: a constant map must not pass for a varied one.
    flat, ramp = np.full((1, 7, 9), 0.1, np.float32), np.arange(63.0).reshape(1, 7, 9)
    assert np.isnan(pearson(flat, ramp)).all()
    assert np.isnan(pearson(np.where(ramp == 3, np.nan, ramp), ramp)).all()
