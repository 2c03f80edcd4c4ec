import numpy as np
import pytest
from scipy.special import softmax

from training.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)


def sampled(temperature: float, crops: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose labels are drawn from their softmax at a known temperature."""
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 3, (crops, 5))
    shares = softmax(logits / temperature, axis=1).cumsum(axis=1)
    labels = (generator.random((crops, 1)) > shares).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_finds_the_temperature_that_labels_were_drawn_with(temperature: float) -> None:
    assert fit_temperature(*sampled(temperature)) == pytest.approx(temperature, rel=0.03)


def test_likelihood_by_hand() -> None:
    logits, labels = np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([0, 0])
    expected = (np.log(1 + np.exp(-1)) + np.log(1 + np.exp(2))) / 2
    assert negative_log_likelihood(logits, labels, 2.0) == pytest.approx(expected)


def test_no_error_tells_nothing_of_confidence() -> None:
    logits = np.eye(5) * 3
    assert fit_temperature(logits, np.arange(5)) == 1.0


def test_temperature_is_bounded() -> None:
    logits = np.array([[9.0, 0.0], [9.0, 0.0]])
    assert fit_temperature(logits, np.array([1, 1])) == pytest.approx(10, rel=1e-3)


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.45, 0.55]])
    labels = np.array([0, 1, 1, 1])
    # The bins are (0.4, 0.6] and (0.8, 1.0].
    expected = (abs(1 - 0.9 + 0 - 0.9) + abs(1 - 0.6 + 1 - 0.55)) / 4
    assert expected_calibration_error(probabilities, labels, bins=5) == pytest.approx(expected)


def test_a_bin_includes_its_upper_end() -> None:
    probabilities = np.array([[0.5, 0.5], [0.4, 0.6]])
    # 0.5 ends the first of two bins; with 0.6 in the second, two gaps of 0.5 and 0.6 add up.
    found = expected_calibration_error(probabilities, np.array([0, 0]), bins=2)
    assert found == pytest.approx((0.5 + 0.6) / 2)


def test_perfect_certainty_is_calibrated() -> None:
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0.0


def test_calibration_lowers_the_error_of_an_overconfident_model() -> None:
    logits, labels = sampled(3.0)
    before = expected_calibration_error(softmax(logits, axis=1), labels)
    temperature = fit_temperature(logits, labels)
    after = expected_calibration_error(softmax(logits / temperature, axis=1), labels)
    assert before > 0.1
    assert after < 0.02
