"""Phase 2: which feature maps count (equations 6 to 8)."""

from typing import Literal

import torch

from sise.errors import SiseError
from sise.fusion import between_class_variance

Mu = float | Literal["otsu"]


def check_mu(mu: Mu) -> None:
    """Raise SiseError unless `mu` is a number of at least 0, or "otsu"."""
    is_number = not isinstance(mu, str)
    if not (mu == "otsu" or (is_number and mu >= 0)):
        raise SiseError(f'mu must be at least 0, not {mu}; or "otsu"')


def average_gradients(gradients: torch.Tensor) -> torch.Tensor:
    """α of each feature map, the sum of its gradient over locations: (B, N, h, w) -> (B, N).

    Equation 6. The sum is taken in float32 or better.
    """
    wide = gradients.double() if gradients.dtype == torch.float64 else gradients.float()
    return wide.sum(dim=(2, 3))


def positive_gradient_maps(alpha: torch.Tensor, mu: Mu) -> torch.Tensor:
    """Which maps are kept, α > μ·β with β the image's largest α: (B, N) -> (B, N) bool.

    Equations 7 and 8. Maps with α ≤ 0 are never kept, so that a layer without any positive
    gradient (β ≤ 0) keeps none. With "otsu" μ·β is, for each image, Otsu's threshold of its
    positive α (Ada-SISE), over the values themselves, without a histogram: the upper class is kept,
    the larger of two equally good ones. Where these are all the same, all are kept.
    """
    if mu == "otsu":
        return torch.stack([_above_otsu(image) for image in alpha])
    beta = alpha.amax(dim=1, keepdim=True)
    return (alpha > mu * beta) & (alpha > 0)


def _above_otsu(alpha: torch.Tensor) -> torch.Tensor:
    """(N,) -> (N,) bool."""
    positive = alpha > 0
    candidates = alpha[positive].sort().values
    # Infinite and missing gradients are told of elsewhere: they have no classes.
    if not candidates.isfinite().all() or len(candidates) < 2 or candidates[0] == candidates[-1]:
        return positive
    return alpha > candidates[_last_of_lower_class(candidates)]


def _last_of_lower_class(values: torch.Tensor) -> int:
    """Where Otsu parts sorted values (K,), of which two differ: the index before the gap.

    Every gap is compared, in float64 on the processor (some devices have none), scaled by a power
    of two so that no square vanishes.
    """
    wide = values.cpu().double()
    wide = torch.ldexp(wide, -torch.frexp(wide[-1]).exponent)
    (variance,) = between_class_variance(torch.ones_like(wide)[None], wide)
    return int(torch.where(wide.diff() > 0, variance, -1.0).argmax())
