"""Metrics against the ground truth: is the map where the defect or object is?"""

import torch

from sise.metrics.ranking import has_energy, has_order, top_pixels, top_share

MIOU_SHARE = 0.2


def ebpg(maps: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Energy-based pointing game, ‖S ⊙ G‖₁ / ‖S‖₁: maps, truth (B, H, W) -> (B,) in [0, 1].

    NaN for an empty truth, a map of zeros, and a map with a negative value: its energy inside and
    outside would cancel.
    """
    inside = (maps * truth).sum(dim=(1, 2)) / maps.sum(dim=(1, 2))
    return torch.where(has_truth(truth) & has_energy(maps), inside, torch.nan)


def miou(maps: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Intersection over union of the map's top 20 % with the truth: (B,) in [0, 1].

    The paper's mIoU is its mean over images. NaN for an empty truth and for a map without order.
    """
    top = top_share(maps, MIOU_SHARE)
    shared = (top & truth).sum(dim=(1, 2)) / (top | truth).sum(dim=(1, 2))
    return torch.where(has_truth(truth) & has_order(maps), shared, torch.nan)


def bbox(maps: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Share of the truth's N pixels that are among the map's top N: (B,) in [0, 1].

    NaN for an empty truth and for a map without order.
    """
    count = truth.sum(dim=(1, 2))
    hits = (top_pixels(maps, count) & truth).sum(dim=(1, 2)) / count
    return torch.where(has_truth(truth) & has_order(maps), hits, torch.nan)


def pointing(maps: torch.Tensor, truth: torch.Tensor, tolerance: float = 0) -> torch.Tensor:
    """Pointing game (Zhang et al., IJCV 2018): 1 where the map's highest pixel hits the truth.

    maps, truth (B, H, W) -> (B,), 0 or 1; among equals the first pixel in reading order is the
    highest. A hit lies within `tolerance` px of the truth. The classic 15 px forgives blunt maps of
    photographs 300 to 500 px wide; on a patch of steel it would forgive a miss by a whole defect.
    NaN for an empty truth and for a map without order.
    """
    height, width = maps.shape[1:]
    highest = maps.flatten(1).argmax(dim=1)[:, None, None]
    rows = torch.arange(height, device=maps.device)[:, None] - highest // width
    columns = torch.arange(width, device=maps.device) - highest % width
    near = rows**2 + columns**2 <= tolerance**2
    hit = (near & truth).any(dim=2).any(dim=1).to(maps.dtype)
    return torch.where(has_truth(truth) & has_order(maps), hit, torch.nan)


def has_truth(truth: torch.Tensor) -> torch.Tensor:
    """Whether there is anything to find: (B, H, W) bool -> (B,) bool."""
    return truth.any(dim=2).any(dim=1)
