"""How well a classifier does on a split: the numbers, with their intervals."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from torch import nn

from sise.precision import Precision, forward_in, resolve
from sise.statistics import LEVEL, Interval, Rate
from training.calibration import Floats, Labels, expected_calibration_error
from training.data import Batch, Triple, normalise
from training.errors import DivergedError

DRAWS = 10_000

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassResult:
    """One class: crops, recall with its 95 % Wilson interval, precision.

    Recall and interval are None without crops, precision is None if it was never predicted.
    """

    name: str
    crops: int
    recall: float | None
    recall_interval: Interval | None
    precision: float | None


@dataclass(frozen=True)
class Evaluation:
    """Results on a split; every rate lies in [0, 1].

    `confusion` is (C, C), rows true, columns predicted. `macro_recall` is the mean over the
    classes that occur. `majority` is the top-1 of always naming the most frequent class.
    """

    confusion: Counts
    classes: tuple[ClassResult, ...]
    crops: int
    top1: float
    top1_interval: Interval | None
    top3: float
    macro_recall: float
    macro_recall_interval: Interval
    majority: float
    ece: float

    def normalised(self) -> Floats:
        """The confusion matrix with rows that sum to 1; NaN where a class has no crops."""
        with np.errstate(invalid="ignore"):
            shares: Floats = self.confusion / self.confusion.sum(axis=1, keepdims=True)
        return shares

    def as_dict(self) -> dict[str, Any]:
        """The results as JSON values; what is undefined is null."""
        normalised = [
            [None if np.isnan(share) else float(share) for share in row]
            for row in self.normalised()
        ]
        return {
            "crops": self.crops,
            "top1": self.top1,
            "top1_interval": self.top1_interval,
            "top3": self.top3,
            "macro_recall": self.macro_recall,
            "macro_recall_interval": self.macro_recall_interval,
            "majority": self.majority,
            "ece": self.ece,
            "per_class": {
                result.name: {
                    "crops": result.crops,
                    "recall": result.recall,
                    "recall_interval": result.recall_interval,
                    "precision": result.precision,
                }
                for result in self.classes
            },
            "confusion": {"counts": self.confusion.tolist(), "normalised": normalised},
        }


def evaluate(logits: Floats, labels: Labels, names: tuple[str, ...]) -> Evaluation:
    """Evaluate logits (N, C) against class ids (N,); N and C are at least 1."""
    classes = len(names)
    predicted = logits.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    ranked = np.argsort(-logits, axis=1, kind="stable")[:, :3]
    top1 = Rate(int(confusion.trace()), len(labels))
    return Evaluation(
        confusion=confusion,
        classes=tuple(_class_result(name, i, confusion) for i, name in enumerate(names)),
        crops=len(labels),
        top1=top1.hits / top1.trials,
        top1_interval=top1.interval,
        top3=float((ranked == labels[:, None]).any(axis=1).mean()),
        macro_recall=macro_recall(confusion),
        macro_recall_interval=macro_recall_interval(confusion),
        majority=float(confusion.sum(axis=1).max() / len(labels)),
        ece=expected_calibration_error(softmax(logits, axis=1), labels),
    )


def _class_result(name: str, class_id: int, confusion: Counts) -> ClassResult:
    crops = int(confusion[class_id].sum())
    right = int(confusion[class_id, class_id])
    recall = Rate(right, crops)
    return ClassResult(
        name=name,
        crops=crops,
        recall=recall.share,
        recall_interval=recall.interval,
        precision=Rate(right, int(confusion[:, class_id].sum())).share,
    )


def macro_recall(confusion: Counts) -> float:
    """Mean recall of the classes that occur in a confusion matrix (C, C)."""
    crops = confusion.sum(axis=1)
    occurs = crops > 0
    return float((confusion.diagonal()[occurs] / crops[occurs]).mean())


def macro_recall_interval(confusion: Counts) -> Interval:
    """95 % interval of the macro recall, from each recall's Jeffreys posterior Beta(k+½, n−k+½).

    The classes are independent; 10,000 draws with a fixed seed.
    """
    generator = np.random.default_rng(0)
    crops = confusion.sum(axis=1)
    occurs = crops > 0
    right = confusion.diagonal()[occurs]
    wrong = crops[occurs] - right
    draws = generator.beta(right + 0.5, wrong + 0.5, size=(DRAWS, len(right))).mean(axis=1)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def predict(
    model: nn.Module, mean: Triple, std: Triple, batches: Iterable[Batch], precision: Precision
) -> tuple[Floats, Labels]:
    """Logits (N, C) and class ids (N,) of all `batches`, on the device of the model's weights.

    `model` takes normalised images; `batches` are pairs of crops (B, H, W, 3) uint8 and class
    ids (B,). Raises DivergedError for logits that are not finite.
    """
    device = next(model.parameters()).device
    forward = forward_in(model.eval(), resolve(precision, device))
    logits, labels = [], []
    with torch.no_grad():
        for crops, class_ids in batches:
            images = normalise(crops.to(device), mean, std)
            logits.append(forward(images).double().cpu().numpy())
            labels.append(class_ids.numpy())
    answers = np.concatenate(logits)
    lost = int((~np.isfinite(answers).all(axis=1)).sum())
    if lost:
        raise DivergedError(
            f"the model's answer is not finite for {lost} of {len(answers)} crops: its weights or "
            "its precision are at fault; take another model, or full precision (fp32)"
        )
    return answers, np.concatenate(labels)
