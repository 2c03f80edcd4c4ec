import json

import numpy as np
import pytest
import torch
from torch import nn

from sise.statistics import Rate
from training.evaluate import (
    evaluate,
    macro_recall,
    macro_recall_interval,
    predict,
)

NAMES = ("a", "b", "c", "d")
LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 2])


def logits_for(predicted: np.ndarray, classes: int = 4) -> np.ndarray:
    """The predicted class first, then the others by rising id."""
    logits = -np.arange(classes, dtype=float) * np.ones((len(predicted), 1))
    logits[np.arange(len(predicted)), predicted] = 5
    return logits


def test_rates_by_hand() -> None:
    found = evaluate(logits_for(PREDICTED), LABELS, NAMES)
    assert found.confusion.tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert found.crops == 6
    assert found.top1 == pytest.approx(4 / 6)
    assert found.macro_recall == pytest.approx((2 / 3 + 1 / 2 + 1) / 3), "d does not occur"
    assert found.majority == pytest.approx(3 / 6)
    assert [result.recall for result in found.classes] == [pytest.approx(2 / 3), 0.5, 1.0, None]
    assert [result.precision for result in found.classes] == [1.0, 0.5, 0.5, None]
    assert [result.crops for result in found.classes] == [3, 2, 1, 0]


def test_top3_counts_the_third_and_not_the_fourth() -> None:
    logits = np.array([[4.0, 3.0, 2.0, 1.0]] * 4)
    assert evaluate(logits, np.array([0, 1, 2, 3]), NAMES).top3 == 0.75


def test_normalised_rows_sum_to_one_or_are_undefined() -> None:
    found = evaluate(logits_for(PREDICTED), LABELS, NAMES).normalised()
    assert found[0] == pytest.approx([2 / 3, 1 / 3, 0, 0])
    assert found[:3].sum(axis=1) == pytest.approx([1, 1, 1])
    assert np.isnan(found[3]).all()


def test_json_has_null_for_what_is_undefined() -> None:
    found = json.loads(json.dumps(evaluate(logits_for(PREDICTED), LABELS, NAMES).as_dict()))
    assert found["per_class"]["d"] == {
        "crops": 0,
        "recall": None,
        "recall_interval": None,
        "precision": None,
    }
    assert found["confusion"]["normalised"][3] == [None] * 4
    assert found["confusion"]["counts"][0] == [2, 1, 0, 0]
    assert found["top1"] == pytest.approx(2 / 3)


def test_wilson_by_its_formula() -> None:
    z, n, p = 1.959963985, 40, 0.6
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert Rate(24, 40).interval == pytest.approx((centre - half, centre + half))
    assert Rate(3, 3).interval == (pytest.approx(1 / (1 + z**2 / 3)), 1.0)


def test_macro_interval_covers_the_estimate_and_narrows_with_crops() -> None:
    few = np.array([[8, 2], [4, 6]])
    many = few * 100
    low, high = macro_recall_interval(few)
    assert macro_recall(few) == pytest.approx(0.7)
    assert low < 0.7 < high
    narrow = macro_recall_interval(many)
    assert narrow[1] - narrow[0] < (high - low) / 5
    assert macro_recall_interval(few) == (low, high), "the draws are seeded"


def test_macro_interval_of_one_class_is_that_of_its_beta_posterior() -> None:
    from scipy.stats import beta

    low, high = macro_recall_interval(np.array([[30, 10], [0, 0]]))
    expected = beta(30.5, 10.5).ppf([0.025, 0.975])
    assert (low, high) == pytest.approx(tuple(expected), abs=0.01)


def test_confusion_counts_rows_are_true() -> None:
    results = evaluate(np.eye(3)[[1, 1, 0]], np.array([0, 0, 1]), ("a", "b", "c"))
    assert results.confusion.tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]


class MeanOfChannels(nn.Module):
    """Logits are the three channels' means; one weight, to have a device."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(0.9)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.dropout(images.mean(dim=(2, 3))) * self.scale


def test_predict_normalises_and_keeps_order() -> None:
    crops = torch.zeros(3, 2, 2, 3, dtype=torch.uint8)
    crops[1, ..., 0] = 255
    crops[2, ..., 2] = 255
    batches = [(crops[:2], torch.tensor([0, 1])), (crops[2:], torch.tensor([2]))]
    model = MeanOfChannels().train()
    logits, labels = predict(model, (0.5, 0.5, 0.0), (0.5, 1.0, 1.0), batches, "fp32")
    assert labels.tolist() == [0, 1, 2]
    assert logits == pytest.approx(np.array([[-1, -0.5, 0], [1, -0.5, 0], [-1, -0.5, 1]]))
    assert logits.dtype == np.float64
