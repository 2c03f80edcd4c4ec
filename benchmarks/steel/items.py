"""The images that are explained, each with the truth and, on strips, the steel around it."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.neu_det.data import images as neu_images
from benchmarks.neu_det.data import read_samples, split, truth
from severstal_prep.images import read_image
from severstal_prep.rle import decode
from sise.bundle import ModelBundle
from sise.context import tile_in_context
from sise.tiling import tile_lefts

STRIDE = 224
# Class pixels below which a tile shows too little of the defect to judge a map by.
LEAST_DEFECT = 400


@dataclass(frozen=True)
class Item:
    """An image (3, H, W) as the model takes it and the class (index) to explain.

    `truth` (H, W) bool, empty where there is no defect; `around` (3, H', W') the piece of strip
    around it, None where nothing is known of it.
    """

    name: str
    image: torch.Tensor
    target: int
    truth: npt.NDArray[np.bool_]
    around: torch.Tensor | None = None


def neu_det(folder: Path, bundle: ModelBundle, count: int) -> list[Item]:
    """`count` images of the held-out test split, every so many, explained for their own class."""
    test = split(read_samples(folder))["test"]
    chosen = [test[index * len(test) // count] for index in range(count)]
    size = bundle.card.input_size[0]
    pixels = neu_images(chosen, size)
    return [
        Item(sample.name, image, sample.label, truth(sample, size))
        for sample, image in zip(chosen, pixels, strict=True)
    ]


def strip_tiles(folder: Path, bundle: ModelBundle) -> Iterator[Item]:
    """The tiles of generated held-out strips that the model judges rightly.

    Tiles with one class's defect are explained for that class, tiles without for "normal".
    """
    height, width = bundle.card.input_size
    masks = _masks(folder / "test.csv")
    for path in sorted((folder / "test_images").glob("*.jpg")):
        strip = read_image(path)
        defects = {
            class_id: decode(text, *strip.shape[:2])
            for class_id, text in masks.get(path.name, {}).items()
        }
        for left in tile_lefts(strip.shape[1], width, STRIDE):
            window = strip[:, left : left + width]
            shown = {key: mask[:, left : left + width] for key, mask in defects.items()}
            present = {key: mask for key, mask in shown.items() if mask.any()}
            if len(present) > 1 or any(mask.sum() < LEAST_DEFECT for mask in present.values()):
                continue
            if (window.max(axis=2) < 20).mean() > 0.05:
                continue  # a black margin is no steel
            target, mask = next(iter(present.items()), (0, np.zeros((height, width), np.bool_)))
            image = bundle.preprocess(window[None])
            with torch.inference_mode():
                predicted = int(bundle.model(image).argmax())
            if predicted == target:
                around = bundle.preprocess(tile_in_context(strip, left, width)[None])[0]
                yield Item(f"{path.stem}@{left}", image[0], target, mask, around)


def strip_truths(folder: Path) -> dict[str, npt.NDArray[np.bool_]]:
    """The defect pixels of each held-out strip that has any, whatever their class: (H, W) bool."""
    truths = {}
    for name, masks in _masks(folder / "test.csv").items():
        size = read_image(folder / "test_images" / name).shape[:2]
        truths[name] = np.logical_or.reduce([decode(text, *size) for text in masks.values()])
    return truths


def _masks(path: Path) -> dict[str, dict[int, str]]:
    masks: dict[str, dict[int, str]] = {}
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            masks.setdefault(row["ImageId"], {})[int(row["ClassId"])] = row["EncodedPixels"]
    return masks
