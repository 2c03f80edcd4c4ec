"""The order in which a map ranks pixels, and its first ones."""

import torch


def ranks(maps: torch.Tensor) -> torch.Tensor:
    """Place of each pixel in its map, 0 the highest value: (B, H, W) -> (B, H, W) int64.

    Among equals the first pixel in reading order wins.
    """
    flat = maps.flatten(1)
    order = flat.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(flat.shape[1], device=maps.device).expand_as(order)
    return torch.empty_like(order).scatter(1, order, places).view_as(maps)


def top_share(maps: torch.Tensor, share: float) -> torch.Tensor:
    """The round(share · pixels) largest values of each map: (B, H, W) -> (B, H, W) bool."""
    return ranks(maps) < round(share * maps[0].numel())


def top_pixels(maps: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """The `counts` (B,) int64 largest values of each map: (B, H, W) -> (B, H, W) bool."""
    return ranks(maps) < counts[:, None, None]


def has_order(maps: torch.Tensor) -> torch.Tensor:
    """Whether a map ranks its pixels at all: (B, H, W) -> (B,) bool.

    A constant map does not, nor does one with a value that is not finite.
    """
    varied = maps.amin(dim=(1, 2)) < maps.amax(dim=(1, 2))
    return varied & maps.isfinite().all(dim=2).all(dim=1)


def has_energy(maps: torch.Tensor) -> torch.Tensor:
    """Whether a map's values are shares of a whole: (B, H, W) -> (B,) bool.

    They are unless one is negative or not finite, or all are 0.
    """
    low, high = maps.amin(dim=(1, 2)), maps.amax(dim=(1, 2))
    return (low >= 0) & (high > 0) & high.isfinite()
