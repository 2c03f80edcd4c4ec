"""What is evaluated: a model bundle on the items of a dataset, as the model takes them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from sise.bundle import ModelBundle
from sise.datasets.dataset import Dataset, Item
from sise.errors import DatasetError


@dataclass(frozen=True, eq=False)
class Subject:
    """An item, ready for the model.

    `image` (3, H, W) float32, normalised; `truth` (H, W) bool; `target` the item's class among
    the model's; `sha256` of pixels and truth as they were read.
    """

    item: Item
    image: torch.Tensor
    truth: torch.Tensor
    target: int
    sha256: str


def check_classes(bundle: ModelBundle, dataset: Dataset) -> None:
    """Raise DatasetError unless the model knows every class of the dataset."""
    unknown = [name for name in dataset.classes if name not in bundle.card.classes]
    if unknown:
        raise DatasetError(
            f"{dataset.name} has the classes {', '.join(unknown)}, which the bundle does not know; "
            f"its classes are {', '.join(bundle.card.classes)}"
        )


def read(bundle: ModelBundle, dataset: Dataset, item: Item) -> Subject:
    """The item as the bundle's model takes it: resized bilinearly, with antialiasing.

    Raises DatasetError for an image that cannot be read.
    """
    pixels = dataset.pixels(item)
    truth = dataset.truth(item)
    size = bundle.card.input_size
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    digest.update(np.ascontiguousarray(truth).data)
    return Subject(
        item,
        _resized(bundle.preprocess(pixels[None]), size)[0],
        _resized(torch.from_numpy(truth)[None, None].float(), size)[0, 0] >= 0.5,
        bundle.card.classes.index(dataset.classes[item.label]),
        digest.hexdigest(),
    )


def _resized(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if images.shape[2:] == size:
        return images
    return functional.interpolate(
        images, size, mode="bilinear", antialias=True, align_corners=False
    )


def sample(items: Sequence[Item], limit: int | None) -> list[Item]:
    """The first `limit` items when classes take turns, so that any number of them is balanced."""
    by_class: dict[int, list[Item]] = {}
    for item in items:
        by_class.setdefault(item.label, []).append(item)
    rows = sorted(
        (place, label, item)
        for label, members in by_class.items()
        for place, item in enumerate(members)
    )
    return [item for _, _, item in rows][:limit]
