"""What is done to one image with a mask: cover it with squares, decide on each, cut them out.

Worker processes import this module; pandas would double the time that they take to start.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from severstal_prep.errors import OptionError, UnreadableImageError
from severstal_prep.files import write_whole
from severstal_prep.images import (
    decode_image,
    encode_png,
    is_grey,
    is_whole_png,
    mirrored,
    read_bytes,
    to_grey,
)
from severstal_prep.masked_images import MaskedImage
from severstal_prep.recast import BLACK_LEVEL
from severstal_prep.split import draw
from severstal_prep.workers import Finished, Steps

SMALLEST_CROP = 32


@dataclass(frozen=True)
class MaskRules:
    """What is kept, and with which class.

    `crop`: side of a crop in px, 32 or more. `min_defect_pixels`: a crop with fewer defect
    pixels, but some, is neither defect nor normal and is dropped. `black_threshold`: a normal
    crop is dropped if more than this fraction of its pixels, 0 to 1, is darker than BLACK_LEVEL.
    `normals_per_image`: the most normal crops that an image gives, drawn by the seed; None for
    all. Raises OptionError for values outside these ranges.
    """

    crop: int = 256
    min_defect_pixels: int = 1
    black_threshold: float = 0.95
    normals_per_image: int | None = None

    def __post_init__(self) -> None:
        if self.crop < SMALLEST_CROP:
            raise OptionError(f"--crop must be {SMALLEST_CROP} px or more, not {self.crop}")
        if not 1 <= self.min_defect_pixels <= self.crop**2:
            raise OptionError(
                f"--min-defect-pixels must be 1 to {self.crop**2}, not {self.min_defect_pixels}"
            )
        if not 0 <= self.black_threshold <= 1:
            raise OptionError(f"--black-threshold must be 0 to 1, not {self.black_threshold}")
        if self.normals_per_image is not None and self.normals_per_image < 0:
            raise OptionError(
                f"--normals-per-image must be 0 or more, not {self.normals_per_image}"
            )


class MaskDrop(StrEnum):
    """Why a crop of an image with a mask is not in the dataset."""

    TOO_FEW_PIXELS = "fewer defect pixels than the minimum"
    BLACK = "normal, but black"
    NO_MASK = "of a defect class, but the image has no mask"
    EMPTY_MASK = "of a defect class, but the mask has no defect pixel"
    NOT_NORMAL = "of the normal class, but the mask has defect pixels"
    BEYOND = "normal, but the image gives enough of them"


@dataclass(frozen=True)
class MaskedCrop:
    """A square of an image: its place in px, its defect pixels, the fraction of it below
    BLACK_LEVEL, and why it was dropped, "" if it was not."""

    left: int
    top: int
    defect_pixels: int
    black_fraction: float
    drop: str


@dataclass(frozen=True)
class ImageRecord:
    """What was found on an image: SHA-256 of the file and of its mask ("" without one), and its
    crops row by row. `problem` says why the image cannot be used, or is ""."""

    image: str
    sha256: str
    mask_sha256: str = ""
    crops: tuple[MaskedCrop, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class MaskTask:
    """Cut the kept crops of `source` into `folder`, unless `previous` shows them there.

    `defective`: whether the image is of a defect class. `seed` draws its normal crops.
    """

    source: MaskedImage
    rules: MaskRules
    seed: int
    defective: bool
    folder: Path
    previous: ImageRecord | None

    @property
    def image(self) -> str:
        """The image's path in the folder of images."""
        return f"{self.source.class_name}/{self.source.path.name}"


@dataclass(frozen=True)
class ReadMasked:
    """The files of an image and of its mask (None without one), as bytes, and their SHA-256."""

    task: MaskTask
    content: bytes
    mask: bytes | None
    sha256: str
    mask_sha256: str


@dataclass(frozen=True)
class CutImage:
    """What is known of an image, and the PNG files to keep of it, by their places in the folder."""

    record: ImageRecord
    files: Mapping[str, bytes]


