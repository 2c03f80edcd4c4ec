"""Score-CAM (Wang et al., CVPR Workshops 2020)."""

from typing import Literal

import torch
from torch import nn

from sise.backends import Backend
from sise.baselines import Fill
from sise.engine import Layers, Settings
from sise.explanation import Explanation
from sise.logits import Output
from sise.masks import attribution_masks, constant_maps, upsample
from sise.methods.base import EngineExplainer
from sise.methods.prediction import check_one_layer, layer_explanation, predict
from sise.precision import Precision
from sise.sampling import MaskSet
from sise.targets import Target


class ScoreCAM(EngineExplainer):
    """One layer's feature maps, each weighted by the class's probability when it masks the image.

    The public versions disagree about the weight. Here, as in the authors' code, it is the
    probability (softmax over classes) of the masked image, with no baseline taken off; a map that
    is constant is skipped; the sum over raw maps is upsampled, rectified and min-max normalised.
    Algorithm 1 of the paper and torch-cam take a softmax over *maps* of the rise of the logit,
    grad-cam a softmax over maps of the logit.

    `layers` names the one layer to use; it is the last block of the model's graph if None. Other
    arguments and errors as for `SISE`.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Layers = None,
        fill: Fill = "grey",
        output: Output = "softmax",
        precision: Precision = "auto",
        batch_size: int | Literal["auto"] = "auto",
        backend: Backend = "torch",
        compile: bool = False,
    ) -> None:
        check_one_layer("Score-CAM", layers)
        settings = Settings(layers, precision, batch_size, fill, output, backend, compile)
        super().__init__(model, settings)

    @torch.no_grad()
    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        layer = self.engine.layers(images)[-1]
        prediction = predict(self.engine, images, target, [layer])
        features = prediction.features[0]
        size = (images.shape[2], images.shape[3])
        varied = ~constant_maps(features)
        scorer = self.engine.scorer(images, prediction.targets)
        owners = varied.nonzero(as_tuple=True)[0]
        masks = attribution_masks(features[varied], size).values
        weights = torch.zeros_like(features[:, :, 0, 0])
        weights[varied] = scorer([MaskSet(masks, owners)])[0]
        cam = upsample(torch.einsum("bn,bnhw->bhw", weights, features), size).relu()
        return layer_explanation(self.engine, prediction, layer, cam, varied, before=1)
