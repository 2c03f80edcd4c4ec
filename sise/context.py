"""What lies around the image that is explained, so that its border is no border to the network.

Convolutions pad with zeros, that is, with a frame of mean grey. Near the border feature maps show
that frame: min-max normalisation then makes masks, and in the end a map, of it. Feature maps taken
of a wider piece of strip, and cut to the tile, have the frame outside. Where there is no
neighbouring steel the image is continued by its own mirror image.

Only the masks come from the wider piece. The tile alone is explained: it is what the model saw,
its gradients select the masks, and it is what is masked and scored.
"""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import pad

from sise.blocks import Layer
from sise.capture import feature_maps
from sise.choices import Continuation
from sise.errors import SiseError
from sise.precision import Forward

# A continuation, or a wider piece of strip (B, 3, H + 2·margin, W + 2·margin) around each image.
Context = Continuation | torch.Tensor

# Twice the usual stride of the deepest layer, 32: feature maps of tile and wider piece align.
MARGIN = 64


def check_context(context: Context | None, images: torch.Tensor | None = None) -> None:
    """Raise SiseError for a word that is no continuation, and for pieces not around `images`."""
    if isinstance(context, str) and context not in get_args(Continuation):
        words = ", ".join(get_args(Continuation))
        raise SiseError(f"context {context!r}: one of {words}, or a wider piece of each image")
    if isinstance(context, torch.Tensor) and images is not None:
        _check_middle(images, context)


def tile_in_context(
    strip: npt.NDArray[Any], left: int, width: int, margin: int = MARGIN
) -> npt.NDArray[Any]:
    """The piece of a strip (H, length, …) around one of its tiles.

    The tile begins at `left` and is as high as the strip; the piece is
    (H + 2·margin, width + 2·margin, …). Neighbouring pixels are the strip's own; beyond its ends
    and edges it is mirrored.
    """
    height, length = strip.shape[:2]
    rows = _mirrored(-margin, height + margin, height)
    columns = _mirrored(left - margin, left + width + margin, length)
    return strip[rows[:, None], columns[None, :]]


def surrounded(images: torch.Tensor, context: Context, margin: int = MARGIN) -> torch.Tensor:
    """Each image (B, 3, H, W) in its context: (B, 3, H + 2·margin, W + 2·margin).

    A tensor is returned as it is, in the images' dtype. Raises as `check_context`.
    """
    check_context(context, images)
    if isinstance(context, torch.Tensor):
        return context.to(images)
    height, width = images.shape[2:]
    if context == "edge":
        return pad(images, (margin,) * 4, mode="replicate")
    rows = torch.from_numpy(_mirrored(-margin, height + margin, height)).to(images.device)
    columns = torch.from_numpy(_mirrored(-margin, width + margin, width)).to(images.device)
    return images[:, :, rows][:, :, :, columns]


def features_in_context(
    forward: Forward,
    layers: Sequence[Layer],
    images: torch.Tensor,
    context: Context,
    sizes: Sequence[tuple[int, int]],
) -> tuple[torch.Tensor, ...]:
    """Each layer's feature maps of the images' surroundings, cut to the images: (B, N, h, w).

    `sizes` (h, w) are those of the images' own feature maps. One forward pass. Raises SiseError
    if the margin is no multiple of a layer's stride, or the context does not fit the images.
    """
    wide = feature_maps(forward, layers, surrounded(images, context))
    return tuple(
        middle(features, size, layer.name)
        for layer, features, size in zip(layers, wide, sizes, strict=True)
    )


def middle(features: torch.Tensor, size: tuple[int, int], name: str = "?") -> torch.Tensor:
    """The middle (h, w) of feature maps: (B, N, h', w') -> (B, N, h, w).

    A margin of k strides adds k cells on each side, whatever the kernels and paddings. Raises
    SiseError where the cells do not come out even, because the margin is no multiple of the stride.
    """
    starts = []
    for whole, part in zip(features.shape[2:], size, strict=True):
        if whole <= part or (whole - part) % 2:
            raise SiseError(
                f"context: the margin is no multiple of the stride of layer {name!r} "
                f"({whole} cells around {part}); give a margin that is"
            )
        starts.append((whole - part) // 2)
    top, left = starts
    return features[:, :, top : top + size[0], left : left + size[1]]


def _check_middle(images: torch.Tensor, context: torch.Tensor) -> None:
    shape = f"{tuple(context.shape)} around images {tuple(images.shape)}"
    if context.ndim != 4 or images.ndim != 4 or context.shape[:2] != images.shape[:2]:
        raise SiseError(f"context {shape}: one wider piece per image, (B, 3, H', W')")
    higher, wider = (context.shape[axis] - images.shape[axis] for axis in (2, 3))
    if higher != wider or higher <= 0 or higher % 2:
        raise SiseError(f"context {shape}: its margin must be the same on all four sides")
    margin = higher // 2
    inside = context[:, :, margin:-margin, margin:-margin].to(images)
    if not torch.allclose(inside, images, atol=1e-3, equal_nan=True):
        raise SiseError("context: its middle is not the image; normalise both in the same way")


def _mirrored(start: int, stop: int, length: int) -> npt.NDArray[np.int64]:
    """Positions start … stop − 1 on an axis of `length` px that is mirrored at its end pixels."""
    period = max(1, 2 * (length - 1))
    position = np.arange(start, stop) % period
    return np.minimum(position, period - position) if length > 1 else position
