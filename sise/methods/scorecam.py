"""Score-CAM (Wang et al., CVPR Workshops 2020)."""

from dataclasses import dataclass

import torch

from sise.explanation import Explanation
from sise.masks import attribution_masks, constant_maps, upsample
from sise.methods.base import MaskScoringExplainer, OneLayerExplainer
from sise.methods.prediction import layer_explanation, predict
from sise.sampling import MaskSet
from sise.targets import Target


@dataclass(eq=False)
class ScoreCAM(OneLayerExplainer, MaskScoringExplainer):
    """One layer's feature maps, each weighted by the class's probability when it masks the image.

    The public versions disagree about the weight. Here, as in the authors' code, it is the
    probability (softmax over classes) of the masked image, with no baseline taken off; a map that
    is constant is skipped; the sum over raw maps is upsampled, rectified and min-max normalised.
    Algorithm 1 of the paper and torch-cam take a softmax over *maps* of the rise of the logit,
    grad-cam a softmax over maps of the logit.

    `layers` names the one layer to use; it is the last block of the model's graph if None. Other
    arguments and errors as for `SISE`.
    """

    title = "Score-CAM"

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
