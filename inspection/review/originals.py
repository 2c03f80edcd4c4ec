"""The strips that were inspected, read again from where they lie."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inspection.review.errors import StripError
from inspection.review.queries import Row
from severstal_prep.errors import UnreadableImageError
from severstal_prep.images import decode_image, read_bytes
from severstal_prep.training_crops import CROP_SIDE


def strip_path(folder: str, strip: str) -> Path:
    """Where a strip lies inside its batch folder. Raises StripError if that leaves it."""
    root = Path(folder)
    path = root / strip
    if not path.resolve().is_relative_to(root.resolve()):
        raise StripError(f"{path}: leaves the batch folder; register the report again")
    return path


def read_strip(path: Path, sha256: str) -> npt.NDArray[np.uint8]:
    """A strip (H, W, 3) uint8. Raises StripError unless it is the one that was inspected."""
    try:
        content = read_bytes(path)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StripError(
                f"{path}: not the strip that was inspected (its SHA-256 differs); put the "
                "original back, or register the report again with --strips"
            )
        return decode_image(content, path)
    except UnreadableImageError as error:
        raise StripError(
            f"{error}; if the strips were moved, register the report again with --strips"
        ) from error


def patch_png(strips_folder: str, patch: Row) -> bytes:
    """A patch, which the report has no picture of, as PNG. Raises StripError as `read_strip`."""
    pixels = read_strip(strip_path(strips_folder, patch.strip), patch.sha256)
    blue_first = np.ascontiguousarray(pixels[:, patch.left : patch.left + CROP_SIDE, ::-1])
    return bytes(cv2.imencode(".png", blue_first)[1].tobytes())
