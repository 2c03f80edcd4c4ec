"""How the learning rate goes over the epochs: its factor on the optimizer's own rate."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from training.errors import RecipeError

FIRST_FACTOR = 0.01  # not 0, else the first batch would be lost


class Schedule(ABC):
    """A learning-rate schedule that knows nothing of batches: it is asked at every step."""

    @abstractmethod
    def factor(self, epoch: float, epochs: int) -> float:
        """The factor, at least 0, when `epoch` (fractional, from 0) of `epochs` have passed."""


@dataclass(frozen=True)
class Steps(Schedule):
    """The rate is multiplied by `gamma` after every `every` whole epochs.

    Args:
        every: epochs between two drops.
        gamma: factor of each drop; 0.5 halves the rate.
    """

    every: int = 5
    gamma: float = 0.5

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 < self.gamma <= 1:
            raise RecipeError("Steps needs every >= 1 epoch and 0 < gamma <= 1")

    def factor(self, epoch: float, epochs: int) -> float:
        return float(self.gamma ** (math.floor(epoch) // self.every))


@dataclass(frozen=True)
class WarmupCosine(Schedule):
    """A linear rise from 1 % to the full rate, then half a cosine down to `floor`.

    Args:
        warmup: epochs of the rise, may be a fraction.
        floor: share of the full rate left at the end.
    """

    warmup: float = 5.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.warmup < 0 or not 0 <= self.floor <= 1:
            raise RecipeError("WarmupCosine needs warmup >= 0 epochs and 0 <= floor <= 1")

    def factor(self, epoch: float, epochs: int) -> float:
        warmup = min(self.warmup, epochs)
        if epoch < warmup:
            return FIRST_FACTOR + (1 - FIRST_FACTOR) * epoch / warmup
        passed = (epoch - warmup) / max(epochs - warmup, 1e-9)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(passed, 1.0))) / 2
