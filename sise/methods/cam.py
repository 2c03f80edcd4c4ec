"""What Grad-CAM's relatives share: one layer, one forward and one backward pass."""

from abc import abstractmethod

import torch

from sise.capture import capture
from sise.explanation import Explanation, LayerExplanation
from sise.masks import upsample
from sise.methods.base import OneLayerExplainer
from sise.methods.prediction import explanation
from sise.targets import Target


class GradientCAM(OneLayerExplainer):
    """A rectified sum of one layer's feature maps, weighted by the gradient of the class's logit.

    The sum is upsampled bilinearly, then min-max normalised. `layers` names the one layer to
    use; it is the last block of the model's graph if None. Other arguments and errors as for
    `SISE`.
    """

    @abstractmethod
    def weighted(self, features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
        """The sum over maps, before it is rectified: (B, N, h, w) twice -> (B, h, w)."""

    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        layer = self.engine.layers(images)[-1]
        forward = self.engine.exact_forward(images.device)
        seen = capture(forward, [layer], images, target, "logit")
        features, gradients = seen.features[0], seen.gradients[0]
        weighted = self.weighted(features, gradients).relu()
        cam = upsample(weighted, (images.shape[2], images.shape[3]))
        none = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        share = LayerExplanation(layer.name, cam.float(), features.shape[1], none, none, none)
        return explanation(self.engine, seen, cam, 1, (share,))
