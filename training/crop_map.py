"""Decoded crops in one file, which processes map into memory: no crop is decoded twice.

FOLDER/SPLIT-KEY.npy          crops (N, H, W, C) uint8; C is 1 where all of them are grey, else 3
FOLDER/SPLIT-KEY-masks.npy    true masks (M, bytes) uint8, a bit a pixel, of the crops that have one

A file is written under another name first, and by one process at a time. KEY says from which
files it was made, so that none is ever changed.
"""

import errno
import fcntl
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap, write_array_header_1_0

from severstal_prep.files import replacing
from severstal_prep.images import is_grey, read_image, to_grey
from sise.progress import note, track
from training.crops import Crops, check_mask_size, read_mask
from training.errors import DataError

T = TypeVar("T")
Image = npt.NDArray[np.uint8]

FORMAT = "crops 1"
SPARE_BYTES = 2**30
"""What a disk keeps free beside these files: checkpoints come after them."""
COMPARED = 8
"""So many crops are decoded each time, and compared with the file."""
TRACKED = 2000
"""More files than so many take long enough to show progress."""
CHUNK = 64


class CropReader(Protocol):
    """Where a dataset's crops come from."""

    def crop(self, index: int) -> Image:
        """A crop (H, W, 3) uint8, free to be changed."""
        ...

    def mask(self, index: int) -> Image | None:
        """Its true mask (H, W) uint8, 1 on the defect; None if there is none."""
        ...


class CropFiles:
    """Decodes a crop each time it is asked for."""

    def __init__(self, crops: Crops) -> None:
        self._crops = crops

    def crop(self, index: int) -> Image:
        """Raises UnreadableImageError as `read_image`."""
        return read_image(self._crops.paths[index])

    def mask(self, index: int) -> Image | None:
        """Raises UnreadableImageError as `read_image`."""
        file = self._crops.masks[index]
        return None if file is None else read_mask(file)


def _opened(file: Path, axes: int) -> Image:
    """The array in a file of this module. Raises FileNotFoundError, and ValueError for all else."""
    try:
        array: Image = open_memmap(file, mode="r")
    except FileNotFoundError:
        raise
    except Exception as error:  # of a damaged heading NumPy raises anything
        raise ValueError(f"{file}: no array ({type(error).__name__})") from error
    fits = array.dtype == np.uint8 and array.ndim == axes and array.size
    if not fits or (axes == 4 and array.shape[3] not in (1, 3)):
        raise ValueError(f"{file}: an array {array.shape} of {array.dtype}")
    return array


