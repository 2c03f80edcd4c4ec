"""HiResCAM (Draelos and Carin, arXiv 2011.08891)."""

import torch

from sise.methods.cam import GradientCAM


class HiResCAM(GradientCAM):
    """One layer's feature maps, each location weighted by its own gradient, of either sign.

    Σ_k ∂S/∂A_k · A_k, then rectified. Where all that follows the layer is one linear map, the sum
    over locations before it is rectified is the class's logit but for its bias. Behind a mean
    over locations, as in a ResNet's last block, it is Grad-CAM.

    `layers` and the other arguments are those of `GradientCAM`.
    """

    title = "HiResCAM"

    def weighted(self, features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
        """(B, N, h, w) twice -> (B, h, w)."""
        return (gradients * features).sum(dim=1)
