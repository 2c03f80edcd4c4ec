"""Grad-CAM++ (Chattopadhay, Sarkar, Howlader, Balasubramanian, WACV 2018)."""

import torch

from sise.methods.cam import GradientCAM


class GradCAMpp(GradientCAM):
    """One layer's feature maps, weighted by their positive gradients, location by location.

    The weight of map k is the sum over locations of α · relu(∂Y/∂A), where Y = exp(S) and S is
    the class's logit. For networks whose logit is piecewise linear in A, α has a closed form
    (the paper's equation 19): g² / (2·g² + g³ · ΣA) with g = ∂S/∂A, which is
    1 / (2 + g · ΣA) where g is not 0. Y's derivative is exp(S) · g; its factor exp(S) is the
    same for all maps and vanishes in the normalisation, so it is left out.

    grad-cam computes the same. torch-cam 0.5.0 does not: it divides a copy of α's numerator, so
    that its weights are Σ g² · relu(g).

    `layers` and the other arguments are those of `GradientCAM`.
    """

    title = "Grad-CAM++"

    def weighted(self, features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
        """(B, N, h, w) twice -> (B, h, w)."""
        totals = features.sum(dim=(2, 3), keepdim=True)
        positive = gradients.relu()
        denominators = 2 + positive * totals
        # Maps with negative values can meet the pole; as in the authors' code, it counts as 1.
        denominators = torch.where(denominators == 0, 1.0, denominators)
        weights = (positive / denominators).sum(dim=(2, 3))
        return torch.einsum("bn,bnhw->bhw", weights, features)
