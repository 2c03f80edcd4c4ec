"""What is measured of one crop and its mask.

Worker processes import this module; pandas would double the time that they take to start.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from severstal_prep.errors import UnreadableImageError
from severstal_prep.grouping import crop_hash
from severstal_prep.images import is_grey, read_image, to_grey
from severstal_prep.recast import BLACK_LEVEL, MASK_LEVEL

Size = tuple[int, ...]
"""(H, W), or () where it is not known."""


@dataclass(frozen=True)
class CropTask:
    """The files of a crop and of its mask, None where there is none."""

    crop: Path
    mask: Path | None


@dataclass(frozen=True)
class CropFacts:
    """What was found in a crop and its mask.

    `problem` and `mask_problem` say why a file cannot be read, or are "". `black_fraction` is in
    [0, 1]; `level` is the grey value of a crop whose pixels are all alike; `mask_pixels` counts the
    defect's, None without a mask.
    """

    problem: str = ""
    size: Size = ()
    pixels_sha256: str = ""
    perceptual_hash: str = ""
    black_fraction: float = 0.0
    level: int | None = None
    mask_problem: str = ""
    mask_size: Size = ()
    mask_pixels: int | None = None


def measure(task: CropTask) -> CropFacts:
    """Measure a crop and its mask; what cannot be read gives facts with a problem."""
    try:
        facts = _of_crop(read_image(task.crop))
    except UnreadableImageError as error:
        facts = CropFacts(error.reason)
    if task.mask is None:
        return facts
    try:
        mask = read_image(task.mask)[..., 0] > MASK_LEVEL
    except UnreadableImageError as error:
        return replace(facts, mask_problem=error.reason)
    return replace(facts, mask_size=mask.shape, mask_pixels=int(np.count_nonzero(mask)))


def _of_crop(crop: npt.NDArray[np.uint8]) -> CropFacts:
    grey = to_grey(crop)
    stored = grey if is_grey(crop, grey) else crop
    lowest = int(crop.min())
    return CropFacts(
        size=crop.shape[:2],
        pixels_sha256=hashlib.sha256(np.ascontiguousarray(stored).data).hexdigest(),
        perceptual_hash=crop_hash(grey),
        black_fraction=np.count_nonzero(grey < BLACK_LEVEL) / grey.size,
        level=lowest if lowest == crop.max() else None,
    )
