"""A map as a picture: alone, and laid over the image it explains."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sise.errors import SiseError

Image = npt.NDArray[np.uint8]
Map = npt.NDArray[np.floating[Any]]

# Perceptually uniform: equal steps of the map look equal. No jet.
PALETTES = {
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "cividis": cv2.COLORMAP_CIVIDIS,
}


def to_grey(values: Map) -> Image:
    """A map in [0, 1] as grey levels: (H, W) float -> (H, W) uint8, 1 being 255."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def colorize(values: Map, palette: str = "inferno") -> Image:
    """A map in [0, 1] in colour, on the fixed scale 0 to 1: (H, W) float -> (H, W, 3) uint8 RGB.

    Raises SiseError for a palette that is not in `PALETTES`.
    """
    if palette not in PALETTES:
        raise SiseError(f"palette {palette!r}: one of {', '.join(PALETTES)}")
    bgr = cv2.applyColorMap(to_grey(values), PALETTES[palette])
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)


def overlay(image: Image, values: Map, alpha: float = 0.75, palette: str = "inferno") -> Image:
    """The map laid over its image, the more opaque the higher: -> (H, W, 3) uint8 RGB.

    Args:
        image: (H, W, 3) uint8 RGB.
        values: (H, W) in [0, 1]. Where it is 0 the image stays as it is, so that the steel
            remains visible around what is explained.
        alpha: opacity at 1, in [0, 1].
        palette: a name in `PALETTES`.

    Raises SiseError for sizes that differ, and for an unknown palette.
    """
    if image.shape[:2] != values.shape:
        raise SiseError(f"image {image.shape[:2]} and map {values.shape} differ in size")
    opacity = alpha * np.clip(values, 0, 1)[:, :, None]
    blended = (1 - opacity) * image + opacity * colorize(values, palette)
    return np.rint(blended).astype(np.uint8)
