"""A classifier's answers on a split, beside what is true of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from severstal_prep.recast import NORMAL_NAME
from training.calibration import Floats, Labels


@dataclass(frozen=True)
class Answers:
    """Calibrated probabilities (N, C) of crops, N at least 1, and their class ids (N,).

    `groups` (N,) say which crops are alike, `classes` (C,) are names by class id. Probabilities are
    rounded to float32, as inspection has them: no threshold lies between two that are one to it.
    """

    probabilities: Floats
    labels: Labels
    groups: Sequence[str]
    classes: tuple[str, ...]

    @classmethod
    def of(
        cls, logits: Floats, labels: Labels, groups: Sequence[str], classes: Sequence[str]
    ) -> "Answers":
        """The answers of calibrated logits (N, C)."""
        probabilities = softmax(logits, axis=1).astype(np.float32).astype(np.float64)
        return cls(probabilities, labels, groups, tuple(classes))

    @property
    def confidence(self) -> Floats:
        """The probability of the most probable class: (N,)."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def wrong(self) -> npt.NDArray[np.bool_]:
        """Whether the most probable class is another than the true one: (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1) != self.labels)

    @property
    def defects(self) -> tuple[int, ...]:
        """The ids of the defect classes."""
        return tuple(i for i, name in enumerate(self.classes) if name != NORMAL_NAME)

    @property
    def counts(self) -> dict[str, int]:
        """Crops by class."""
        numbers = np.bincount(self.labels, minlength=len(self.classes))
        return dict(zip(self.classes, numbers.tolist(), strict=True))
