"""The report's images: patches, overlays and maps, strips with their maps laid over."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from severstal_prep.images import encode_jpeg, encode_png
from sise.overlay import overlay
from sise.tiling import merge_tiles

FOLDER = "img"
QUALITY = 85
THUMB_HEIGHT = 96


@dataclass(frozen=True, eq=False)
class PatchMaps:
    """A patch's maps, (H, W) uint8 each, None without one. `key` is its patch_key, `left` and
    `top` its place on the strip in px."""

    key: str
    left: int
    top: int
    heat: npt.NDArray[np.uint8] | None
    runner_up: npt.NDArray[np.uint8] | None


@dataclass(frozen=True)
class PatchPaths:
    """Where a patch's images lie, relative to the report."""

    raw_path: str
    overlay_path: str
    map_path: str
    runner_up_map_path: str


def patch_paths(key: str) -> PatchPaths:
    """Where the images of the patch with this patch_key lie, if it has them."""
    stem = f"{FOLDER}/{key[:16]}"
    return PatchPaths(
        f"{stem}_raw.jpg", f"{stem}_overlay.jpg", f"{stem}_map.png", f"{stem}_second.png"
    )


def draw_patch(patch: PatchMaps, pixels: npt.NDArray[np.uint8]) -> dict[str, bytes]:
    """Stage "render": the files of a patch (H, W, 3), its overlay and its maps, by path."""
    paths = patch_paths(patch.key)
    files = {paths.raw_path: encode_jpeg(pixels, QUALITY)}
    if patch.heat is not None:
        files[paths.overlay_path] = encode_jpeg(overlay(pixels, to_unit(patch.heat)), QUALITY)
        files[paths.map_path] = encode_png(patch.heat)
    if patch.runner_up is not None:
        files[paths.runner_up_map_path] = encode_png(patch.runner_up)
    return files


def earlier_path(content: bytes) -> str:
    """Where the picture of a patch of an earlier report lies, relative to the report."""
    return f"{FOLDER}/earlier_{hashlib.sha256(content).hexdigest()[:16]}.jpg"


def thumb_path(strip_sha256: str) -> str:
    """Where a strip's thumbnail lies, relative to the report."""
    return f"{FOLDER}/strip_{strip_sha256[:16]}_thumb.jpg"


def draw_thumb(strip: npt.NDArray[np.uint8], strip_sha256: str) -> dict[str, bytes]:
    """A strip's thumbnail, 96 px high, by path."""
    height, width = strip.shape[:2]
    size = (max(1, round(width * THUMB_HEIGHT / height)), THUMB_HEIGHT)
    small = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
    return {thumb_path(strip_sha256): encode_jpeg(small.astype(np.uint8), QUALITY)}


def strip_paths(strip_sha256: str) -> tuple[str, str]:
    """Where a strip and its overlay lie, relative to the report."""
    stem = f"{FOLDER}/strip_{strip_sha256[:16]}"
    return f"{stem}_raw.jpg", f"{stem}_overlay.jpg"


def draw_raw(strip: npt.NDArray[np.uint8], strip_sha256: str) -> dict[str, bytes]:
    """A strip at full size, by path."""
    raw, _ = strip_paths(strip_sha256)
    return {raw: encode_jpeg(strip, QUALITY)}


def draw_maps(
    strip: npt.NDArray[np.uint8], strip_sha256: str, patches: Sequence[PatchMaps]
) -> dict[str, bytes]:
    """A strip with its patches' maps laid over, by path.

    Where patches overlap, their maps are blended (see `merge_tiles`).
    """
    _, over = strip_paths(strip_sha256)
    shown = [(one, to_unit(one.heat)) for one in patches if one.heat is not None]
    height, width = strip.shape[:2]
    merged = merge_tiles(
        [heat for _, heat in shown],
        [one.left for one, _ in shown],
        width,
        height,
        [one.top for one, _ in shown],
    )
    return {over: encode_jpeg(overlay(strip, merged), QUALITY)}


def to_unit(heat: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """A map in [0, 255] as float32 in [0, 1]."""
    return heat.astype(np.float32) / np.float32(255)
