"""Images larger than the model's input: cut into tiles, and their maps put together."""

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
    maps: Sequence[npt.NDArray[np.floating[Any]]],
    lefts: Sequence[int],
    width: int,
    height: int,
    tops: Sequence[int] | None = None,
) -> npt.NDArray[np.float32]:
    """One map (height, width) float32 from the maps of tiles at `lefts`, in one row without `tops`.

    Where tiles overlap, the one gives way to the other: a mean with weights that fall linearly
    to each tile's ends, but not to the strip's. So no tile shows its border. Where there is one
    tile its map stays as it is; where there is none the map is 0.
    """
    total = np.zeros((height, width))
    weight = np.zeros((height, width))
    for values, left, top in zip(maps, lefts, tops or [0] * len(maps), strict=True):
        rows, columns = values.shape
        tile = np.s_[top : top + rows, left : left + columns]
        falling = _feather(left, columns, width)
        if rows < height:
            falling = _feather(top, rows, height)[:, None] * falling
        total[tile] += falling * values
        weight[tile] += falling
    merged = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    return merged.astype(np.float32)


def _feather(left: int, size: int, width: int) -> npt.NDArray[np.float64]:
    """The weight of each column of a tile: its distance in px to the nearer of the tile's ends."""
    column = np.arange(size) + 0.5
    to_left = column if left > 0 else np.full(size, float(size))
    to_right = size - column if left + size < width else np.full(size, float(size))
    weights: npt.NDArray[np.float64] = np.minimum(to_left, to_right)
    return weights
