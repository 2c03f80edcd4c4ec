"""PASCAL VOC 2007, object detection: 4,952 test images of everyday scenes, 20 classes, boxes.

Every class of an image is an item, as in the paper (appendix, "Evaluation").
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sise.datasets.dataset import Item
from sise.datasets.files import check_size, read_pixels
from sise.datasets.pascal import Annotation, read_annotation
from sise.errors import DatasetError

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
FOLDER = Path("VOCdevkit", "VOC2007")
SPLITS = ("train", "val", "trainval", "test")


@dataclass(frozen=True)
class Voc:
    """The images of `split` of the dataset whose VOCdevkit lies in folder `root`.

    Items by image, in the split's order, then by class; ids such as "000012-dog". Without
    `difficult`, boxes that the annotators marked as difficult are left out, and with them items
    that have no other.
    """

    root: Path
    split: str = "test"
    difficult: bool = True

    classes = CLASSES

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise DatasetError(f"{self.root}: no split {self.split!r}; one of {', '.join(SPLITS)}")

    @property
    def name(self) -> str:
        name = f"PASCAL VOC 2007, {self.split}"
        return name if self.difficult else f"{name}, without difficult boxes"

    @cached_property
    def items(self) -> tuple[Item, ...]:
        return tuple(
            Item(f"{image}-{CLASSES[label]}", image, label, truth="boxes")
            for image, annotation in self._annotations.items()
            for label in sorted({CLASSES.index(box.name) for box in annotation.boxes})
        )

    def pixels(self, item: Item) -> npt.NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return read_pixels(self._files[item.image][0], str(self._split_file))

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        """(H, W): inside a box of the item's class. Boxes hold their edges, counted from 1."""
        image = self.pixels(item)
        annotation = self._annotations[item.image]
        if annotation.size is not None:
            check_size(annotation.size, image, str(self._files[item.image][1]))
        return annotation.mask(CLASSES[item.label], image)

    @cached_property
    def _annotations(self) -> dict[str, Annotation]:
        annotations = {}
        for image, (_, path) in self._files.items():
            annotation = read_annotation(path)
            for box in annotation.boxes:
                if box.name not in CLASSES:
                    raise DatasetError(f"{path}: unknown class {box.name!r}")
            boxes = tuple(box for box in annotation.boxes if self.difficult or not box.difficult)
            annotations[image] = replace(annotation, boxes=boxes)
        return annotations

    @cached_property
    def _files(self) -> dict[str, tuple[Path, Path]]:
        """Image and annotation of each name in the split's list."""
        from torchvision.datasets import VOCDetection

        try:
            listed = VOCDetection(self.root, year="2007", image_set=self.split)
        except (OSError, RuntimeError, ValueError) as error:
            raise DatasetError(
                f"{self._split_file}: cannot be read ({error}); unpack PASCAL VOC 2007 again"
            ) from error
        folder = self.root / FOLDER / "JPEGImages"
        files = {}
        for line, (image, annotation) in enumerate(
            zip(map(Path, listed.images), map(Path, listed.annotations), strict=True), 1
        ):
            if image.parent != folder:
                raise DatasetError(f"{self._split_file}, line {line}: leads out of {folder}")
            if image.name != ".jpg":  # of a blank line
                files[image.stem] = (image, annotation)
        return files

    @property
    def _split_file(self) -> Path:
        return self.root / FOLDER / "ImageSets" / "Main" / f"{self.split}.txt"
