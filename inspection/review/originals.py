"""The strips that were inspected, read again from where they lie."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from inspection.review.errors import StripError
from inspection.review.queries import Row
from severstal_prep.errors import UnreadableImageError
from severstal_prep.images import decode_image, mirrored, read_bytes


def strip_path(folder: str, strip: str) -> Path:
    """Where a strip lies inside its batch folder. Raises StripError if that leaves it."""
    root = Path(folder)
    path = root / strip
    if not path.resolve().is_relative_to(root.resolve()):
        raise StripError(f"{path}: leaves the batch folder; register the report again")
    return path


def read_strip(path: Path, sha256: str, size: int) -> npt.NDArray[np.uint8]:
    """A strip (H, W, 3) uint8, mirrored to the `size` of a patch, as it was inspected.

    Raises StripError unless it is the one that was inspected.
    """
    try:
        content = read_bytes(path)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StripError(
                f"{path}: not the strip that was inspected (its SHA-256 differs); put the "
                "original back, or register the report again with --strips"
            )
        return mirrored(decode_image(content, path), size)
    except UnreadableImageError as error:
        raise StripError(
            f"{error}; if the strips were moved, register the report again with --strips"
        ) from error


def place(patch: Mapping[str, Any]) -> int:
    """Where a patch (a row of results.parquet) begins, in px of all rows of its strip, one row
    after another; on a strip no higher than a patch its left edge.

    The log knows a patch by this number.
    """
    top = int(patch.get("top") or 0)
    return int(patch["left"]) + (top * int(patch["width"]) if top else 0)


def corner(place: int, width: int) -> tuple[int, int]:
    """Left and top edge in px of the patch at `place` of a strip of this width."""
    top, left = divmod(place, width)
    return left, top


def patch_png(strips_folder: str, patch: Row, size: int) -> bytes:
    """A patch, which the report has no picture of, as PNG. Raises StripError as `read_strip`."""
    pixels = read_strip(strip_path(strips_folder, patch.strip), patch.sha256, size)
    left, top = corner(patch.left, pixels.shape[1])
    blue_first = np.ascontiguousarray(pixels[top : top + size, left : left + size, ::-1])
    return bytes(cv2.imencode(".png", blue_first)[1].tobytes())
