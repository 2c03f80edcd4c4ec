"""XGrad-CAM (Fu, Hu, Dong, Guo, Gao, Li, BMVC 2020)."""

import torch

from sise.methods.cam import GradientCAM


class XGradCAM(GradientCAM):
    """One layer's feature maps, weighted by their gradient where they are active.

    The weight of map k is Σ A_k · ∂S/∂A_k / Σ A_k, a mean of the gradient in which a location
    counts as much as the map does there; a map that adds up to 0 has none. Behind a mean over
    locations, as in a ResNet's last block, it is Grad-CAM.

    `layers` and the other arguments are those of `GradientCAM`.
    """

    title = "XGrad-CAM"

    def weighted(self, features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
        """(B, N, h, w) twice -> (B, h, w)."""
        totals = features.sum(dim=(2, 3))
        active = (gradients * features).sum(dim=(2, 3))
        weights = torch.where(totals == 0, 0.0, active / totals)
        return torch.einsum("bn,bnhw->bhw", weights, features)
