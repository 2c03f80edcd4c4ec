"""Grad-CAM (Selvaraju et al., ICCV 2017)."""

from typing import Literal

import torch
from torch import nn

from sise.capture import Output, Target, capture, probabilities
from sise.engine import Engine, Layers, Settings
from sise.errors import LayerError
from sise.explanation import Explanation, LayerExplanation, usable
from sise.masks import normalise, upsample
from sise.precision import Precision
from sise.selection import average_gradients


class GradCAM:
    """One layer's feature maps, weighted by their mean gradient and rectified.

    The gradient is that of the class's logit, as in the paper's equations 1 and 2. The map is
    upsampled bilinearly, then min-max normalised. `layers` names the one layer to use; it is
    the last block of the model's graph if None. Other arguments and errors as for `SISE`.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Layers = None,
        precision: Precision = "auto",
        batch_size: int | Literal["auto"] = "auto",
        output: Output = "softmax",
    ) -> None:
        if layers is not None and len(layers) != 1:
            raise LayerError(f"Grad-CAM explains one layer, not {len(layers)}")
        self.engine = Engine(
            model,
            Settings(layers=layers, precision=precision, batch_size=batch_size, output=output),
        )

    def __call__(self, images: torch.Tensor, target: Target = None) -> Explanation:
        """Explain images (B, 3, H, W); `target` as for `SISE`."""
        return self.engine.explain(images, target, self._explain)

    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        layer = self.engine.layers(images)[-1]
        forward = self.engine.exact_forward(images.device)
        seen = capture(forward, [layer], images, target, "logit")
        features, gradients = seen.features[0], seen.gradients[0]
        count, channels, height, width = features.shape
        weights = average_gradients(gradients) / (height * width)
        weighted = torch.einsum("bn,bnhw->bhw", weights, features).relu()
        cam = upsample(weighted, (images.shape[2], images.shape[3]))
        maps, status = usable(normalise(cam)[0])
        none = torch.zeros(count, dtype=torch.int64, device=images.device)
        return Explanation(
            maps=maps,
            targets=seen.targets,
            scores=probabilities(seen.logits, seen.targets, self.engine.settings.output).float(),
            status=status,
            layers=(LayerExplanation(layer.name, cam.float(), channels, none, none, none),),
            forwards=none + 1,
        )
