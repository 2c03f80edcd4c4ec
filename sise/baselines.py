"""What a masked-out pixel becomes: the paper's mean grey, or something that looks like the steel.

A mask m blends an image I with its background: I·m + background·(1 − m). Mean grey is 0 in the
model's normalised input, so that the background vanishes (equation 10). On dark or bright steel
grey is a colour like any other, and an edge appears wherever a mask falls off.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import get_args

import numpy as np
import torch

from sise.choices import FillName
from sise.errors import SiseError
from sise.masks import upsample

Fill = FillName | torch.Tensor

# σ of the blur as a share of the image's shorter side: 15 px of 200.
BLUR_SIGMA = 0.075
# A pixel that sees less than about this share of kept pixels is given the image's mean.
_NEGLIGIBLE = 0.001
# The inpainted background is computed on a grid of this many cells per σ.
_CELLS_PER_SIGMA = 2


def check_fill(fill: Fill) -> None:
    """Raise SiseError unless `fill` is one of the names or a colour (3,)."""
    if isinstance(fill, torch.Tensor):
        if fill.shape != (3,) or not fill.is_floating_point():
            raise SiseError(
                "a fill colour is a floating-point tensor (3,) in the model's normalised units, "
                f"not {fill.dtype} {tuple(fill.shape)}"
            )
    elif fill not in get_args(FillName):
        raise SiseError(f"fill {fill!r}: one of {', '.join(get_args(FillName))}, or a colour (3,)")


@dataclass(frozen=True, eq=False)
class Masker:
    """Images (B, 3, H, W), floating-point, and what their masked-out pixels become.

    `fill` is "grey" (0 in the normalised input), "mean" (each image's own), "blur" (a Gaussian
    blur of the image), "inpaint" (see `inpainted`), or a colour (3,) in normalised units.
    """

    images: torch.Tensor
    fill: Fill = "grey"

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.images.shape[2], self.images.shape[3]

    @cached_property
    def baseline(self) -> torch.Tensor | None:
        """What does not depend on the mask; see `baseline_of`."""
        return baseline_of(self.images, self.fill)

    def masked(
        self, owners: torch.Tensor, masks: torch.Tensor, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Masks (K, H, W) in [0, 1], each on the image (K,) int64 it belongs to: (K, 3, H, W).

        In the images' dtype; written into `out` where given. A mask of 1 gives the image, a mask
        of 0 the background.
        """
        images = _of(self.images, owners)
        weight = masks[:, None].to(images.dtype)
        if isinstance(self.fill, str) and self.fill == "inpaint":
            return torch.lerp(inpainted(images, masks), images, weight, out=out)
        if self.baseline is None:
            return torch.mul(images, weight, out=out)
        return torch.lerp(_of(self.baseline, owners), images, weight, out=out)


def _of(images: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
    # One image is broadcast, not copied for each of its masks.
    return images if len(images) == 1 else images[owners]


def masked(images: torch.Tensor, masks: torch.Tensor, fill: Fill) -> torch.Tensor:
    """One mask on each image: (K, 3, H, W), (K, H, W) in [0, 1] -> (K, 3, H, W)."""
    return Masker(images, fill).masked(torch.arange(len(images), device=images.device), masks)


def baseline_of(images: torch.Tensor, fill: Fill) -> torch.Tensor | None:
    """The background of images (B, 3, H, W): (B, 3, H, W), or (B, 3, 1, 1) where it is even.

    None where nothing is to be added: for "grey", which is 0, and for "inpaint", which depends
    on the mask. Raises SiseError for another fill.
    """
    check_fill(fill)
    if isinstance(fill, torch.Tensor):
        return fill.to(images).view(1, 3, 1, 1).expand(len(images), 3, 1, 1)
    if fill == "mean":
        return images.mean(dim=(2, 3), keepdim=True)
    if fill == "blur":
        exact = images if images.dtype == torch.float64 else images.float()
        rows, columns = _blurs(exact)
        return (rows @ exact @ columns.T).to(images.dtype)
    return None


def inpainted(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Each image as its kept pixels suggest it: (K, 3, H, W), (K, H, W) -> (K, 3, H, W).

    Normalised convolution (Knutsson and Westin, CVPR 1993): blur(I·m) / blur(m), with the blur
    of "blur". Far from any kept pixel it is the image's mean. It is as smooth as the blur, so it
    is computed on a coarse grid and interpolated, with about a hundredth of a ResNet-18's
    multiplications.
    """
    weight = masks[:, None].to(images.dtype)
    mean = images.mean(dim=(2, 3), keepdim=True)
    rows, columns = _blurs(images, coarse=True)
    kept = rows @ (images * weight) @ columns.T
    share = rows @ weight @ columns.T
    coarse = (kept + _NEGLIGIBLE * mean) / (share + _NEGLIGIBLE)
    smooth = upsample(coarse.flatten(0, 1), (images.shape[2], images.shape[3]))
    return smooth.reshape(*coarse.shape[:2], *smooth.shape[1:])


def _blurs(images: torch.Tensor, coarse: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """A Gaussian blur along rows and along columns, as matrices (h, H) and (w, W)."""
    height, width = images.shape[2:]
    sigma = BLUR_SIGMA * min(height, width)
    cell = max(1, int(sigma / _CELLS_PER_SIGMA)) if coarse else 1
    rows, columns = (
        _blur(length, -(-length // cell), sigma).to(images) for length in (height, width)
    )
    return rows, columns


@lru_cache(maxsize=16)
def _blur(of: int, to: int, sigma: float) -> torch.Tensor:
    """A Gaussian blur along an axis of `of` px, read off at the centres of `to` cells: (to, of).

    The axis is mirrored at its ends, so that a constant stays what it is. float64.
    """
    reach = int(4 * sigma + 0.5)
    origin = torch.from_numpy(np.pad(np.arange(of), reach, mode="symmetric"))
    pixels = torch.arange(-reach, of + reach, dtype=torch.float64) + 0.5
    centres = (torch.arange(to, dtype=torch.float64) + 0.5) * of / to
    distance = (pixels[None, :] - centres[:, None]).abs()
    weights = torch.exp(-0.5 * (distance / sigma) ** 2) * (distance <= reach)
    matrix = torch.zeros(to, of, dtype=torch.float64).index_add_(1, origin, weights)
    return matrix / matrix.sum(dim=1, keepdim=True)
