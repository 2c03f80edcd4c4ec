"""The rules that turn a strip and its labels into crops with a class.

The recipe `paper` gives the defect counts of table 3 of the SISE paper exactly: defect crops
come from strips of exactly one class, and any defect pixel makes a defect crop; normal crops
are the crops without any defect pixel, from all annotated strips, unless they are black.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from severstal_prep.errors import OptionError
from severstal_prep.rle import Runs
from severstal_prep.training_crops import CROP_SIDE, LARGEST_OFFSET, STRIP_HEIGHT, training_lefts

NORMAL = 0
NORMAL_NAME = "normal"
BLACK_LEVEL = 15
"""Grey value below which a pixel is black.

On real strips, the crops beside the steel have at least 99.9 % of their pixels below 15, the
darkest steel at most 54 %, and steel with a wide black margin at most 78 %.
"""
MASK_LEVEL = 127
"""Grey value above which a pixel of a mask is the defect."""

Recipe = Literal["paper"]
Normals = Literal["annotated", "all", "none"]


@dataclass(frozen=True)
class Rules:
    """What is kept, and with which class; the defaults are the recipe `paper`.

    `offset`: left edge of the first crop in px, 0 to 64. `min_defect_pixels`: a crop with
    fewer defect pixels, but some, is neither defect nor normal and is dropped. `normals`:
    the strips that give normal crops: those with a label, all in the image folder, or none.
    `black_threshold`: a normal crop is dropped if more than this fraction of its pixels,
    0 to 1, is darker than BLACK_LEVEL; a defect crop never is, as its label says that there
    is steel. Raises OptionError for values outside these ranges.
    """

    recipe: Recipe = "paper"
    offset: int = 32
    min_defect_pixels: int = 1
    normals: Normals = "annotated"
    black_threshold: float = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.offset <= LARGEST_OFFSET:
            raise OptionError(f"--offset must be 0 to {LARGEST_OFFSET} px, not {self.offset}")
        if not 1 <= self.min_defect_pixels <= CROP_SIDE**2:
            raise OptionError(
                f"--min-defect-pixels must be 1 to {CROP_SIDE**2}, not {self.min_defect_pixels}"
            )
        if not 0 <= self.black_threshold <= 1:
            raise OptionError(f"--black-threshold must be 0 to 1, not {self.black_threshold}")


class Drop(StrEnum):
    """Why a crop is not in the dataset."""

    SEVERAL_CLASSES = "defect on a strip of several classes"
    TOO_FEW_PIXELS = "fewer defect pixels than the minimum"
    BLACK = "normal, but black"
    NORMALS_OFF = "normal, but of a strip that gives no normal crops"


@dataclass(frozen=True)
class Crop:
    """A square of a strip and what became of it: `class_id` 0 to 4, or None if dropped."""

    left: int
    class_id: int | None
    defect_pixels: int
    drop: Drop | None


def recast(
    labels: Mapping[int, Runs], rules: Rules, black_fractions: Sequence[float] | None = None
) -> tuple[Crop, ...]:
    """Decide on the six crops of a strip, from left to right.

    `labels` has the strip's runs per class, `black_fractions` (6,) the fraction of each crop
    below BLACK_LEVEL; without it no crop counts as black. `defect_pixels` of a crop is the
    sum over the classes.
    """
    lefts = training_lefts(rules.offset)
    blacks = black_fractions if black_fractions is not None else (0.0,) * len(lefts)
    return tuple(
        _recast_crop(left, labels, rules, black) for left, black in zip(lefts, blacks, strict=True)
    )


def _recast_crop(left: int, labels: Mapping[int, Runs], rules: Rules, black: float) -> Crop:
    pixels = sum(
        runs.pixels_between(left * STRIP_HEIGHT, (left + CROP_SIDE) * STRIP_HEIGHT)
        for runs in labels.values()
    )
    if pixels == 0:
        if rules.normals == "none" or (rules.normals == "annotated" and not labels):
            return Crop(left, None, 0, Drop.NORMALS_OFF)
        if black > rules.black_threshold:
            return Crop(left, None, 0, Drop.BLACK)
        return Crop(left, NORMAL, 0, None)
    if len(labels) > 1:
        return Crop(left, None, pixels, Drop.SEVERAL_CLASSES)
    if pixels < rules.min_defect_pixels:
        return Crop(left, None, pixels, Drop.TOO_FEW_PIXELS)
    return Crop(left, next(iter(labels)), pixels, None)


def black_fractions(grey: npt.NDArray[np.uint8], offset: int) -> tuple[float, ...]:
    """Fraction of each of the six crops of a grey strip (256, 1600) below BLACK_LEVEL."""
    dark_per_column = np.count_nonzero(grey < BLACK_LEVEL, axis=0)
    return tuple(
        int(dark_per_column[left : left + CROP_SIDE].sum()) / CROP_SIDE**2
        for left in training_lefts(offset)
    )
