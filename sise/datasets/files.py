"""The files of a dataset, found inside its folder and read with errors that name them."""

from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt

from sise.errors import DatasetError, ImageError
from sise.images import read_image


def inside(root: Path, relative: object, source: str) -> Path:
    """The file that data, at `source`, names by its path relative to `root`.

    Raises DatasetError for what is no path, or leads out of `root`.
    """
    if not isinstance(relative, str) or not PurePath(relative).name:
        raise DatasetError(f"{source}: {relative!r} is not the path of a file")
    path = PurePath(relative)
    if path.anchor or ".." in path.parts:
        raise DatasetError(f"{source}: the path {relative!r} leads out of {root}")
    return root / path


def read_pixels(path: Path, source: str) -> npt.NDArray[np.uint8]:
    """The image (H, W, 3), RGB, that data at `source` name.

    Raises DatasetError for a file that is missing or cannot be read.
    """
    try:
        return read_image(path)
    except ImageError as error:
        raise DatasetError(f"{error} (named by {source})") from error


def check_size(size: tuple[int, ...], image: npt.NDArray[np.uint8], source: str) -> None:
    """Raise DatasetError unless what `source` says, of size (H, W), is as large as its image."""
    height, width = image.shape[:2]
    if size != (height, width):
        said = "×".join(str(side) for side in reversed(size))
        raise DatasetError(
            f"{source}: of {said} px, but its image has {width}×{height} px; copy both again"
        )
