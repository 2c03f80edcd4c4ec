"""The report's images: patches, overlays and maps, strips with their maps laid over."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from inspection.store.frames import rows
from severstal_prep.images import write_jpeg, write_png
from sise.overlay import overlay
from sise.status import OK
from sise.tiling import merge_tiles

FOLDER = "img"
QUALITY = 85
THUMB_HEIGHT = 96


def draw_patches(patches: pd.DataFrame, report: Path) -> pd.DataFrame:
    """Stage "render": write each patch, its overlay and its maps; add their paths to the rows.

    Rows have pixels (H, W, 3) uint8, heat (H, W) uint8, map_status and patch_key; the runner-up's
    map is `runner_up_heat` (H, W) uint8 or None, its status runner_up_status. Paths are relative to
    `report`. Without a map (its status is not "ok") the overlay and the map's path are "".
    """
    paths = [_draw_patch(patch, report) for patch in rows(patches)]
    names = ("raw_path", "overlay_path", "map_path", "runner_up_map_path")
    return patches.assign(**{name: [row[i] for row in paths] for i, name in enumerate(names)})


def _draw_patch(patch: Any, report: Path) -> tuple[str, str, str, str]:
    stem = f"{FOLDER}/{patch.patch_key[:16]}"
    raw, over = f"{stem}_raw.jpg", f"{stem}_overlay.jpg"
    grey, second = f"{stem}_map.png", f"{stem}_second.png"
    pixels: npt.NDArray[np.uint8] = patch.pixels
    write_jpeg(report / raw, pixels, QUALITY)
    if patch.map_status == OK:
        write_jpeg(report / over, overlay(pixels, to_unit(patch.heat)), QUALITY)
        write_png(report / grey, patch.heat)
    else:
        over = grey = ""
    if patch.runner_up_status == OK:
        write_png(report / second, patch.runner_up_heat)
    else:
        second = ""
    return raw, over, grey, second


def thumb_path(strip_sha256: str) -> str:
    """Where a strip's thumbnail lies, relative to the report."""
    return f"{FOLDER}/strip_{strip_sha256[:16]}_thumb.jpg"


def draw_thumb(strip: npt.NDArray[np.uint8], strip_sha256: str, report: Path) -> None:
    """Write a strip's thumbnail, 96 px high."""
    height, width = strip.shape[:2]
    size = (max(1, round(width * THUMB_HEIGHT / height)), THUMB_HEIGHT)
    small = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
    write_jpeg(report / thumb_path(strip_sha256), small.astype(np.uint8), QUALITY)


def strip_paths(strip_sha256: str) -> tuple[str, str]:
    """Where a strip and its overlay lie, relative to the report."""
    stem = f"{FOLDER}/strip_{strip_sha256[:16]}"
    return f"{stem}_raw.jpg", f"{stem}_overlay.jpg"


def draw_strip(
    strip: npt.NDArray[np.uint8], patches: pd.DataFrame, strip_sha256: str, report: Path
) -> None:
    """Write a strip, and the strip with its patches' maps laid over.

    Rows have left and top, heat (H, W) uint8 and map_status. Where patches overlap, their maps
    are blended (see `merge_tiles`).
    """
    raw, over = strip_paths(strip_sha256)
    write_jpeg(report / raw, strip, QUALITY)
    shown = patches[patches["map_status"] == OK]
    maps = [to_unit(heat) for heat in shown["heat"]]
    height, width = strip.shape[:2]
    merged = merge_tiles(maps, list(shown["left"]), width, height, list(shown["top"]))
    write_jpeg(report / over, overlay(strip, merged), QUALITY)


def to_unit(heat: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """A map in [0, 255] as float32 in [0, 1]."""
    return heat.astype(np.float32) / np.float32(255)
