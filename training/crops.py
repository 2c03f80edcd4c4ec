"""The crops of a recast dataset, as training needs them: checked, counted, decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from severstal_prep import dataset
from severstal_prep.checks import MASKS_MISSING, Check, leak_checks, quick_checks, row_checks
from severstal_prep.images import is_grey, read_image, to_grey
from severstal_prep.recast import MASK_LEVEL
from sise.progress import note
from training.errors import DataError

CROPS_FOR_STATISTICS = 2000


@dataclass(frozen=True)
class Crops:
    """The crops of one split: files, class ids (N,) int64, files of true masks, None where there is
    none, and the group of each: crops of a group are alike."""

    paths: tuple[Path, ...]
    labels: npt.NDArray[np.int64]
    masks: tuple[Path | None, ...] = ()
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class CheckedDataset:
    """A recast dataset that was checked for training.

    `sha256` is its card's, the dataset's identity.
    """

    root: Path
    card: dict[str, Any]
    sha256: str
    manifest: pd.DataFrame

    def crops(self, split: str) -> Crops:
        """The crops of a split, in the manifest's order. Raises DataError if there are none."""
        rows = self.manifest[self.manifest["split"] == split]
        if rows.empty:
            raise DataError(
                f"{self.root}: no crop in the split {split!r}; build the dataset from more strips"
            )
        paths = tuple(self.root / PurePosixPath(name) for name in rows["crop_path"])
        masks = tuple(
            self.root / PurePosixPath(name) if name else None for name in rows["mask_path"]
        )
        groups = tuple(rows["group_id"].astype(str))
        return Crops(paths, rows["class_id"].to_numpy(np.int64), masks, groups)

    def counts(self, split: str | None = None) -> tuple[int, ...]:
        """Crops per class id, of one split or of all."""
        rows = self.manifest if split is None else self.manifest[self.manifest["split"] == split]
        counts = np.bincount(rows["class_id"], minlength=len(self.classes))
        return tuple(int(count) for count in counts)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by class id, as the card has them."""
        return tuple(self.card["classes"])

    @property
    def split_rule(self) -> str:
        """How the dataset was split: "grouped" or "paper"."""
        return str(self.card["settings"]["split"])


ClassName = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class SplitSettings:
    """How a dataset was split."""

    split: str
    seed: int


@dataclass(frozen=True)
class SplitCard:
    """What training needs of a dataset's card."""

    settings: SplitSettings
    differs_from_recipe: dict[str, Any]
    classes: Annotated[list[ClassName], Field(min_length=2)]


def read_recast(root: Path) -> CheckedDataset:
    """Read the card and the manifest of a recast dataset, and check what training relies on.

    Raises DatasetError for a folder that is no recast dataset, and DataError for classes or
    paths out of place, and for a grouped dataset whose groups cross splits (leakage).
    """
    recast = CheckedDataset(
        root,
        dataset.read_card(root, SplitCard),
        dataset.card_sha256(root),
        dataset.read_manifest(root),
    )
    _refuse(root, row_checks(recast.classes, recast.manifest))
    _refuse(root, leak_checks(recast.manifest, recast.split_rule))
    return recast


def check_quickly(recast: CheckedDataset) -> None:
    """Do what `severstal-prep check --quick` does: note its warnings, raise DataError for an error.

    Not for masks that are missing: only masking needs them, and `check_masks` looks for them.
    """
    checks = [
        check
        for check in quick_checks(recast.root, recast.card, recast.manifest)
        if check.name != MASKS_MISSING
    ]
    _refuse(recast.root, checks)
    for check in checks:
        if check.found:
            note(
                f"{recast.root}: {check.name}: {check.found} ({check.examples[0]}); {check.cure} "
                "(severstal-prep check tells more)"
            )


def _refuse(root: Path, checks: Sequence[Check]) -> None:
    for check in checks:
        if check.level == "error" and check.found:
            first, more = check.examples[0], check.found - 1
            also = f" (and {more} more)" if more else ""
            raise DataError(f"{root / first.file}{first.in_row}: {first.what}{also}; {check.cure}")


def check_classes(path: Path, classes: Sequence[str], recast: CheckedDataset) -> None:
    """Raise DataError unless the classifier at `path` has the dataset's classes, in its order."""
    if tuple(classes) != recast.classes:
        raise DataError(
            f"{path}: a model of other classes ({', '.join(classes)}); "
            f"{recast.root} has {', '.join(recast.classes)}"
        )


def check_grey(crops: Crops) -> None:
    """Raises DataError for a crop in colour, of 64 that are looked at."""
    for path in crops.paths[:: -(-len(crops) // 64)]:
        image = read_image(path)
        if not is_grey(image, to_grey(image)):
            raise DataError(
                f"{path}: is in colour, but model.channels 1 looks at grey alone; train with "
                "model.channels 3"
            )


def check_masks(crops: Crops, normal: int) -> None:
    """Raises DataError for a crop of another class than `normal` that has no mask file."""
    for path, mask, label in zip(crops.paths, crops.masks, crops.labels, strict=True):
        if label != normal and (mask is None or not mask.is_file()):
            where = "" if mask is None else f" ({mask})"
            raise DataError(
                f"{path}: this defect crop has no mask{where}, which data.masking needs; build the "
                "dataset again, or train without data.masking"
            )


def read_mask(path: Path) -> npt.NDArray[np.uint8]:
    """Read a true mask: (H, W) uint8, 1 on the defect. Raises as `read_image` does."""
    return np.asarray(read_image(path)[..., 0] > MASK_LEVEL, np.uint8)


def check_mask_size(file: Path, mask: npt.NDArray[np.uint8], size: tuple[int, ...]) -> None:
    """Raises DataError for a mask of another `size` (H, W) than its crop's."""
    if mask.shape != size:
        raise DataError(
            f"{file}: {mask.shape[1]}×{mask.shape[0]} px, but its crop has {size[1]}×{size[0]}; "
            "build the dataset again"
        )


def channel_statistics(
    paths: Sequence[Path],
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation per channel of images scaled to [0, 1].

    Of more than 2,000 files every n-th is read. The deviation is taken over all pixels.
    """
    step = -(-len(paths) // CROPS_FOR_STATISTICS)
    chosen = paths[::step]
    sums = np.zeros((2, 3))
    pixels = 0
    for path in chosen:
        image = read_image(path).reshape(-1, 3).astype(np.float64) / 255
        sums += np.stack([image.sum(axis=0), np.square(image).sum(axis=0)])
        pixels += len(image)
    mean, square = sums / pixels
    deviation = np.sqrt(np.maximum(square - np.square(mean), 1e-12))
    return _triple(mean), _triple(deviation)


def _triple(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
