"""What `finish` puts into a bundle's card, by hand."""

import json

import numpy as np
import pytest

from sise.bundle import ModelCard
from training.answers import Answers
from training.errors import TrainingError
from training.evaluate import evaluate
from training.finish import QUANTILES, Validation, confidence_quantiles, metrics, metrics_line
from training.judgement import DecisionOptions, judge_validation

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
        judge_validation(
            Answers.of(LOGITS / temperature, labels, ["a", "b", "c"], names), DecisionOptions()
        ),
    )
    found = json.loads(json.dumps(metrics(validation), allow_nan=False))
    assert found["class_crops"] == {"normal": 1, "class 1": 2}
    low, high = found["top1_interval"]
    assert 0 < low < found["top1"] < high < 1
    assert found["recall_interval"]["class 1"] == pytest.approx([0.0945, 0.9055], abs=1e-4)
    assert found["risk_coverage"]["crops"] == 3
    assert found["decision"] is None
    card = found["confidence"]
    assert (card["split"], card["crops"], len(card["quantiles"])) == ("val", 3, 201)
    # At temperature 2 odds of 3 and 9 to 1 become their roots.
    root = 3**0.5
    assert card["quantiles"][100] == pytest.approx(root / (1 + root), abs=1e-6)
    assert card["quantiles"][-1] == 0.75


FIGURES = {"crops": 5, "epoch": 1, "top1": 0.2, "majority": 0.2, "macro_recall": 0.2,
           "ece_before_temperature": 0.03, "ece": 0.01}  # fmt: skip


def card_of(found: dict[str, object]) -> ModelCard:
    return ModelCard("resnet18", ("normal", "class 1"), (64, 64), (0.5,) * 3, (0.2,) * 3,
                     temperature=1.5, metrics=found)  # fmt: skip


def test_the_figures_of_a_card_in_a_line() -> None:
    assert metrics_line(card_of(FIGURES)) == (
        "validation: 5 crops, top-1 0.200 (majority class alone 0.200), macro recall 0.200, "
        "ECE 0.030 -> 0.010 at temperature 1.50; epoch 1"
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("top1", "x", "Input should be a valid number, not 'x'"),
        ("majority", None, "Input should be a valid number, not null"),
        ("ece", [1], "Input should be a valid number"),
        ("crops", 2.5, "Input should be a valid integer, not 2.5"),
    ],
)
def test_a_figure_of_another_type_is_named(name: str, value: object, words: str) -> None:
    with pytest.raises(TrainingError) as refused:
        metrics_line(card_of({**FIGURES, name: value}))
    assert str(refused.value) == f"the bundle's card: metrics, {name}: {words}"


def test_a_figure_that_is_missing_is_named() -> None:
    with pytest.raises(TrainingError, match="metrics, crops: is missing"):
        metrics_line(card_of({"top1": 0.5} | {k: v for k, v in FIGURES.items() if k != "crops"}))
