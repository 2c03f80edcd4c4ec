"""Answers of a classifier that was not there."""

import numpy as np

from training.answers import Answers

CLASSES = ("normal", "class 1", "class 2")


def answers(
    rows: list[tuple[float, ...]], labels: list[int], groups: list[str] | None = None
) -> Answers:
    """Answers by their probabilities; each crop is a group of its own unless told."""
    alike = groups or [str(index) for index in range(len(rows))]
    return Answers(np.array(rows, float), np.array(labels), alike, CLASSES)


def drawn(crops: int, seed: int = 0, edge: float = 2.0) -> Answers:
    """Random answers, calibrated: a third of the crops of each class, in groups of two."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1, (crops, 3)) + edge * np.eye(3)[generator.integers(0, 3, crops)]
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    labels = (generator.random((crops, 1)) >= probabilities.cumsum(axis=1)).sum(axis=1)
    groups = [str(index // 2) for index in range(crops)]
    return Answers(probabilities, np.minimum(labels, 2), groups, CLASSES)
