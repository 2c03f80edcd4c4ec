"""What is done to one strip: read it, measure it, cut out its crops.

Worker processes import this module; pandas would double the time that they take to start.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from severstal_prep.errors import UnreadableImageError
from severstal_prep.files import write_whole
from severstal_prep.grouping import strip_hash
from severstal_prep.images import (
    decode_image,
    encode_png,
    is_grey,
    is_whole_png,
    read_bytes,
    to_grey,
)
from severstal_prep.recast import Crop, Rules, black_fractions, recast
from severstal_prep.rle import Runs, render
from severstal_prep.training_crops import CROP_SIDE, STRIP_HEIGHT, STRIP_WIDTH
from severstal_prep.workers import Finished, Steps

UNREAD = ""
"""SHA-256 of a file that could not be opened."""


@dataclass(frozen=True)
class Source:
    """A strip to recast: its file, its row in the label file if it has one, and its labels."""

    path: Path
    row: int | None
    labels: Mapping[int, Runs]

    @property
    def strip_id(self) -> str:
        """The image's name without its suffix."""
        return self.path.stem


@dataclass(frozen=True)
class StripRecord:
    """What was found on a strip.

    `sha256` is that of the file, `perceptual_hash` 64 hexadecimal digits, `black_fractions`
    (6,) belongs to the crops from left to right. `problem` says why the strip cannot be used,
    or is "".
    """

    image: str
    sha256: str
    perceptual_hash: str = ""
    black_fractions: tuple[float, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class CutTask:
    """Cut the kept crops of `source` into `folder`, unless `previous` shows them there."""

    source: Source
    rules: Rules
    folder: Path
    previous: StripRecord | None


@dataclass(frozen=True)
class ReadStrip:
    """The file of a strip, as bytes, and their SHA-256."""

    task: CutTask
    content: bytes
    sha256: str


@dataclass(frozen=True)
class CutStrip:
    """What is known of a strip, and the PNG files to keep of it, by their places in the folder."""

    record: StripRecord
    files: Mapping[str, bytes]


def crop_id(strip_id: str, left: int) -> str:
    """Name of a crop, and of its file without the suffix."""
    return f"{strip_id}_x{left}"


def crop_file(strip_id: str, left: int) -> str:
    """Where a crop is kept in the work folder."""
    return f"crops/{crop_id(strip_id, left)}.png"


def mask_file(strip_id: str, left: int) -> str:
    """Where the mask of a defect crop is kept in the work folder."""
    return f"masks/{crop_id(strip_id, left)}.png"


def read_strip(task: CutTask) -> ReadStrip | Finished[StripRecord]:
    """Read a strip's file.

    One that cannot be opened is finished, and so is one that was cut before, from the same
    bytes, if its crops are whole.
    """
    try:
        content = read_bytes(task.source.path)
    except UnreadableImageError as error:
        return Finished(StripRecord(task.source.path.name, UNREAD, problem=str(error)))
    sha256 = hashlib.sha256(content).hexdigest()
    previous = task.previous
    if previous is not None and previous.sha256 == sha256 and _is_cut(task, previous):
        return Finished(previous)
    return ReadStrip(task, content, sha256)


def cut_strip(read: ReadStrip) -> CutStrip:
    """Cut the kept crops of a strip, and the masks of its defect crops.

    Crops of a strip whose three channels are equal are grey. A strip that cannot be used gives a
    record with a `problem`, and no files.
    """
    task = read.task
    try:
        strip = _decode_strip(read.content, task.source.path)
    except UnreadableImageError as error:
        return CutStrip(StripRecord(task.source.path.name, read.sha256, problem=str(error)), {})
    grey = to_grey(strip)
    record = StripRecord(
        task.source.path.name,
        read.sha256,
        strip_hash(grey),
        black_fractions(grey, task.rules.offset),
    )
    pixels = grey if is_grey(strip, grey) else strip
    crops = recast(task.source.labels, task.rules, record.black_fractions)
    return CutStrip(record, _crop_files(task, pixels, crops))


def keep_strip(task: CutTask, cut: CutStrip) -> StripRecord:
    """Write the files of a strip that was cut, each whole or not at all."""
    for place, content in cut.files.items():
        write_whole(task.folder / place, content)
    return cut.record


CUT = Steps(read_strip, cut_strip, keep_strip)
"""Writes the kept crops of a strip, and the masks of its defect crops, as PNG."""


def measure_black(task: tuple[Path, int]) -> tuple[float, ...] | str:
    """Black fraction of the six crops of the strip at a path, with the first at an offset.

    Gives what is wrong with the image, as text, if it cannot be used.
    """
    path, offset = task
    try:
        strip = _decode_strip(read_bytes(path), path)
    except UnreadableImageError as error:
        return str(error)
    return black_fractions(to_grey(strip), offset)


def hash_file(path: Path) -> str:
    """SHA-256 of a file, UNREAD if it cannot be opened."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except UnreadableImageError:
        return UNREAD


def _decode_strip(content: bytes, path: Path) -> npt.NDArray[np.uint8]:
    strip = decode_image(content, path)
    height, width = strip.shape[:2]
    if (height, width) != (STRIP_HEIGHT, STRIP_WIDTH):
        raise UnreadableImageError(
            path,
            f"{width}x{height} px, where labels are drawn on {STRIP_WIDTH}x{STRIP_HEIGHT} px: "
            "replace it by the original strip",
        )
    return strip


def _is_cut(task: CutTask, record: StripRecord) -> bool:
    if record.problem:
        return False
    strip_id = task.source.strip_id
    return all(
        is_whole_png(task.folder / crop_file(strip_id, crop.left))
        and (not crop.class_id or is_whole_png(task.folder / mask_file(strip_id, crop.left)))
        for crop in recast(task.source.labels, task.rules, record.black_fractions)
        if crop.class_id is not None
    )


def _crop_files(
    task: CutTask, pixels: npt.NDArray[np.uint8], crops: tuple[Crop, ...]
) -> dict[str, bytes]:
    strip_id, files = task.source.strip_id, dict[str, bytes]()
    mask: npt.NDArray[np.uint8] | None = None
    for crop in crops:
        if crop.class_id is None:
            continue
        columns = slice(crop.left, crop.left + CROP_SIDE)
        files[crop_file(strip_id, crop.left)] = encode_png(pixels[:, columns])
        if crop.class_id:
            if mask is None:
                runs = task.source.labels[crop.class_id]
                mask = render(runs, STRIP_HEIGHT, STRIP_WIDTH).astype(np.uint8) * np.uint8(255)
            files[mask_file(strip_id, crop.left)] = encode_png(mask[:, columns])
    return files
