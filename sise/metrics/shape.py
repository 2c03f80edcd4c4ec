"""Metrics of the map alone: they describe it, and none is better for more of it."""

import torch

from sise.metrics.ranking import has_energy

RIM = 8


def border_energy(maps: torch.Tensor, rim: int = RIM) -> torch.Tensor:
    """Share of the map's energy within `rim` px of the border over that rim's share of the area.

    Maps (B, H, W) -> (B,) ≥ 0; 1 is even. NaN for a map of zeros or with a negative value. What
    lies within the border is the image's own affair: compare maps of the same images.
    """
    height, width = maps.shape[1:]
    energy = maps.sum(dim=(1, 2))
    inner = maps[:, rim : height - rim, rim : width - rim]
    inner_share = inner.sum(dim=(1, 2)) / energy
    inner_area = inner[0].numel() / maps[0].numel()
    excess = (1 - inner_share).clamp(min=0) / (1 - inner_area)
    return torch.where(has_energy(maps), excess, torch.nan)


def sparsity(maps: torch.Tensor) -> torch.Tensor:
    """Gini index of the map's values: (B, H, W) -> (B,) in [0, 1).

    0 for a constant map, 1 − 1/pixels where one pixel has all the energy (Hurley and Rickard, IEEE
    Trans. Inf. Theory 2009; for attributions Chalasani et al., ICML 2020). NaN for a map of zeros
    or with a negative value.
    """
    ascending = maps.flatten(1).sort(dim=1).values
    count = ascending.shape[1]
    places = torch.arange(1, count + 1, device=maps.device, dtype=maps.dtype)
    weighted = ((2 * places - count - 1) / count * ascending).sum(dim=1)
    gini = (weighted / ascending.sum(dim=1)).clamp(min=0)
    return torch.where(has_energy(maps), gini, torch.nan)
