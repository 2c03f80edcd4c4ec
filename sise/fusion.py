"""Phase 4: the layers' visualization maps become one: the cascade of figure 5, or a product."""

from collections.abc import Sequence
from typing import get_args

import torch

from sise.choices import Fusion
from sise.errors import SiseError
from sise.masks import normalise

_BINS = 256
_SOFT_GATE_SLOPE = 100.0
_SOFT_GATE_RAISE = 1.5
_SOFT_GATE_SHARE = 0.1


def fuse(visualization_maps: Sequence[torch.Tensor], fusion: Fusion = "hard") -> torch.Tensor:
    """Fuse maps V₁ … V_B, shallow to deep, each (B, H, W), into one map (B, H, W) in [0, 1].

    Each V_b is min–max normalised before it is added, the last F once more; nothing in between,
    so that all maps weigh alike. "hard" is the paper: F ← (F + V_b) · [V_b > Otsu(V_b)]. "soft"
    is the gate of the authors' later code: F ← (F + V_b) · sigmoid(100·(V_b − t/256)). There t is
    the lowest level of Otsu's upper class, of V_b rounded to levels 0 to 256 (the last counted as
    255), and raised to 1.5·t where fewer than a tenth of the pixels reach that level. A constant
    V_b gates nothing.

    "geometric" (ours) is the square of the normalised maps' geometric mean, (V₁ · … · V_B)^(2/B):
    a pixel counts where all layers agree, and no layer's Otsu threshold makes ties of half the
    pixels. A constant V_b is left out of the mean; one map alone stays as it is.

    Raises SiseError for another word.
    """
    if fusion not in get_args(Fusion):
        raise SiseError(f"fusion {fusion!r}: one of {', '.join(get_args(Fusion))}")
    normalised = [normalise(maps)[0] for maps in visualization_maps]
    if fusion == "geometric":
        return normalise(_geometric(torch.stack(normalised)))[0]
    first, *deeper = normalised
    fused = first
    for maps in deeper:
        gate = _hard_gate(maps) if fusion == "hard" else _soft_gate(maps)
        fused = (fused + maps) * gate
    return normalise(fused)[0]


def _geometric(maps: torch.Tensor) -> torch.Tensor:
    """Of maps (layers, B, H, W) in [0, 1]: (B, H, W)."""
    varied = maps.amax(dim=(2, 3)) > 0
    product = torch.where(varied[:, :, None, None], maps, torch.ones_like(maps)).prod(dim=0)
    power = (2 / varied.sum(dim=0).clamp(min=2)).to(product)
    return product ** power[:, None, None]


def otsu_thresholds(maps: torch.Tensor) -> torch.Tensor:
    """Otsu's threshold of each map in [0, 1]: (B, H, W) -> (B,), in the maps' dtype.

    The centre of one of 256 bins between the map's minimum and maximum, as scikit-image's
    `threshold_otsu`. A constant map returns its constant.
    """
    flat = maps.flatten(1)
    low, high = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
    extent = torch.where(high > low, high - low, torch.ones_like(low))
    counts = _counts(((flat - low) / extent * _BINS).long())
    centre = ((_last_below(counts) + 0.5) / _BINS).to(maps)[:, None]
    return torch.where(high > low, low + extent * centre, low).squeeze(1)


def _counts(levels: torch.Tensor) -> torch.Tensor:
    """How often each level from 0 to 255 occurs, higher ones counted as 255: (B, P) -> (B, 256).

    float64, on the processor: some devices have no such numbers.
    """
    counts = torch.zeros(len(levels), _BINS, dtype=torch.int64, device=levels.device)
    levels = levels.clamp(0, _BINS - 1)
    return counts.scatter_add(1, levels, torch.ones_like(levels)).cpu().double()


def _last_below(counts: torch.Tensor) -> torch.Tensor:
    """The last level of Otsu's lower class, the first of equals: (B, 256) -> (B,)."""
    return between_class_variance(counts, torch.arange(_BINS)).argmax(dim=1)


def between_class_variance(counts: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Otsu's n₀·n₁·(m₁ − m₀)² for a cut after each of N ascending `values` but the last.

    `counts` (B, N) say how often each occurs: (B, N - 1).
    """
    moments = counts * values
    below, above = counts.cumsum(1)[:, :-1], counts.flip(1).cumsum(1).flip(1)[:, 1:]
    mean_below = moments.cumsum(1)[:, :-1] / below.clamp(min=1)
    mean_above = moments.flip(1).cumsum(1).flip(1)[:, 1:] / above.clamp(min=1)
    return below * above * (mean_above - mean_below) ** 2


def _hard_gate(maps: torch.Tensor) -> torch.Tensor:
    gate = maps > otsu_thresholds(maps)[:, None, None]
    return gate | _is_constant(maps)


def _soft_gate(maps: torch.Tensor) -> torch.Tensor:
    gate = torch.sigmoid(_SOFT_GATE_SLOPE * (maps - _soft_thresholds(maps)[:, None, None]))
    return torch.where(_is_constant(maps), torch.ones_like(gate), gate)


def _soft_thresholds(maps: torch.Tensor) -> torch.Tensor:
    """The authors' thresholds of normalised maps: (B, H, W) -> (B,), in the maps' dtype."""
    counts = _counts((maps.flatten(1) * _BINS).round().long())
    first = _last_below(counts) + 1  # the first level of the upper class
    raised = _SOFT_GATE_RAISE * first.double()
    above = torch.arange(_BINS) >= raised.round()[:, None]
    few = (counts * above).sum(dim=1) < _SOFT_GATE_SHARE * counts.sum(dim=1)
    return (torch.where(few, raised, first) / _BINS).to(maps)


def _is_constant(maps: torch.Tensor) -> torch.Tensor:
    return maps.amin(dim=(1, 2), keepdim=True) == maps.amax(dim=(1, 2), keepdim=True)
