"""A model for the line, by hand: what it computes, and when two answers are the same."""

import numpy as np
import pytest
import torch
from torch import nn

from sise.bundle import Calibrated, ModelBundle, ModelCard
from training.line_model import (
    TOLERANCE,
    LineModel,
    by_pytorch,
    compare,
    generated,
    limits_of,
)


class Channels(nn.Module):
    """The mean of each channel as a logit."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))


def test_normalisation_temperature_and_softmax_are_inside() -> None:
    names = ("a", "b", "c")
    card = ModelCard("toy", names, (2, 2), (0.5, 0.25, 0.0), (0.25, 0.5, 1.0), temperature=2.0)
    model = LineModel(ModelBundle(card, Calibrated(Channels(), 2.0), "ab" * 32))
    images = np.zeros((2, 2, 2, 3), np.uint8)
    images[0] = [255, 51, 102]  # 1.0, 0.2, 0.4
    logits = np.array([[0.5 / 0.25, -0.05 / 0.5, 0.4], [-0.5 / 0.25, -0.25 / 0.5, 0.0]]) / 2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = by_pytorch(model)(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


PYTORCH = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]], np.float32)
LIMITS = limits_of(("normal", "pit"), {"pit": 0.6})


def test_a_limit_is_a_threshold_or_none() -> None:
    assert LIMITS.tolist() == pytest.approx([np.inf, 0.6])


def test_the_same_answers_are_the_same() -> None:
    found = compare(PYTORCH, PYTORCH + np.float32([[5e-5, -5e-5]]), LIMITS)
    assert (found.images, found.other_decisions, found.same) == (3, 0, True)
    assert found.largest_difference == pytest.approx(5e-5, rel=1e-2)


def test_a_clear_decision_that_is_another_is_not_the_same() -> None:
    other = PYTORCH.copy()
    other[0] = [0.35, 0.65]  # another class, and flagged
    found = compare(PYTORCH, other, LIMITS)
    assert (found.other_decisions, found.clear_decisions, found.same) == (1, 1, False)
    assert found.largest_difference == pytest.approx(0.35, abs=1e-6)


def test_a_flag_counts_as_a_decision() -> None:
    other = PYTORCH.copy()
    other[1] = [0.45, 0.55]  # the class is the same, but it is no longer flagged
    assert compare(PYTORCH, other, LIMITS).other_decisions == 1


@pytest.mark.parametrize("row", [[0.5, 0.5], [0.4, 0.6]])
def test_what_lies_at_the_limit_may_fall_on_either_side(row: list[float]) -> None:
    pytorch = np.array([row], np.float32)
    nudge = np.float32([[-TOLERANCE / 2, TOLERANCE / 2]])
    one, other = pytorch + nudge, pytorch - nudge
    decided = compare(one, other, LIMITS)
    assert (decided.other_decisions, decided.clear_decisions) == (1, 0)


def test_an_answer_that_is_no_number_is_not_the_same() -> None:
    other = PYTORCH.copy()
    other[2, 0] = np.nan
    assert not compare(PYTORCH, other, LIMITS).same


def test_one_class_alone_is_compared() -> None:
    ones = np.ones((2, 1), np.float32)
    assert compare(ones, ones, limits_of(("pit",), {})).same


def test_generated_images_are_grey_from_dark_to_bright_and_the_same_each_time() -> None:
    images = generated((40, 60))
    assert (images.shape, images.dtype) == ((16, 40, 60, 3), np.uint8)
    assert (images == images[..., :1]).all()
    assert (images == generated((40, 60))).all()
    levels = images.mean(axis=(1, 2, 3))
    assert (np.diff(levels) > 0).all()
    assert levels[0] < 20 < 150 < levels[-1]
