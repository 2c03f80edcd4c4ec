"""Risk and coverage by hand, and against scikit-learn and a plain search."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest
from sklearn.metrics import accuracy_score

from sise.statistics import Rate
from training import risk_coverage

CONFIDENCE = np.array([0.9, 0.6, 0.99, 0.8, 0.7])
WRONG = np.array([True, True, False, False, False])
"""From sure to unsure: right, wrong, right, right, wrong."""


def test_curve_and_area_by_hand() -> None:
    curve = risk_coverage.curve(CONFIDENCE, WRONG)
    assert curve.confidence.tolist() == [0.99, 0.9, 0.8, 0.7, 0.6]
    assert curve.coverage.tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert curve.risk.tolist() == [0, 1 / 2, 1 / 3, 1 / 4, 2 / 5]
    assert curve.aurc == pytest.approx((1 / 2 + 1 / 3 + 1 / 4 + 2 / 5) / 5)


def test_equal_confidences_count_as_in_the_mean_of_all_orders() -> None:
    curve = risk_coverage.curve(np.array([0.5, 0.9, 0.5]), np.array([True, False, False]))
    # After the sure one, the wrong one comes second or third.
    both = [(0 + 1 / 2 + 1 / 3) / 3, (0 + 0 + 1 / 3) / 3]
    assert curve.aurc == pytest.approx(np.mean(both))


def test_risk_is_one_minus_the_accuracy_of_the_accepted() -> None:
    generator = np.random.default_rng(0)
    truth, said = generator.integers(0, 3, (2, 200))
    confidence = generator.random(200)
    curve = risk_coverage.curve(confidence, truth != said)
    order = np.argsort(-confidence)
    for crops in (1, 17, 200):
        accepted = order[:crops]
        error = 1 - accuracy_score(truth[accepted], said[accepted])
        assert curve.risk[crops - 1] == pytest.approx(error)


def test_the_machine_alone_on_other_crops() -> None:
    found = risk_coverage.alone(CONFIDENCE, WRONG, 0.8)
    assert (found.wrong, found.coverage) == (Rate(1, 3), 0.6)
    exact = binomtest(1, 3, alternative="less").proportion_ci(0.95, method="exact")
    assert found.bound == pytest.approx(exact.high)
    none = risk_coverage.alone(CONFIDENCE, WRONG, 0.999).as_dict()
    assert (none["accepted"], none["risk"], none["risk_at_most"]) == (0, None, 1.0)


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 60), (59, 60)])
def test_the_bound_leaves_the_doubt_it_says(hits: int, trials: int) -> None:
    bound = risk_coverage.upper_bound(Rate(hits, trials), 0.01)
    assert binom.cdf(hits, trials, bound) == pytest.approx(0.01)
    assert risk_coverage.upper_bound(Rate(trials, trials), 0.01) == 1


def test_the_confidence_that_is_chosen() -> None:
    """Sure crops are right, unsure ones half wrong."""
    generator = np.random.default_rng(1)
    confidence = np.linspace(0.5, 1, 1000)
    wrong = (confidence < 0.75) & (generator.random(1000) < 0.5)
    found = risk_coverage.choose(confidence, wrong, 0.05)
    assert found is not None
    assert found.bound < 0.05
    assert 0.7 < found.min_confidence < 0.76
    accepted = confidence >= found.min_confidence
    assert found.wrong == Rate(int(wrong[accepted].sum()), int(accepted.sum()))
    # Twenty shares are tried; each may use a twentieth of the 5 %.
    assert found.bound == pytest.approx(risk_coverage.upper_bound(found.wrong, 0.0025))
    more = Rate(int(wrong[-found.wrong.trials - 50 :].sum()), found.wrong.trials + 50)
    assert risk_coverage.upper_bound(more, 0.0025) >= 0.05, "the next share would be too much"


def test_too_few_crops_for_a_confidence() -> None:
    needed = risk_coverage.crops_needed(0.02)
    # 0.98 to their power falls below 0.05 / 20.
    assert 0.98**needed < 0.0025 < 0.98 ** (needed - 1)
    right = np.zeros(400, bool)
    assert risk_coverage.choose(np.linspace(0.5, 1, needed - 1), right[: needed - 1], 0.02) is None
    found = risk_coverage.choose(np.linspace(0.5, 1, needed), right[:needed], 0.02)
    assert found is not None
    assert (found.coverage, found.min_confidence) == (1, 0.5)


def test_the_promise_is_kept() -> None:
    """Where the true risk above each confidence is known, few choices are above the target."""
    generator = np.random.default_rng(2)
    broken = 0
    for _ in range(200):
        confidence = generator.random(400)
        wrong = generator.random(400) < (1 - confidence) / 2
        found = risk_coverage.choose(confidence, wrong, 0.1)
        # The mean of (1 − c)/2 for c from t to 1.
        broken += found is not None and (1 - found.min_confidence) / 4 > 0.1
    assert broken <= 10
