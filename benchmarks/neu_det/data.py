"""NEU-DET: 1,800 images of hot-rolled steel, 200×200 px, six classes, with defect boxes.

Read from the layout of its public copies, `IMAGES/` with `ANNOTATIONS/` and `Validation_Images/`
with `Validation_Annotations/` (Pascal VOC). The class is the file name up to its last underscore.
"""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from severstal_prep.grouping import group_near_duplicates, strip_hash

CLASSES = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
FOLDERS = (("IMAGES", "ANNOTATIONS"), ("Validation_Images", "Validation_Annotations"))
MEAN = (0.5, 0.5, 0.5)
STD = (0.2, 0.2, 0.2)


@dataclass(frozen=True)
class Sample:
    """One image: its file, class index and boxes (left, top, right, bottom) in px."""

    path: Path
    label: int
    boxes: tuple[tuple[int, int, int, int], ...]

    @property
    def name(self) -> str:
        return self.path.stem

    def pixels(self) -> npt.NDArray[np.uint8]:
        """(200, 200) uint8 grey."""
        with Image.open(self.path) as image:
            return np.array(image.convert("L"))


def read_samples(root: Path) -> list[Sample]:
    """All images of NEU-DET, by name."""
    samples = []
    for images, annotations in FOLDERS:
        for path in sorted((root / images).glob("*.jpg")):
            boxes = _boxes(root / annotations / f"{path.stem}.xml")
            samples.append(Sample(path, CLASSES.index(path.stem.rpartition("_")[0]), boxes))
    return sorted(samples, key=lambda sample: sample.name)


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


def truth(sample: Sample, size: int, of: int = 200) -> npt.NDArray[np.bool_]:
    """(size, size): inside a box, the boxes being scaled with the image."""
    mask = np.zeros((size, size), dtype=np.bool_)
    for left, top, right, bottom in sample.boxes:
        x0, y0 = round(left * size / of), round(top * size / of)
        x1, y1 = round(right * size / of), round(bottom * size / of)
        mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
    return mask


def _boxes(path: Path) -> tuple[tuple[int, int, int, int], ...]:
    boxes = []
    for box in ElementTree.parse(path).iter("bndbox"):  # noqa: S314  (the reader's own data)
        left, top, right, bottom = (
            int(box.findtext(k, "0")) for k in ("xmin", "ymin", "xmax", "ymax")
        )
        boxes.append((left, top, right, bottom))
    return tuple(boxes)
