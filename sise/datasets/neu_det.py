"""NEU-DET: 1,800 images of hot-rolled steel, 200×200 px, six classes, with boxes or masks.

Read from the layout of its public copies, `IMAGES/` with `ANNOTATIONS/` and `Validation_Images/`
with `Validation_Annotations/` (Pascal VOC). The class is the file name up to its last underscore;
every image shows one. `masks/`, where it is there, holds masks of the same names: SD-saliency-900
(Song, Song and Yan, Optics and Lasers in Engineering 2020) has them of inclusion, patches and
scratches.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sise.datasets.dataset import Item
from sise.datasets.files import read_pixels
from sise.datasets.masks import MASKS, masks_by_stem, read_mask
from sise.datasets.pascal import read_annotation
from sise.errors import DatasetError

CLASSES = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
FOLDERS = (("IMAGES", "ANNOTATIONS"), ("Validation_Images", "Validation_Annotations"))
SUBSETS = ("pixel-truth", "boxes")


@dataclass(frozen=True)
class NeuDet:
    """The dataset in folder `root`; items by name.

    The truth of an image is its mask, or its boxes if it has none. `subset` "pixel-truth" leaves
    the images with a mask; "boxes" takes the boxes of all.
    """

    root: Path
    subset: str | None = None

    classes = CLASSES

    def __post_init__(self) -> None:
        if self.subset is not None and self.subset not in SUBSETS:
            raise DatasetError(
                f"{self.root}: no subset {self.subset!r}; one of {', '.join(SUBSETS)}"
            )
        if self.subset == "pixel-truth" and not self._masks:
            raise DatasetError(f"{self.root / MASKS}: no masks here, so no subset 'pixel-truth'")

    @property
    def name(self) -> str:
        return "NEU-DET, pixel truth" if self.subset == "pixel-truth" else "NEU-DET"

    @cached_property
    def items(self) -> tuple[Item, ...]:
        return tuple(
            Item(name, name, _label(path), truth="pixels" if name in self._masks else "boxes")
            for name, (path, _) in self._files.items()
            if self.subset != "pixel-truth" or name in self._masks
        )

    def pixels(self, item: Item) -> npt.NDArray[np.uint8]:
        """(200, 200, 3) RGB, the grey image three times."""
        return read_pixels(self._files[item.id][0], str(self.root))

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        """(200, 200): the mask's pixels that are not black, or those inside a box.

        Boxes of another class than the image's do not count.
        """
        mask = self._masks.get(item.id)
        if mask is not None:
            return read_mask(mask, self.pixels(item))
        annotation = read_annotation(self._files[item.id][1])
        return annotation.mask(CLASSES[item.label], self.pixels(item))

    @cached_property
    def _masks(self) -> dict[str, Path]:
        if self.subset == "boxes":
            return {}
        return masks_by_stem(
            self.root / MASKS, {name: image for name, (image, _) in self._files.items()}
        )

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
