"""LayerCAM (Jiang, Zhang, Hou, Cheng, Wei, IEEE Transactions on Image Processing 2021)."""

import torch

from sise.methods.cam import GradientCAM


class LayerCAM(GradientCAM):
    """One layer's feature maps, each location weighted by its own positive gradient.

    Σ_k relu(∂S/∂A_k) · A_k, then rectified: nothing is averaged over locations, so shallow
    layers give fine maps too. The paper's fusion of several layers (its tanh scaling) is not
    included. `layers` and the other arguments are those of `GradientCAM`.
    """

    title = "LayerCAM"

    def weighted(self, features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
        """(B, N, h, w) twice -> (B, h, w)."""
        return (gradients.relu() * features).sum(dim=1)
