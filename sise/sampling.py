"""Phase 3: score masked inputs and add them up (equations 10 to 12).

The masks of all images and layers form one long row that is cut into batches of one fixed
size, so that the cost is the number of masks times the price of a forward pass. A batch's
masks exist only while it is scored; what stays of each mask is a weight. The sum of
equation 12 is then taken at the feature maps' own resolution and upsampled once, which is
the same sum because bilinear interpolation is linear.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch

from sise.capture import probabilities
from sise.masks import normalise, upsample
from sise.precision import Forward


@dataclass(frozen=True)
class MaskedLayer:
    """A layer's feature maps (B, N, h, w) and which of them are scored, (B, N) bool."""

    features: torch.Tensor
    selected: torch.Tensor


@dataclass(frozen=True)
class _Piece:
    """A run of masks of one layer: for each, its image and its channel."""

    layer: int
    images: torch.Tensor
    channels: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)


def visualization_maps(
    forward: Forward,
    images: torch.Tensor,
    targets: torch.Tensor,
    layers: Sequence[MaskedLayer],
    batch_size: int,
) -> tuple[torch.Tensor, ...]:
    """V of each layer, (B, H, W), for images (B, 3, H, W) and the classes (B,) to explain.

    Equation 12, in float32 or, for float64 images, float64. A layer without a selected map
    gives zeros.
    """
    size = cast(tuple[int, int], tuple(images.shape[2:]))
    weights = [images.new_zeros(layer.selected.shape) for layer in layers]
    lows = [torch.zeros_like(weight) for weight in weights]
    for batch in _batches(layers, batch_size):
        masks, low, extent = _attribution_masks(batch, layers, size)
        owners = torch.cat([piece.images for piece in batch])
        scores = _scores(forward, images, masks, owners, targets)
        weight = torch.where(extent > 0, scores / masks.sum(dim=(1, 2)) / extent, 0.0)
        start = 0
        for piece in batch:
            stop = start + len(piece)
            weights[piece.layer][piece.images, piece.channels] = weight[start:stop]
            lows[piece.layer][piece.images, piece.channels] = low[start:stop]
            start = stop
    return tuple(
        _weighted_mean(layer, weight, low, size)
        for layer, weight, low in zip(layers, weights, lows, strict=True)
    )


def _batches(layers: Sequence[MaskedLayer], batch_size: int) -> Iterator[list[_Piece]]:
    batch: list[_Piece] = []
    room = batch_size
    for index, layer in enumerate(layers):
        images, channels = layer.selected.nonzero(as_tuple=True)
        start = 0
        while start < len(images):
            piece = _Piece(index, images[start : start + room], channels[start : start + room])
            batch.append(piece)
            start += len(piece)
            room -= len(piece)
            if room == 0:
                yield batch
                batch, room = [], batch_size
    if batch:
        yield batch


def _attribution_masks(
    batch: Sequence[_Piece], layers: Sequence[MaskedLayer], size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    maps = [
        upsample(
            _at_least_float32(layers[piece.layer].features[piece.images, piece.channels]), size
        )
        for piece in batch
    ]
    return normalise(torch.cat(maps))


def _scores(
    forward: Forward,
    images: torch.Tensor,
    masks: torch.Tensor,
    owners: torch.Tensor,
    targets: torch.Tensor,
) -> torch.Tensor:
    """Ψ(I ⊙ m) of each mask (K, H, W), whose image is `owners` (K,): (K,), in the images' dtype."""
    logits = forward(images[owners] * masks[:, None])
    return probabilities(logits, targets[owners]).to(images.dtype)


def _weighted_mean(
    layer: MaskedLayer, weight: torch.Tensor, low: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Σ w·(A − min) / K, upsampled, where w = score / (area · range) and K counts the masks."""
    shifted = _at_least_float32(layer.features) - low[:, :, None, None]
    total = torch.einsum("bn,bnhw->bhw", weight, shifted)
    count = layer.selected.sum(dim=1).clamp(min=1)
    return upsample(total / count[:, None, None], size)


def _at_least_float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
