"""A classifier as a line calls it: images as they are read, probabilities out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sise.bundle import ModelBundle
from sise.precision import full_precision

TOLERANCE = 1e-4
"""By how much a probability may differ from PyTorch's in float32."""

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]
Answer = Callable[[Images], Probabilities]
"""Images (B, H, W, 3) to probabilities (B, classes)."""


class LineModel(nn.Module):
    """A bundle's classifier with all that stands around it.

    It takes images (B, H, W, 3) uint8 in the bundle's input size, RGB or grey as three equal
    channels, and gives calibrated probabilities (B, classes) float32: normalisation, temperature
    and softmax are inside.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, source: ModelBundle) -> None:
        super().__init__()
        self.model = source.model
        self.register_buffer("mean", torch.tensor(source.card.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(source.card.std).view(1, 3, 1, 1))
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scaled = images.permute(0, 3, 1, 2).float() / 255
        logits: torch.Tensor = self.model((scaled - self.mean) / self.std)
        return logits.softmax(dim=1)


def by_pytorch(model: nn.Module) -> Answer:
    """What a line model on the CPU answers in PyTorch, in full float32."""

    def answer(images: Images) -> Probabilities:
        with torch.inference_mode(), full_precision():
            found: Probabilities = model(torch.from_numpy(images)).numpy()
        return found

    return answer


@dataclass(frozen=True)
class Agreement:
    """How a file's answers compare with PyTorch's.

    `largest_difference` is of all probabilities. A decision is the most probable class, and
    whether the image is flagged; `clear_decisions` counts those of the `other_decisions` that no
    difference up to TOLERANCE explains.
    """

    images: int
    largest_difference: float
    other_decisions: int
    clear_decisions: int

    @property
    def same(self) -> bool:
        """Whether probabilities agree within TOLERANCE, and with them decisions."""
        return self.largest_difference <= TOLERANCE and not self.clear_decisions

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def compare(pytorch: Probabilities, found: Probabilities, limits: Probabilities) -> Agreement:
    """Compare probabilities (N, C), N at least 1; `limits` (C,) are thresholds, inf where none."""
    # What is not finite is not the same: NaN would pass any comparison.
    apart = np.nan_to_num(np.abs(found - pytorch), nan=np.inf)
    other = (found.argmax(axis=1) != pytorch.argmax(axis=1)) | (
        (found >= limits).any(axis=1) != (pytorch >= limits).any(axis=1)
    )
    second, first = np.sort(np.pad(pytorch, ((0, 0), (1, 0))), axis=1)[:, -2:].T
    at_limit = (first - second <= 2 * TOLERANCE) | (
        np.abs(pytorch - limits).min(axis=1) <= TOLERANCE
    )
    return Agreement(
        images=len(pytorch),
        largest_difference=float(apart.max()),
        other_decisions=int(other.sum()),
        clear_decisions=int((other & ~at_limit).sum()),
    )


def limits_of(classes: Sequence[str], thresholds: Mapping[str, float]) -> Probabilities:
    """The threshold of each class (C,), inf for those without one."""
    return np.array([thresholds.get(name, np.inf) for name in classes], np.float32)


def generated(size: tuple[int, int], count: int = 16) -> Images:
    """Images (count, H, W, 3) of grey noise and ramps, dark to bright, the same on each call."""
    generator = np.random.default_rng(0)
    height, width = size
    ramp = np.linspace(0, 1, width)[None, :] * np.linspace(0.3, 1, height)[:, None]
    grey = [
        255 * level * (0.5 + 0.5 * ramp) + generator.normal(0, 4 + 4 * (number % 5), size)
        for number, level in enumerate(np.linspace(0.05, 0.95, count))
    ]
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=3)
