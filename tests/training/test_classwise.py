"""Calibration by class, by hand and by another library."""

import numpy as np
import pytest
import torch
from answered import CLASSES, answers, drawn
from torchmetrics.classification import BinaryCalibrationError

from training.answers import Answers
from training.calibration import expected_calibration_error
from training.classwise import calibration

TWO = [(0.9, 0.06, 0.04), (0.9, 0.06, 0.04)]


def test_by_hand() -> None:
    found = calibration(answers(TWO, [0, 1]))
    # All crops of a column are in one bin: its mean probability against its share.
    errors = {name: error.ece for name, error in found.classes.items()}
    assert errors == pytest.approx({"normal": 0.4, "class 1": 0.44, "class 2": 0.04})
    assert found.classwise_ece == pytest.approx(0.88 / 3)
    assert found.confidence.ece == pytest.approx(0.4)
    assert found.confidence.interval is None, "two groups are too few"


def test_against_torchmetrics() -> None:
    some = drawn(300)
    found = calibration(some)
    for index, name in enumerate(CLASSES):
        other = BinaryCalibrationError(n_bins=15, norm="l1")
        # It measures the more probable side: given 0.5 and more, that is the class itself.
        above = some.probabilities[:, index] >= 0.5
        probabilities = some.probabilities[above]
        labels = some.labels[above]
        part = Answers(probabilities, labels, ["one"] * len(labels), some.classes)
        error = other(torch.tensor(probabilities[:, index]), torch.tensor(labels == index))
        assert calibration(part).classes[name].ece == pytest.approx(float(error), abs=1e-6)
    whole = expected_calibration_error(some.probabilities, some.labels)
    assert found.confidence.ece == pytest.approx(whole)


def test_what_is_calibrated_is_not_told_from_chance() -> None:
    found = calibration(drawn(400, seed=3))
    assert found.confidence.ece < found.confidence.by_chance
    low, high = found.confidence.interval
    assert low == 0
    assert 0 < high < 0.2


def test_what_is_too_sure_is_told() -> None:
    some = drawn(400, seed=4)
    odds = some.probabilities**3
    sure = Answers(odds / odds.sum(axis=1, keepdims=True), some.labels, some.groups, some.classes)
    found = calibration(sure).confidence
    assert found.ece > found.by_chance
    low, high = found.interval
    assert 0.02 < low < high < 0.3


def test_twice_the_same_crops_say_no_more() -> None:
    some = drawn(120, seed=5)
    twice = Answers(
        np.repeat(some.probabilities, 2, axis=0),
        np.repeat(some.labels, 2),
        [group for group in some.groups for _ in range(2)],
        some.classes,
    )
    low, high = calibration(some).confidence.interval
    again = calibration(twice).confidence.interval
    assert again[1] - again[0] > 0.6 * (high - low)
