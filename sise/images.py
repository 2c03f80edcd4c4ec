"""Reading images and writing results, whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from sise.errors import ImageError


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Read an image as RGB, (H, W, 3) uint8.

    Raises ImageError for a file that is missing, damaged, truncated or no image, and for
    more than 8 bits per channel, which a conversion would cut off.
    """
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ImageError(f"{path}: pixels of mode {image.mode}; save it with 8 bits each")
            return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: not an image; give JPEG or PNG files") from error
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: cannot be read ({error}); copy it again") from error


def write_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write (H, W) grey or (H, W, 3) RGB as PNG."""
    write_whole(path, lambda temporary: Image.fromarray(image).save(temporary, format="PNG"))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file, then give it its name: no half-written file stays."""
    temporary = path.with_name(f".{path.name}.partial")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
