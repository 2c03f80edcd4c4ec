"""NEU-DET: 1,800 images of hot-rolled steel, 200×200 px, six classes, with defect boxes.

Read from the layout of its public copies, `IMAGES/` with `ANNOTATIONS/` and `Validation_Images/`
with `Validation_Annotations/` (Pascal VOC). The class is the file name up to its last underscore;
every image shows one.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from sise.datasets.dataset import Item, mask_of_boxes
from sise.errors import DatasetError
from sise.images import read_image

CLASSES = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
FOLDERS = (("IMAGES", "ANNOTATIONS"), ("Validation_Images", "Validation_Annotations"))


@dataclass(frozen=True)
class NeuDet:
    """The dataset in folder `root`; items by name."""

    root: Path

    name = "NEU-DET"
    classes = CLASSES

    @cached_property
    def items(self) -> tuple[Item, ...]:
        return tuple(Item(name, name, _label(path)) for name, (path, _) in self._files.items())

    def pixels(self, item: Item) -> npt.NDArray[np.uint8]:
        """(200, 200, 3) RGB, the grey image three times."""
        return read_image(self._files[item.id][0])

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        """(200, 200): inside a box of the image."""
        height, width = self.pixels(item).shape[:2]
        return mask_of_boxes(read_boxes(self._files[item.id][1]), (height, width))

    @cached_property
    def _files(self) -> dict[str, tuple[Path, Path]]:
        """Image and annotation of each name."""
        found = {
            path.stem: (path, self.root / annotations / f"{path.stem}.xml")
            for images, annotations in FOLDERS
            for path in (self.root / images).glob("*.jpg")
        }
        if not found:
            raise DatasetError(f"{self.root}: no NEU-DET here ({FOLDERS[0][0]}/*.jpg is missing)")
        return dict(sorted(found.items()))


def _label(path: Path) -> int:
    name = path.stem.rpartition("_")[0]
    if name not in CLASSES:
        raise DatasetError(f"{path}: its name begins with no class of {', '.join(CLASSES)}")
    return CLASSES.index(name)


def read_boxes(path: Path) -> list[tuple[float, float, float, float]]:
    """The boxes (left, top, right, bottom) of a Pascal VOC annotation, whatever their class."""
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314  (the user's own data)
        return [
            tuple(float(box.findtext(key, "")) for key in ("xmin", "ymin", "xmax", "ymax"))  # type: ignore[misc]
            for box in root.iter("bndbox")
        ]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable annotation ({error})") from error
