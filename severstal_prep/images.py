"""The one reader and writer of images.

Pillow reads, because it tells a truncated file from a whole one (OpenCV returns the rest as
grey, without a word); what it passes over, `pixels` refuses. OpenCV writes, because its PNG
encoder is twice as fast; bytes go through Python's own files, so that any path works on any
system.
"""

import io
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from severstal_prep.errors import UnreadableImageError
from severstal_prep.files import write_whole
from severstal_prep.pixels import SIGNATURE_BYTES, PixelsError, decode, kind_of

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".tif", ".tiff", ".webp",
     ".gif", ".pgm", ".ppm", ".pbm", ".pnm"}
)  # fmt: skip
"""Suffixes of the kinds that are read; a file of another kind or content may bear them."""
Pixel = TypeVar("Pixel", np.uint8, np.bool_)
JPEG_END = b"\xff\xd9"
PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"

# Steel is noise to a compressor: run lengths of the filtered rows alone give smaller files
# than the default search for repetitions, in two thirds of its time, and still shrink masks.
_PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, 3)


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Read an image as RGB, (H, W, 3) uint8 in [0, 255], free to be changed.

    Raises UnreadableImageError for a file that is missing, and as `pixels.decode`.
    """
    return decode_image(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Read an image file's bytes; raises UnreadableImageError if it is missing or locked."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UnreadableImageError(path, "there is no such file") from error
    except IsADirectoryError as error:
        raise UnreadableImageError(path, "a folder, not an image") from error
    except OSError as error:
        raise UnreadableImageError(path, f"cannot be opened ({error.strerror})") from error


def decode_image(content: bytes, path: Path) -> npt.NDArray[np.uint8]:
    """Decode an image file's bytes as `read_image` does; `path` serves the messages alone."""
    try:
        return decode(content)
    except PixelsError as error:
        raise UnreadableImageError(path, str(error)) from error


def looks_like_image(path: Path) -> bool:
    """Whether a file begins as an image of any kind does, or is named as one.

    What macOS leaves beside a file on other disks ("._a.jpg") is none.
    """
    if path.name.startswith("._"):
        return False
    try:
        if path.is_file():
            with path.open("rb") as stream:
                if kind_of(stream.read(SIGNATURE_BYTES)):
                    return True
    except OSError:
        pass
    return path.suffix.lower() in IMAGE_SUFFIXES


def to_grey(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Luma of an RGB image, (H, W, 3) to (H, W) uint8; equal channels keep their value."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def is_grey(image: npt.NDArray[np.uint8], grey: npt.NDArray[np.uint8]) -> bool:
    """Tell whether all three channels of an RGB image equal its luma `grey`."""
    return np.array_equal(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), image)


def mirrored(array: npt.NDArray[Pixel], side: int) -> npt.NDArray[Pixel]:
    """An image or a mask (H, W, …), mirrored at its right and lower edge to `side` px at least.

    The edge itself is not repeated.
    """
    missing = [max(side - length, 0) for length in array.shape[:2]]
    if not any(missing):
        return array
    around = [(0, count) for count in missing] + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, around, mode="reflect")


def write_png(path: Path, array: npt.NDArray[np.uint8]) -> None:
    """Write (H, W) grey or (H, W, 3) RGB uint8 as PNG: the whole file or none.

    The folder must exist.
    """
    write_whole(path, encode_png(array))


def encode_png(array: npt.NDArray[np.uint8]) -> bytes:
    """The PNG file of (H, W) grey or (H, W, 3) RGB uint8."""
    return _encode(array, ".png", _PNG_OPTIONS)


def write_jpeg(path: Path, array: npt.NDArray[np.uint8], quality: int = 90) -> None:
    """Write (H, W) grey or (H, W, 3) RGB uint8 as JPEG: the whole file or none.

    `quality` is libjpeg's, 1 to 100. The folder must exist.
    """
    write_whole(path, encode_jpeg(array, quality))


def encode_jpeg(array: npt.NDArray[np.uint8], quality: int = 90) -> bytes:
    """The JPEG file of (H, W) grey or (H, W, 3) RGB uint8, by libjpeg's `quality`."""
    return _encode(array, ".jpg", (cv2.IMWRITE_JPEG_QUALITY, quality))


def _encode(array: npt.NDArray[np.uint8], suffix: str, options: tuple[int, ...]) -> bytes:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise ValueError(f"an image is (H, W) or (H, W, 3) uint8, not {array.shape} {array.dtype}")
    blue_first = array if array.ndim == 2 else array[..., ::-1]
    return cv2.imencode(suffix, np.ascontiguousarray(blue_first), options)[1].tobytes()


def is_whole_png(path: Path) -> bool:
    """Tell whether `path` is a PNG file with its end in place, without decoding it."""
    return _ends(path, PNG_END)


def is_whole_jpeg(path: Path) -> bool:
    """The same for a JPEG file."""
    return _ends(path, JPEG_END)


def _ends(path: Path, end: bytes) -> bool:
    try:
        with path.open("rb") as stream:
            stream.seek(-len(end), io.SEEK_END)
            return stream.read() == end
    except OSError:
        return False
