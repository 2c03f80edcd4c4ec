"""Strips wider than the model's input: cut into tiles, and their maps put together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def tile_lefts(width: int, size: int, stride: int) -> tuple[int, ...]:
    """Left edges, in px, of the tiles that cover a strip without a gap.

    Tiles of `size` px every `stride` px; the last one is moved inward to end with the strip,
    so that no margin is blind. 1600 px in tiles of 256 every 224 px gives seven. Raises
    ValueError for a strip narrower than a tile and for a stride that would leave gaps.
    """
    if width < size:
        raise ValueError(f"a strip of {width} px is narrower than a tile of {size} px")
    if not 1 <= stride <= size:
        raise ValueError(f"stride must be 1 to {size} px, not {stride}")
    lefts = range(0, width - size, stride)
    return (*lefts, width - size)


def merge_tiles(
    maps: Sequence[npt.NDArray[np.floating[Any]]], lefts: Sequence[int], width: int, height: int
) -> npt.NDArray[np.float32]:
    """One map (height, width) float32 from the maps of tiles at `lefts`.

    Where tiles overlap the larger value counts; where there is no tile the map is 0.
    """
    merged = np.zeros((height, width), np.float32)
    for values, left in zip(maps, lefts, strict=True):
        window = merged[:, left : left + values.shape[1]]
        np.maximum(window, values, out=window)
    return merged
