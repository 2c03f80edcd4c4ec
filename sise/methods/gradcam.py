"""Grad-CAM (Selvaraju et al., ICCV 2017)."""

import torch

from sise.methods.cam import GradientCAM
from sise.selection import average_gradients


class GradCAM(GradientCAM):
    """One layer's feature maps, weighted by their mean gradient and rectified.

    The gradient is that of the class's logit, as in the paper's equations 1 and 2. Arguments
    and errors as for `GradientCAM`.
    """

    title = "Grad-CAM"

    def weighted(self, features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
        """Σ α·A / (h·w), equation 2 before it is rectified."""
        locations = features.shape[2] * features.shape[3]
        return torch.einsum("bn,bnhw->bhw", average_gradients(gradients) / locations, features)