def covering(length: int, side: int) -> tuple[int, ...]:
    """Where the fewest crops of `side` px begin that cover `length` px evenly, ends included.

    200 px in crops of 112 give 0 and 88; what is no longer than a crop gives 0.
    """
    count = -(-length // side)
    if count <= 1:
        return (0,)
    return tuple(round(i * (length - side) / (count - 1)) for i in range(count))


def masked_crop_id(image_id: str, left: int, top: int) -> str:
    """Name of a crop, and of its files without the suffix: "scratch_017_x88_y0"."""
    return f"{image_id.replace('/', '_')}_x{left}_y{top}"


def read_masked(task: MaskTask) -> ReadMasked | Finished[ImageRecord]:
    """Read the files of an image and of its mask.

    An image is finished if one of them cannot be opened, or if it was cut before, from the same
    bytes, and its crops are whole.
    """
    source, sha256, mask_sha256, mask = task.source, "", "", None
    try:
        content = read_bytes(source.path)
        sha256 = hashlib.sha256(content).hexdigest()
        if source.mask is not None:
            mask = read_bytes(source.mask)
            mask_sha256 = hashlib.sha256(mask).hexdigest()
    except UnreadableImageError as error:
        return Finished(ImageRecord(task.image, sha256, mask_sha256, problem=str(error)))
    previous = task.previous
    if (
        previous is not None
        and (previous.sha256, previous.mask_sha256) == (sha256, mask_sha256)
        and _is_cut(task, previous)
    ):
        return Finished(previous)
    return ReadMasked(task, content, mask, sha256, mask_sha256)


def cut_masked(read: ReadMasked) -> CutImage:
    """Cut the kept crops of an image, and the masks of its defect crops.

    An image smaller than a crop is mirrored at its right and lower edge, with its mask; one of
    less than half a crop cannot be used. One that cannot be used gives a record with a
    `problem`, and no files.
    """
    task, source = read.task, read.task.source
    try:
        pixels = decode_image(read.content, source.path)
        defect: npt.NDArray[np.bool_] = np.zeros(pixels.shape[:2], np.bool_)
        if source.mask is not None and read.mask is not None:
            defect = decode_image(read.mask, source.mask).max(axis=2) > 0
            _check_sizes(source.mask, defect, pixels)
        _check_large_enough(task, pixels)
    except UnreadableImageError as error:
        problem = ImageRecord(task.image, read.sha256, read.mask_sha256, problem=str(error))
        return CutImage(problem, {})
    pixels, defect = mirrored(pixels, task.rules.crop), mirrored(defect, task.rules.crop)
    grey = to_grey(pixels)
    crops = _decide(task, grey, defect)
    record = ImageRecord(task.image, read.sha256, read.mask_sha256, crops)
    pixels = grey if is_grey(pixels, grey) else pixels
    return CutImage(record, _crop_files(task, pixels, defect, crops))


def keep_masked(task: MaskTask, cut: CutImage) -> ImageRecord:
    """Write the files of an image that was cut, each whole or not at all."""
    for place, content in cut.files.items():
        write_whole(task.folder / place, content)
    return cut.record


CUT_MASKED = Steps(read_masked, cut_masked, keep_masked)
"""Writes the kept crops of an image, and the masks of its defect crops, as PNG."""


def hash_masked(source: MaskedImage) -> ImageRecord:
    """The hashes of an image and its mask alone, "" for one that cannot be opened."""
    return ImageRecord(
        f"{source.class_name}/{source.path.name}", _hash(source.path), _hash(source.mask)
    )


def _hash(path: Path | None) -> str:
    try:
        return "" if path is None else hashlib.sha256(read_bytes(path)).hexdigest()
    except UnreadableImageError:
        return ""


def _check_sizes(path: Path, defect: npt.NDArray[np.bool_], pixels: npt.NDArray[np.uint8]) -> None:
    if defect.shape != pixels.shape[:2]:
        (height, width), (rows, columns) = pixels.shape[:2], defect.shape
        raise UnreadableImageError(
            path, f"{columns}x{rows} px, its image {width}x{height} px: make both of one size"
        )


def _check_large_enough(task: MaskTask, pixels: npt.NDArray[np.uint8]) -> None:
    height, width = pixels.shape[:2]
    if 2 * min(height, width) < task.rules.crop:
        raise UnreadableImageError(
            task.source.path,
            f"{width}x{height} px, less than half a crop of {task.rules.crop} px: "
            "give a smaller --crop",
        )


def _decide(
    task: MaskTask, grey: npt.NDArray[np.uint8], defect: npt.NDArray[np.bool_]
) -> tuple[MaskedCrop, ...]:
    """Decide on all crops of an image, row by row."""
    whole, side = _drop_of_all(task, defect), task.rules.crop
    crops = list[MaskedCrop]()
    for top in covering(grey.shape[0], side):
        for left in covering(grey.shape[1], side):
            square = np.s_[top : top + side, left : left + side]
            pixels = int(np.count_nonzero(defect[square]))
            black = np.count_nonzero(grey[square] < BLACK_LEVEL) / side**2
            drop = whole
            if not drop and 0 < pixels < task.rules.min_defect_pixels:
                drop = MaskDrop.TOO_FEW_PIXELS
            elif not drop and not pixels and black > task.rules.black_threshold:
                drop = MaskDrop.BLACK
            crops.append(MaskedCrop(left, top, pixels, black, str(drop)))
    return _limited(task, crops)


def _drop_of_all(task: MaskTask, defect: npt.NDArray[np.bool_]) -> str:
    """Why no crop of an image can be used, "" if they can.

    An image of a defect class without a defect pixel contradicts itself: it is neither.
    """
    if not task.defective:
        return MaskDrop.NOT_NORMAL if defect.any() else ""
    if task.source.mask is None:
        return MaskDrop.NO_MASK
    return "" if defect.any() else MaskDrop.EMPTY_MASK


def _limited(task: MaskTask, crops: list[MaskedCrop]) -> tuple[MaskedCrop, ...]:
    """Drop the normal crops beyond the most that an image gives."""
    most = task.rules.normals_per_image
    normal = [crop for crop in crops if not crop.drop and not crop.defect_pixels]
    if most is None or len(normal) <= most:
        return tuple(crops)
    normal.sort(key=lambda crop: draw(task.seed, _name(task, crop)))
    beyond = set(normal[most:])
    return tuple(
        MaskedCrop(
            crop.left, crop.top, crop.defect_pixels, crop.black_fraction, str(MaskDrop.BEYOND)
        )
        if crop in beyond
        else crop
        for crop in crops
    )


def _name(task: MaskTask, crop: MaskedCrop) -> str:
    return masked_crop_id(task.source.image_id, crop.left, crop.top)


def _files(task: MaskTask, crop: MaskedCrop) -> tuple[str, str]:
    """Where a crop and its mask are kept in the work folder."""
    name = f"{_name(task, crop)}.png"
    return f"crops/{name}", f"masks/{name}"


def _is_cut(task: MaskTask, record: ImageRecord) -> bool:
    return not record.problem and all(
        is_whole_png(task.folder / _files(task, crop)[0])
        and (not crop.defect_pixels or is_whole_png(task.folder / _files(task, crop)[1]))
        for crop in record.crops
        if not crop.drop
    )


def _crop_files(
    task: MaskTask,
    pixels: npt.NDArray[np.uint8],
    defect: npt.NDArray[np.bool_],
    crops: tuple[MaskedCrop, ...],
) -> dict[str, bytes]:
    side, files = task.rules.crop, dict[str, bytes]()
    for crop in crops:
        if crop.drop:
            continue
        square = np.s_[crop.top : crop.top + side, crop.left : crop.left + side]
        crop_file, mask_file = _files(task, crop)
        files[crop_file] = encode_png(pixels[square])
        if crop.defect_pixels:
            files[mask_file] = encode_png(defect[square].astype(np.uint8) * np.uint8(255))
    return files
