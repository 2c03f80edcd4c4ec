"""Phase 2: feature maps into attribution masks, Ω of equation 7.

Ω upsamples a map to the image's size and then takes its minimum to 0 and its maximum to 1. Both
steps are linear but for the two extremes, so an attribution mask is kept as a small map, already
normalised, and upsampled only while it is in use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.nn import functional


@dataclass(frozen=True)
class SmallMasks:
    """K attribution masks at their feature maps' resolution.

    `values` (K, h, w): upsampled to the image's size they run from 0 to 1. `areas` (K,): the sum
    of each mask over the image's pixels (equation 11).
    """

    values: torch.Tensor
    areas: torch.Tensor

    def __len__(self) -> int:
        return len(self.values)


def upsample(
    maps: torch.Tensor, size: tuple[int, int], out: torch.Tensor | None = None
) -> torch.Tensor:
    """Bilinear interpolation to the image's size, half-pixel centres: (K, h, w) -> (K, H, W).

    As two matrix products: on a CPU faster than `interpolate`, but for the largest maps. Written
    into `out` where given.
    """
    rows, columns = _both(_weights, maps, size)
    return torch.matmul(rows @ maps, columns.T, out=out)


def attribution_masks(maps: torch.Tensor, size: tuple[int, int]) -> SmallMasks:
    """Ω of feature maps (K, h, w) for images of `size` (H, W); a constant map becomes zeros."""
    low, high = upsampled_extremes(maps, size)
    extent = torch.where(high > low, high - low, torch.inf)
    values = (maps - low[:, None, None]) / extent[:, None, None]
    return SmallMasks(values, upsampled_sums(values, size))


def upsampled_extremes(
    maps: torch.Tensor, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimum and maximum over all pixels of `upsample(maps, size)`: (K, h, w) -> (K,), (K,).

    Between four neighbours a bilinear surface has its extremes at the corners. So of all the
    pixels between them only the outermost are looked at, at most (2h)·(2w) of H·W.
    """
    rows, columns = _both(_corner_weights, maps, size)
    corners = rows @ maps @ columns.T
    return corners.amin(dim=(1, 2)), corners.amax(dim=(1, 2))


def upsampled_sums(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Sum over all pixels of `upsample(maps, size)`: (K, h, w) -> (K,)."""
    rows, columns = _both(_summed_weights, maps, size)
    return torch.einsum("h,khw,w->k", rows, maps, columns)


def pooled(maps: torch.Tensor, size: tuple[int, int], cells: int) -> torch.Tensor:
    """Means of `upsample(maps, size)` over a grid of cells: (K, h, w) -> (K, cells · cells)."""
    rows, columns = _both(lambda of, to: _pooled_weights(of, to, cells), maps, size)
    return (rows @ maps @ columns.T).flatten(1)


def _both(
    weights: Callable[[int, int], torch.Tensor], maps: torch.Tensor, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """`weights` of rows and of columns, as (K, h, w) maps of that size need them."""
    height, width = maps.shape[1:]
    return weights(height, size[0]).to(maps), weights(width, size[1]).to(maps)


@lru_cache(maxsize=64)
def _weights(of: int, to: int) -> torch.Tensor:
    """Bilinear interpolation along one axis, as a matrix (to, of) float64."""
    identity = torch.eye(of, dtype=torch.float64)[None]
    return functional.interpolate(identity, size=to, mode="linear", align_corners=False)[0].T


@lru_cache(maxsize=64)
def _corner_weights(of: int, to: int) -> torch.Tensor:
    """The rows of `_weights` that are first or last between two neighbours."""
    cells = ((torch.arange(to, dtype=torch.float64) + 0.5) * of / to - 0.5).clamp(min=0).floor()
    changes = cells.diff() != 0
    true = torch.ones(1, dtype=torch.bool)
    outermost = torch.cat([true, changes]) | torch.cat([changes, true])
    return _weights(of, to)[outermost]


@lru_cache(maxsize=64)
def _pooled_weights(of: int, to: int, cells: int) -> torch.Tensor:
    return functional.adaptive_avg_pool1d(_weights(of, to).T[None], cells)[0].T


@lru_cache(maxsize=64)
def _summed_weights(of: int, to: int) -> torch.Tensor:
    return _weights(of, to).sum(dim=0)


def constant_maps(features: torch.Tensor) -> torch.Tensor:
    """Which feature maps are constant and so carry no mask: (B, N, h, w) -> (B, N) bool."""
    return features.amin(dim=(2, 3)) == features.amax(dim=(2, 3))


def normalise(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Min-max to [0, 1] over the locations of each map: (K, H, W) -> masks, minimum, range.

    Minimum and range are (K,). A constant map becomes zeros with range 0.
    """
    low = maps.amin(dim=(1, 2))
    extent = maps.amax(dim=(1, 2)) - low
    divisor = torch.where(extent > 0, extent, torch.ones_like(extent))
    return (maps - low[:, None, None]) / divisor[:, None, None], low, extent
