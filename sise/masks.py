"""Phase 2: feature maps into attribution masks, Ω of equation 7."""

import torch
from torch.nn import functional


def upsample(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bilinear interpolation to the image's size: (K, h, w) -> (K, H, W)."""
    resized = functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)
    return resized[:, 0]


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
