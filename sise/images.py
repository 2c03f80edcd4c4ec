"""Reading images and writing results, whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sise.errors import ImageError
from sise.failures import check_replaceable
from sise.pixels import PixelsError, decode


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Read an image as RGB, (H, W, 3) uint8.

    Raises ImageError for a file that is missing, and as `pixels.decode`.
    """
    try:
        return decode(path.read_bytes())
    except PixelsError as error:
        raise ImageError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path}: a folder; name the images in it") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened ({error.strerror})") from error


def write_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write (H, W) grey or (H, W, 3) RGB as PNG."""
    write_whole(path, lambda temporary: Image.fromarray(image).save(temporary, format="PNG"))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file, then give it its name: no half-written file stays."""
    check_replaceable(path)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
