"""MS COCO, instances: everyday scenes, 80 classes, outlines and boxes of objects.

The paper's is val2014, 40,504 images. Every class of an image is an item, as in the paper
(appendix, "Evaluation"). Reading it takes pycocotools, the extra `coco`.
"""

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sise.datasets.dataset import Item, Truth, mask_of_boxes
from sise.datasets.files import check_size, inside, read_pixels
from sise.datasets.outlines import check_outline
from sise.errors import DatasetError

Regions = Literal["masks", "boxes"]


@dataclass(frozen=True)
class Coco:
    """The images in folder `root`/`split`, labelled in annotations/instances_`split`.json.

    Items by number of the image, then by class; ids such as
    "COCO_val2014_000000000042-dog". Truth is the union of the outlines ("masks") or of the
    boxes of the class, groups of objects outlined as one (crowds) included, as in TorchRay.
    """

    root: Path
    split: str = "val2014"
    regions: Regions = "masks"

    @property
    def name(self) -> str:
        return f"COCO {self.split}" + (", boxes" if self.regions == "boxes" else "")

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """By the dataset's number of the class."""
        return tuple(self._coco.cats[number]["name"] for number in self._labels)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        truth: Truth = "boxes" if self.regions == "boxes" else "pixels"
        return tuple(
            Item(f"{name}-{self.classes[label]}", name, label, truth=truth)
            for name, image in self._images.items()
            for label in sorted({self._label(entry) for entry in self._objects(image["id"])})
        )

    def pixels(self, item: Item) -> npt.NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        image = self._images[item.image]
        path = inside(self.root / self.split, image["file_name"], self._source("image", image))
        return read_pixels(path, self._source("image", image))

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        """(H, W): the pixels of any object of the item's class."""
        pixels = self.pixels(item)
        height, width = pixels.shape[:2]
        image = self._images[item.image]
        objects = [
            entry for entry in self._objects(image["id"]) if self._label(entry) == item.label
        ]
        check_size((image["height"], image["width"]), pixels, self._source("image", image))
        if self.regions == "boxes":
            return mask_of_boxes([self._box(entry) for entry in objects], (height, width))
        mask = np.zeros((height, width), dtype=np.bool_)
        for entry in objects:
            mask |= self._outline(entry)
        return mask

    def _outline(self, entry: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
        image = self._coco.imgs[entry["image_id"]]
        try:
            check_outline(entry["segmentation"], (image["height"], image["width"]))
            mask: npt.NDArray[np.uint8] = self._coco.annToMask(entry)
        except Exception as error:  # pycocotools raises it bare, and whatever numpy raises
            raise DatasetError(
                f"{self._source('annotation', entry)}: not a readable segmentation ({error})"
            ) from error
        return mask > 0

    def _box(self, entry: Mapping[str, Any]) -> tuple[float, float, float, float]:
        try:
            left, top, width, height = (float(number) for number in entry["bbox"])
        except (KeyError, TypeError, ValueError):
            left = top = width = height = math.nan
        if not (math.isfinite(left + top + width + height) and min(width, height) >= 0):
            raise DatasetError(f"{self._source('annotation', entry)}: not a readable box")
        return left, top, left + width, top + height

    def _label(self, entry: Mapping[str, Any]) -> int:
        label = self._labels.get(entry["category_id"])
        if label is None:
            raise DatasetError(
                f"{self._source('annotation', entry)}: unknown class {entry['category_id']}"
            )
        return label

    @cached_property
    def _labels(self) -> dict[int, int]:
        return {number: label for label, number in enumerate(sorted(self._coco.cats))}

    def _objects(self, image: int) -> Sequence[Mapping[str, Any]]:
        objects: Sequence[Mapping[str, Any]] = self._coco.imgToAnns.get(image, ())
        return objects

    @cached_property
    def _images(self) -> dict[str, Mapping[str, Any]]:
        """The images' entries by the name of the file without its ending."""
        images: dict[str, Mapping[str, Any]] = {}
        for number in sorted(self._coco.imgs):
            image = self._coco.imgs[number]
            missing = {"file_name", "height", "width"} - image.keys()
            if missing:
                raise DatasetError(f"{self._source('image', image)}: no {min(missing)}")
            inside(self.root / self.split, image["file_name"], self._source("image", image))
            name = str(PurePosixPath(image["file_name"]).with_suffix(""))
            if name in images:
                raise DatasetError(f"{self._source('image', image)}: a second one named {name}")
            images[name] = image
        return images

    @cached_property
    def _coco(self) -> Any:
        """The index that pycocotools makes of the annotations."""
        from torchvision.datasets import CocoDetection

        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress there
                index = CocoDetection(self.root / self.split, str(self._file)).coco
            if any("name" not in category for category in index.dataset["categories"]):
                raise ValueError("a category without name")
            return index
        except ModuleNotFoundError as error:
            raise DatasetError('COCO needs pycocotools: pip install "steel-sise[coco]"') from error
        except FileNotFoundError as error:
            splits = ", ".join(splits_in(self.root)) or "none"
            raise DatasetError(
                f"{self._file}: no such file; splits in this folder: {splits}"
            ) from error
        except (OSError, ValueError, AssertionError, LookupError, TypeError) as error:
            raise DatasetError(
                f"{self._file}: not readable annotations of COCO ({error!r}); unpack it again"
            ) from error

    @property
    def _file(self) -> Path:
        return self.root / "annotations" / f"instances_{self.split}.json"

    def _source(self, kind: str, entry: Mapping[str, Any]) -> str:
        return f"{self._file}, {kind} {entry['id']}"


def splits_in(root: Path) -> list[str]:
    """The splits whose annotations lie in the folder."""
    files = (root / "annotations").glob("instances_*.json")
    return sorted(path.stem.removeprefix("instances_") for path in files)
