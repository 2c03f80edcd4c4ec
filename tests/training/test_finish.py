"""What `finish` puts into a bundle's card, by hand."""

import json

import numpy as np
import pytest

from training.evaluate import evaluate
from training.finish import QUANTILES, Validation, confidence_quantiles, metrics

# Softmax of (0, log 3) is (0.25, 0.75); of equal logits (0.5, 0.5); of (log 9, 0) (0.9, 0.1).
LOGITS = np.log(np.array([[1.0, 3.0], [1.0, 1.0], [9.0, 1.0]]))


def test_quantiles_of_confidence_by_hand() -> None:
    found = confidence_quantiles(LOGITS)
    # Of 0.5, 0.75, 0.9: the middle one is the median, and between them it is linear.
    assert len(found) == QUANTILES == 201
    assert (found[0], found[100], found[200]) == (0.5, 0.75, 0.9)
    assert found[50] == pytest.approx(0.625, abs=1e-6)
    assert found[199] == pytest.approx(0.75 + 0.15 * 0.99, abs=1e-6)


def test_quantiles_are_ascending_probabilities_of_six_digits() -> None:
    logits = np.concatenate([LOGITS, np.random.default_rng(0).normal(0, 4, (997, 2)), LOGITS * 1e3])
    found = confidence_quantiles(logits)
    assert list(found) == sorted(found)
    assert 0 <= found[0] <= found[-1] == 1
    assert all(value == round(value, 6) for value in found)
    assert confidence_quantiles(LOGITS[:1]) == (0.75,) * 201


def test_the_card_holds_the_calibrated_confidence() -> None:
    labels, names = np.array([1, 0, 1]), ("normal", "class 1")
    temperature = 2.0
    validation = Validation(
        temperature,
        evaluate(LOGITS, labels, names),
        evaluate(LOGITS / temperature, labels, names),
        confidence_quantiles(LOGITS / temperature),
    )
    card = json.loads(json.dumps(metrics(validation)))["confidence"]
    assert (card["split"], card["crops"], len(card["quantiles"])) == ("val", 3, 201)
    # At temperature 2 odds of 3 and 9 to 1 become their roots.
    root = 3**0.5
    assert card["quantiles"][100] == pytest.approx(root / (1 + root), abs=1e-6)
    assert card["quantiles"][-1] == 0.75
