"""What is evaluated: a model bundle on the items of a dataset, as the model takes them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from sise.bundle import ModelBundle
from sise.datasets.dataset import Dataset, Item
from sise.datasets.listed import OfClasses
from sise.errors import DatasetError
from sise.logits import class_names


@dataclass(frozen=True, eq=False)
class Subject:
    """An item, ready for the model.

    `image` (3, H, W) float32, normalised, and `truth` (H, W) bool are where the model is;
    `target` is the item's class among the model's; the hashes are of pixels and truth as read.
    """

    item: Item
    image: torch.Tensor
    truth: torch.Tensor
    target: int
    pixels_sha256: str
    truth_sha256: str


def check_classes(bundle: ModelBundle, dataset: Dataset) -> None:
    """Raise DatasetError unless the model knows the class of every item."""
    known = class_names(bundle.card.classes)
    unknown = [name for name in dataset.classes if name not in known]
    if not unknown:
        return
    labels = {item.label for item in dataset.items}
    unknown = [name for name in unknown if dataset.classes.index(name) in labels]
    if unknown:
        raise DatasetError(
            f"{dataset.name} has the classes {', '.join(unknown)}, which the bundle does not know "
            f"(--classes known leaves them out); its classes are {', '.join(known)}"
        )


def of_known_classes(bundle: ModelBundle, dataset: Dataset) -> Dataset:
    """The items whose class the model knows, by name. Raises DatasetError if it knows none."""
    known = class_names(bundle.card.classes)
    part = OfClasses(dataset, frozenset(known))
    if not part.items:
        raise DatasetError(
            f"{dataset.name} has no item of a class that the bundle knows: {', '.join(known)}"
        )
    return part


def read(bundle: ModelBundle, dataset: Dataset, item: Item) -> Subject:
    """The item as the bundle's model takes it: resized bilinearly, with antialiasing.

    Raises DatasetError or ImageError for what cannot be read.
    """
    device = next(bundle.model.parameters()).device
    pixels = np.stack([dataset.pixels(item)])  # a copy: decoded images are read-only
    truth = dataset.truth(item)
    size = bundle.card.input_size
    return Subject(
        item,
        _resized(bundle.preprocess(pixels).to(device), size)[0],
        _resized(torch.from_numpy(truth)[None, None].float().to(device), size)[0, 0] >= 0.5,
        class_names(bundle.card.classes).index(dataset.classes[item.label]),
        _sha256(pixels[0]),
        _sha256(truth),
    )


def _sha256(array: npt.NDArray[Any]) -> str:
    digest = hashlib.sha256(str(array.shape).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


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