class CropMap:
    """Reads crops from a file of this module, which is mapped, not loaded.

    Worker processes share the pages; what is pickled for them is the file's name.
    """

    def __init__(self, crops: Path, masks: Path | None = None, masked: Sequence[bool] = ()) -> None:
        """`masked` (N,) tells which crops have a mask in the file `masks`."""
        self._files = crops, masks
        self._rows = np.where(masked, np.cumsum(masked) - 1, -1)
        self._open()

    def _open(self) -> None:
        crops, masks = self._files
        self._crops = _opened(crops, 4)
        self._masks = None if masks is None else _opened(masks, 2)

    def __getstate__(self) -> dict[str, Any]:
        return {"_files": self._files, "_rows": self._rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._open()

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C) of the file."""
        return self._crops.shape

    def crop(self, index: int) -> Image:
        """The same pixels as of `CropFiles`."""
        stored = self._crops[index]
        if stored.shape[2] == 3:
            return np.array(stored)
        return np.asarray(cv2.cvtColor(stored, cv2.COLOR_GRAY2RGB), np.uint8)

    def mask(self, index: int) -> Image | None:
        """The same pixels as of `CropFiles`."""
        if self._masks is None or self._rows[index] < 0:
            return None
        height, width = self.shape[1:3]
        bits = np.unpackbits(self._masks[self._rows[index]], count=height * width)
        return bits.reshape(height, width)


@dataclass(frozen=True)
class MapRequest:
    """The crops of a split that are to be decoded once.

    `dataset` identifies the dataset; `masks` asks for their masks, too; files go to `folder`;
    `threads` decode.
    """

    crops: Crops
    split: str
    dataset: str
    masks: bool
    folder: Path
    threads: int


def open_crops(request: MapRequest) -> CropReader:
    """The crops from their file, which is made if it is not there; decoded where it cannot be.

    Notes why not: a folder that cannot be written, a disk too small. Raises UnreadableImageError,
    and DataError for crops, or a crop and its mask, of different sizes.
    """
    try:
        return _mapped(request)
    except OSError as error:
        note(
            f"crops are decoded anew in each epoch, which is slower: {request.folder}: "
            f"{error.strerror or error}; --data.cache_dir names another folder, "
            "--data.cache false does without"
        )
        return CropFiles(request.crops)


def _mapped(request: MapRequest) -> CropMap:
    name = f"{request.split}-{_key(request)}"
    crops, masks = request.folder / f"{name}.npy", request.folder / f"{name}-masks.npy"
    masked = [request.masks and mask is not None for mask in request.crops.masks]
    request.folder.mkdir(parents=True, exist_ok=True)
    if not _holds_crops(request, crops):
        with _alone(request.folder):
            if not _holds_crops(request, crops):
                _write_crops(request, crops)
    if not any(masked):
        return CropMap(crops)
    if not _holds_masks(request, crops, masks, masked):
        with _alone(request.folder):
            if not _holds_masks(request, crops, masks, masked):
                _write_masks(request, masks, open_memmap(crops, mode="r").shape[1:3])
    return CropMap(crops, masks, masked)


def _key(request: MapRequest) -> str:
    """What the files are made from: the dataset, and size and time of each image in it."""
    key = hashlib.sha256(f"{FORMAT} {request.dataset} {request.split}".encode())
    masks = [mask for mask in request.crops.masks if mask is not None]
    for path in (*request.crops.paths, *masks):
        if path.is_file():
            status = path.stat()
            key.update(f" {status.st_size} {status.st_mtime_ns}".encode())
    return key.hexdigest()[:16]


def _holds_crops(request: MapRequest, file: Path) -> bool:
    """Whether a file has all crops, and some of them pixel by pixel."""
    try:
        found = CropMap(file)
    except (FileNotFoundError, ValueError):
        return False
    count, decoded = len(request.crops), CropFiles(request.crops)
    if found.shape[0] != count:
        return False
    return all(_equal(found.crop(i), decoded.crop(i)) for i in _some(count))


def _holds_masks(request: MapRequest, crops: Path, file: Path, masked: Sequence[bool]) -> bool:
    """The same of masks."""
    rows = np.flatnonzero(masked)
    try:
        found, shape = CropMap(crops, file, masked), open_memmap(file, mode="r").shape
    except (FileNotFoundError, ValueError):
        return False
    height, width = found.shape[1:3]
    if shape != (len(rows), -(-height * width // 8)):
        return False
    decoded = CropFiles(request.crops)
    some: list[int] = rows[_some(len(rows))].tolist()
    return all(_equal(found.mask(row), decoded.mask(row)) for row in some)


def _equal(one: Image | None, other: Image | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _some(count: int) -> list[int]:
    """COMPARED indices below `count`, or all of them, evenly spread, ends included."""
    indices: list[int] = np.unique(np.linspace(0, count - 1, COMPARED).astype(int)).tolist()
    return indices


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from writing here meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"{folder}: another process decodes crops into it; waiting")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class _ColourError(Exception):
    """A crop that is not grey, among crops that were to be stored as grey."""


def _write_crops(request: MapRequest, file: Path) -> None:
    try:
        _write_crops_as(request, file, 1)
    except _ColourError:
        _write_crops_as(request, file, 3)


def _write_crops_as(request: MapRequest, file: Path, channels: int) -> None:
    paths = request.crops.paths
    height, width = read_image(paths[0]).shape[:2]

    def decoded(path: Path) -> Image:
        crop = read_image(path)
        if crop.shape[:2] != (height, width):
            raise DataError(
                f"{path}: {crop.shape[1]}×{crop.shape[0]} px, but {paths[0].name} has "
                f"{width}×{height}; build the dataset again"
            )
        if channels == 3:
            return crop
        grey = to_grey(crop)
        if not is_grey(crop, grey):
            raise _ColourError
        return grey

    _write(request, file, (len(paths), height, width, channels), decoded, paths)


def _write_masks(request: MapRequest, file: Path, size: tuple[int, ...]) -> None:
    def packed(pair: tuple[Path, Path]) -> Image:
        mask = read_mask(pair[1])
        check_mask_size(pair[1], mask, size)
        return np.packbits(mask)

    pairs = [
        (path, mask)
        for path, mask in zip(request.crops.paths, request.crops.masks, strict=True)
        if mask is not None
    ]
    _write(request, file, (len(pairs), -(-size[0] * size[1] // 8)), packed, pairs)


def _write(
    request: MapRequest,
    file: Path,
    shape: tuple[int, ...],
    read: Callable[[T], Image],
    sources: Sequence[T],
) -> None:
    """Write what `read` gives of each source as one array of `shape`: the whole file or none."""
    needed, free = math.prod(shape), shutil.disk_usage(request.folder).free
    if free - needed < SPARE_BYTES:
        raise OSError(
            errno.ENOSPC,
            f"{needed / 2**30:.1f} GiB are needed, and {SPARE_BYTES / 2**30:g} beside them, but "
            f"{free / 2**30:.1f} are free",
        )
    # Not written through a map: on a full disk that would end the process by a signal.
    with replacing(file) as temporary, temporary.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        write_array_header_1_0(stream, header)
        with ThreadPoolExecutor(request.threads) as pool:
            rows = _in_order(pool, read, sources)
            if len(sources) > TRACKED:
                rows = track(rows, len(sources), "decode crops, once")
            for row in rows:
                stream.write(row.data)


def _in_order(
    pool: ThreadPoolExecutor, read: Callable[[T], Image], sources: Sequence[T]
) -> Iterator[Image]:
    """As `pool.map`, but not far ahead of what is taken."""
    for start in range(0, len(sources), CHUNK):
        yield from pool.map(read, sources[start : start + CHUNK])
