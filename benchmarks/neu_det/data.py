"""NEU-DET for the benchmarks: read by `sise.datasets`, split by groups, ready for a model."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from severstal_prep.grouping import group_near_duplicates, strip_hash
from sise.datasets.dataset import Item
from sise.datasets.neu_det import CLASSES, NeuDet

MEAN = (0.5, 0.5, 0.5)
STD = (0.2, 0.2, 0.2)


@dataclass(frozen=True)
class Sample:
    """One image and its class index."""

    dataset: NeuDet
    item: Item

    @property
    def name(self) -> str:
        return self.item.id

    @property
    def label(self) -> int:
        return self.item.label

    def pixels(self) -> npt.NDArray[np.uint8]:
        """(200, 200) uint8 grey."""
        return self.dataset.pixels(self.item)[:, :, 0]


def read_samples(root: Path) -> list[Sample]:
    """All images of NEU-DET, by name."""
    dataset = NeuDet(root, "boxes")
    return [Sample(dataset, item) for item in dataset.items]


def split(samples: list[Sample], seed: int = 0) -> dict[str, list[Sample]]:
    """65 % to train, 10 % to validate, 25 % to test, class by class, near-duplicates together."""
    groups = group_near_duplicates(
        [sample.name for sample in samples], [strip_hash(sample.pixels()) for sample in samples]
    )
    by_group: dict[tuple[int, str], list[Sample]] = defaultdict(list)
    for sample, group in zip(samples, groups, strict=True):
        by_group[sample.label, group].append(sample)
    parts: dict[str, list[Sample]] = {"train": [], "val": [], "test": []}
    for label in range(len(CLASSES)):
        members = [group for (owner, _), group in sorted(by_group.items()) if owner == label]
        random.Random(seed).shuffle(members)  # noqa: S311
        total = sum(map(len, members))
        taken = 0
        for group in members:
            share = taken / total
            parts["test" if share < 0.25 else "val" if share < 0.35 else "train"].extend(group)
            taken += len(group)
    return parts


def images(samples: Iterable[Sample], size: int) -> torch.Tensor:
    """(B, 3, size, size) float32, normalised with MEAN and STD."""
    grey = torch.from_numpy(np.stack([sample.pixels() for sample in samples])).float()[:, None]
    resized = torch.nn.functional.interpolate(
        grey / 255, (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    return ((resized - MEAN[0]) / STD[0]).expand(-1, 3, -1, -1).contiguous()


def truth(sample: Sample, size: int) -> npt.NDArray[np.bool_]:
    """(size, size): inside a box of the image's class, a pixel from half of it on."""
    mask = torch.from_numpy(sample.dataset.truth(sample.item))[None, None].float()
    resized = torch.nn.functional.interpolate(mask, (size, size), mode="bilinear", antialias=True)
    return (resized[0, 0] >= 0.5).numpy()
