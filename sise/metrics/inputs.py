"""What metrics measure: maps, and what they are held against."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from sise.batches import auto_batch_size
from sise.errors import SiseError
from sise.metrics.ranking import has_order, ranks

# Scores of images (K, 3, H, W) for classes (K,) int64: (K,), such as softmax probabilities.
Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class ModelQuery:
    """The model that was explained, for metrics that ask it again.

    `images` (B, 3, H, W) as the model takes them, `targets` (B,) int64 the classes explained,
    `score` the model's answer; or one image (1, 3, H, W) and its class (1,), that all maps are of.
    """

    images: torch.Tensor
    targets: torch.Tensor
    score: Score

    @property
    def at_once(self) -> int:
        """How many images `score` is given at a time."""
        height, width = self.images.shape[2:]
        return auto_batch_size((height, width), self.images.device)

    @cached_property
    def whole(self) -> torch.Tensor:
        """Ψ(I) of each of the query's images."""
        return self.asked(self.images)

    def asked(self, images: torch.Tensor) -> torch.Tensor:
        """Ψ of as many images as the query has: another version of each."""
        parts = zip(
            torch.split(images, self.at_once), torch.split(self.targets, self.at_once), strict=True
        )
        return torch.cat([self.score(part, labels) for part, labels in parts])


@dataclass(frozen=True, eq=False)
class MetricInput:
    """Maps (B, H, W), and what they are held against.

    `truth` (B, H, W) bool, the pixels of the defect or object; `query`, the model.
    """

    maps: torch.Tensor
    truth: torch.Tensor | None = None
    query: ModelQuery | None = None

    @cached_property
    def places(self) -> torch.Tensor:
        """The place of each pixel in its map's order, 0 the first: (B, H, W) int64."""
        return ranks(self.maps)

    @cached_property
    def ordered(self) -> torch.Tensor:
        """Which maps rank their pixels at all: (B,) bool."""
        return has_order(self.maps)

    @property
    def given_truth(self) -> torch.Tensor:
        """The truth. Raises SiseError if there is none, or none of this shape."""
        if self.truth is None:
            raise SiseError("this metric needs the ground truth; give truth=")
        if self.truth.shape != self.maps.shape or self.truth.dtype != torch.bool:
            raise SiseError(
                f"the ground truth of maps {tuple(self.maps.shape)} is bool of that shape, "
                f"not {self.truth.dtype} {tuple(self.truth.shape)}"
            )
        return self.truth

    @property
    def given_query(self) -> ModelQuery:
        """The query. Raises SiseError if there is none, or none that fits the maps."""
        if self.query is None:
            raise SiseError("this metric asks the model; give query=")
        count, _, *size = self.query.images.shape
        if count not in (1, len(self.maps)) or size != list(self.maps.shape[1:]):
            raise SiseError(
                f"maps {tuple(self.maps.shape)} need as many images of their size, or one, "
                f"not {tuple(self.query.images.shape)}"
            )
        if self.query.targets.shape != (count,):
            raise SiseError(
                f"{count} images need {count} targets, not {tuple(self.query.targets.shape)}"
            )
        return self.query
