"""NEU-DET: 1,800 images of hot-rolled steel, 200×200 px, six classes, with defect boxes.

Read from the layout of its public copies, `IMAGES/` with `ANNOTATIONS/` and `Validation_Images/`
with `Validation_Annotations/` (Pascal VOC). The class is the file name up to its last underscore;
every image shows one.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sise.datasets.dataset import Item
from sise.datasets.files import read_pixels
from sise.datasets.pascal import read_annotation
from sise.errors import DatasetError

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
        return read_pixels(self._files[item.id][0], str(self.root))

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        """(200, 200): inside a box of the image's class; other defects' boxes do not count."""
        annotation = read_annotation(self._files[item.id][1])
        return annotation.mask(CLASSES[item.label], self.pixels(item))

    @cached_property
    def _files(self) -> dict[str, tuple[Path, Path]]:
        """Image and annotation of each name."""
        files = {
            path.stem: (path, self.root / annotations / f"{path.stem}.xml")
            for images, annotations in FOLDERS
            for path in (self.root / images).glob("*.jpg")
        }
        if not files:
            raise DatasetError(f"{self.root}: no NEU-DET here ({FOLDERS[0][0]}/*.jpg is missing)")
        return dict(sorted(files.items()))


def _label(path: Path) -> int:
    name = path.stem.rpartition("_")[0]
    if name not in CLASSES:
        raise DatasetError(f"{path}: its name begins with no class of {', '.join(CLASSES)}")
    return CLASSES.index(name)
