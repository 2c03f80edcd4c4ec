"""Eigen-CAM (Muhammad and Yeasin, IJCNN 2020)."""

import torch

from sise.methods.cam import GradientCAM


class EigenCAM(GradientCAM):
    """One layer's feature maps, projected onto their first principal direction, and rectified.

    It shows what is common to the maps; the class that is explained plays no part. With A the
    matrix (h·w, N) of the maps and v its first right singular vector, the map is A·v, as in the
    paper; a singular vector's sign is arbitrary, and chosen so that the map adds up to more than
    0. grad-cam takes each map's mean off before, and keeps whatever sign comes out.

    `layers` and the other arguments are those of `GradientCAM`.
    """

    title = "Eigen-CAM"

    def weighted(self, features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
        """(B, N, h, w) twice -> (B, h, w)."""
        return torch.stack([_projected(image) for image in features])


def _projected(features: torch.Tensor) -> torch.Tensor:
    """(N, h, w) -> (h, w)."""
    if not features.isfinite().all():
        return torch.full_like(features[0], torch.nan)
    _, strengths, places = torch.linalg.svd(features.flatten(1), full_matrices=False)
    projection = strengths[0] * places[0]
    sign = torch.where(projection.sum() < 0, -1.0, 1.0)
    return torch.mul(sign, projection).view(features.shape[1:])
