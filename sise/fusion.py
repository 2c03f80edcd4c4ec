"""Phase 4: the cascade that fuses the layers' visualization maps (figure 5)."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch

from sise.errors import SiseError
from sise.masks import normalise

Fusion = Literal["hard", "soft"]

_BINS = 256
_SOFT_GATE_SLOPE = 100.0
_SOFT_GATE_RAISE = 1.5
_SOFT_GATE_SHARE = 0.1


def fuse(visualization_maps: Sequence[torch.Tensor], fusion: Fusion = "hard") -> torch.Tensor:
    """Fuse maps V₁ … V_B, shallow to deep, each (B, H, W), into one map (B, H, W) in [0, 1].

    Each V_b is min–max normalised before it is added, the last F once more; nothing in between,
    so that all maps weigh alike. "hard" is the paper: F ← (F + V_b) · [V_b > Otsu(V_b)]. "soft"
    is the gate of the authors' later code: F ← (F + V_b) · sigmoid(100·(V_b − t)), with Otsu's t
    raised to 1.5·t where fewer than a tenth of the pixels lie above 1.5·t. A constant V_b gates
    nothing. Raises SiseError for another word.
    """
    if fusion not in get_args(Fusion):
        raise SiseError(f"fusion {fusion!r}: one of {', '.join(get_args(Fusion))}")
    first, *deeper = [normalise(maps)[0] for maps in visualization_maps]
    fused = first
    for maps in deeper:
        gate = _hard_gate(maps) if fusion == "hard" else _soft_gate(maps)
        fused = (fused + maps) * gate
    return normalise(fused)[0]


def otsu_thresholds(maps: torch.Tensor) -> torch.Tensor:
    """Otsu's threshold of each map in [0, 1]: (B, H, W) -> (B,), in the maps' dtype.

    256 bins between the map's minimum and maximum, as scikit-image's `threshold_otsu`. A
    constant map returns its constant.
    """
    flat = maps.flatten(1).double()
    low, high = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
    extent = torch.where(high > low, high - low, torch.ones_like(low))
    bins = ((flat - low) / extent * _BINS).long().clamp_(0, _BINS - 1)
    counts = torch.zeros(len(flat), _BINS, dtype=torch.int64, device=maps.device)
    counts = counts.scatter_add(1, bins, torch.ones_like(bins)).double()
    steps = (torch.arange(_BINS, device=maps.device) + 0.5) / _BINS
    centres = low + extent * steps.double()

    below, above = counts.cumsum(1), counts.flip(1).cumsum(1).flip(1)
    moments = counts * centres
    mean_below = moments.cumsum(1) / below.clamp(min=1)
    mean_above = moments.flip(1).cumsum(1).flip(1) / above.clamp(min=1)
    variance = below[:, :-1] * above[:, 1:] * (mean_below[:, :-1] - mean_above[:, 1:]) ** 2
    threshold = centres.gather(1, variance.argmax(dim=1, keepdim=True))
    return torch.where(high > low, threshold, low).squeeze(1).to(maps.dtype)


def _hard_gate(maps: torch.Tensor) -> torch.Tensor:
    gate = maps > otsu_thresholds(maps)[:, None, None]
    return gate | _is_constant(maps)


def _soft_gate(maps: torch.Tensor) -> torch.Tensor:
    threshold = otsu_thresholds(maps)[:, None, None]
    raised = _SOFT_GATE_RAISE * threshold
    share_above = (maps > raised).to(maps.dtype).mean(dim=(1, 2), keepdim=True)
    threshold = torch.where(share_above < _SOFT_GATE_SHARE, raised, threshold)
    gate = torch.sigmoid(_SOFT_GATE_SLOPE * (maps - threshold))
    return torch.where(_is_constant(maps), torch.ones_like(gate), gate)


def _is_constant(maps: torch.Tensor) -> torch.Tensor:
    return maps.amin(dim=(1, 2), keepdim=True) == maps.amax(dim=(1, 2), keepdim=True)
