"""Any images with pixel masks: `images/CLASS/*`, `masks/CLASS/*`, and perhaps `groups.csv`.

A mask belongs to the image of the same class and name, suffix aside; what is not black in it is
truth. So are magnetic tiles (Huang, Qiu and Yuan, The Visual Computer 2018) laid out, and people's
own pictures.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sise.checked import plain
from sise.datasets.dataset import Item
from sise.datasets.files import check_size, read_pixels
from sise.errors import DatasetError

IMAGES, MASKS, GROUPS = "images", "masks", "groups.csv"
LOSSLESS = frozenset({".png", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".pbm", ".ppm", ".pnm"})
SUFFIXES = LOSSLESS | {".jpg", ".jpeg", ".webp"}


@dataclass(frozen=True)
class MaskFolder:
    """The images in folder `root` whose mask shows something; ids such as "scratch/017".

    Images without a mask, or with a black one (as of a class "normal"), have nothing to be
    localised and are no items. `groups.csv`, with the columns class, file and group (or one that
    ends in "_group"), names the group of images; one that it does not name is its own.
    """

    root: Path

    @property
    def name(self) -> str:
        return f"{self.root.resolve().name}, {len(self.items)} of {len(self._files)} images"

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The folders' names, in alphabetical order."""
        return _folders(self.root / IMAGES)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """By class and name. Reads the masks; one that cannot be read is told with its image."""
        return tuple(
            Item(name, name, self.classes.index(image.parent.name), self._groups.get(image, ""))
            for name, (image, mask) in self._files.items()
            if mask is not None and _shows(mask)
        )

    def pixels(self, item: Item) -> npt.NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return read_pixels(self._files[item.id][0], str(self.root))

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        """(H, W): the pixels of the mask that are not black."""
        _, mask = self._files[item.id]
        if mask is None:
            return np.zeros(self.pixels(item).shape[:2], np.bool_)
        return read_mask(mask, self.pixels(item))

    @cached_property
    def _files(self) -> dict[str, tuple[Path, Path | None]]:
        """Image and mask of each name."""
        files: dict[str, tuple[Path, Path | None]] = {}
        for name in _folders(self.root / MASKS):
            if name not in self.classes:
                raise DatasetError(f"{self.root / MASKS / name}: no class of {IMAGES}/ is so named")
        for name in self.classes:
            images = _by_stem(self.root / IMAGES / name)
            masks = masks_by_stem(self.root / MASKS / name, images)
            files |= {f"{name}/{stem}": (path, masks.get(stem)) for stem, path in images.items()}
        return files

    @cached_property
    def _groups(self) -> dict[Path, str]:
        """The group of each image that `groups.csv` names."""
        path = self.root / GROUPS
        if not path.exists():
            return {}
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                return {
                    self.root / IMAGES / label / file: group
                    for label, file, group in _rows(path, csv.DictReader(stream, restval=""))
                }
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(f"{path}: not a readable CSV file in UTF-8 ({error})") from error


def masks_by_stem(folder: Path, images: Mapping[str, Path]) -> dict[str, Path]:
    """The masks in `folder`, none if there is no such folder, by name without suffix.

    Raises DatasetError for one that is of none of the `images`, and for one that JPEG has blurred.
    """
    masks = _by_stem(folder) if folder.exists() else {}
    for stem, path in masks.items():
        if stem not in images:
            raise DatasetError(f"{path}: a mask without image; name both alike")
        if path.suffix.lower() not in LOSSLESS:
            raise DatasetError(f"{path}: {path.suffix} blurs a mask's edges; save it as PNG")
    return masks


def read_mask(path: Path, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """What is not black in the mask (H, W) of an image (H, W, 3).

    Raises DatasetError for a mask that cannot be read, or is of another size.
    """
    mask = np.asarray(read_pixels(path, str(path.parent)).any(axis=2))
    check_size(mask.shape, image, str(path))
    return mask


def _shows(mask: Path) -> bool:
    try:
        return bool(read_pixels(mask, str(mask.parent)).any())
    except DatasetError:
        return True


def _folders(root: Path) -> tuple[str, ...]:
    found = sorted(path.name for path in root.glob("*/") if not path.name.startswith("."))
    if not found:
        raise DatasetError(f"{root}: no folders here; sort the files into one for each class")
    return tuple(found)


def _by_stem(folder: Path) -> dict[str, Path]:
    """The files in a folder by their name without suffix, hidden ones left out."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() not in SUFFIXES:
            known = ", ".join(sorted(SUFFIXES))
            raise DatasetError(f"{path}: not known as an image ({known}); move it away")
        if files.setdefault(path.stem, path) != path:
            raise DatasetError(f"{path}: {files[path.stem].name} has the same name; rename one")
    return files


def _rows(path: Path, reader: "csv.DictReader[str]") -> Iterable[tuple[str, str, str]]:
    """Class, file and group of each row."""
    columns = list(reader.fieldnames or ())
    grouping = [name for name in columns if name == "group"] or [
        name for name in columns if name.endswith("_group")
    ]
    if "class" not in columns or "file" not in columns or len(grouping) != 1:
        raise DatasetError(
            f"{path}: the columns are {plain(', '.join(columns)) or 'none'}; "
            "name them class, file, group"
        )
    for row in reader:
        if not row[grouping[0]]:
            raise DatasetError(f"{path}, line {reader.line_num}: no group; fill it in")
        yield row["class"], row["file"], row[grouping[0]]
