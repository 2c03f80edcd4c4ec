"""Phase 2: which feature maps count (equations 6 to 8)."""

import torch


def average_gradients(gradients: torch.Tensor) -> torch.Tensor:
    """α of each feature map, the sum of its gradient over locations: (B, N, h, w) -> (B, N).

    Equation 6. The sum is taken in float32 or better.
    """
    wide = gradients.double() if gradients.dtype == torch.float64 else gradients.float()
    return wide.sum(dim=(2, 3))


def positive_gradient_maps(alpha: torch.Tensor, mu: float) -> torch.Tensor:
    """Which maps are kept, α > μ·β with β the image's largest α: (B, N) -> (B, N) bool.

    Equations 7 and 8. Maps with α ≤ 0 are never kept, so that a layer without any positive
    gradient (β ≤ 0) keeps none.
    """
    beta = alpha.amax(dim=1, keepdim=True)
    return (alpha > mu * beta) & (alpha > 0)
