"""Group-CAM (Zhang, Rao, Yang, arXiv 2103.13859)."""

from dataclasses import dataclass, field

import torch
from torch import nn

from sise.baselines import Fill
from sise.capture import capture
from sise.engine import Layers
from sise.errors import SiseError
from sise.explanation import Explanation
from sise.masks import attribution_masks, constant_maps, upsample
from sise.methods.base import MaskScoringExplainer, OneLayerExplainer
from sise.methods.prediction import layer_explanation
from sise.sampling import MaskSet
from sise.targets import Target

# Of a group's values, the share that is taken for noise: the authors' code.
_NOISE = 0.7


@dataclass(eq=False)
class GroupCAM(OneLayerExplainer, MaskScoringExplainer):
    """Grad-CAM in parts, each weighted by what its region does for the class's probability.

    One layer's maps, weighted as in Grad-CAM, are added up in groups of neighbours; each sum is
    rectified, its lower 70 % set to 0, upsampled and min-max normalised. Its weight is the class's
    probability when it masks the image, less that of the background alone. The weighted sum of
    the masks is rectified and min-max normalised. Groups that are constant are skipped; where no
    group is better than the background, the map is constant, and the status says so. This is
    the authors' code; its background is the image under a box-like blur of 51 px on 224 px, whose
    standard deviation is nearly that of `fill` "blur".

    Args:
        groups: the maps are split into; 32 in the paper. No more than there are maps.

    `layers` names the one layer to use; it is the last block of the model's graph if None. Other
    arguments and errors as for `SISE`.
    """

    title = "Group-CAM"
    groups: int = 32
    layers: Layers = field(default=None, kw_only=True)
    fill: Fill = field(default="blur", kw_only=True)

    def __post_init__(self, model: nn.Module) -> None:
        if self.groups < 1:
            raise SiseError(f"groups must be at least 1, not {self.groups}")
        super().__post_init__(model)

    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        layer = self.engine.layers(images)[-1]
        seen = capture(self.engine.exact_forward(images.device), [layer], images, target, "logit")
        with torch.no_grad():
            maps = grouped(seen.features[0], seen.gradients[0], self.groups)
            size = (images.shape[2], images.shape[3])
            varied = ~constant_maps(maps)
            masks = torch.zeros_like(maps)
            masks[varied] = attribution_masks(maps[varied], size).values
            scorer = self.engine.scorer(images, seen.targets)
            nothing = MaskSet(
                torch.zeros_like(maps[:, 0]), torch.arange(len(images)).to(maps.device)
            )
            owners = varied.nonzero(as_tuple=True)[0]
            background, scores = scorer([nothing, MaskSet(masks[varied], owners)])
            weights = torch.zeros_like(maps[:, :, 0, 0])
            weights[varied] = scores - background[owners]
            cam = upsample(torch.einsum("bg,bghw->bhw", weights, masks), size).relu()
            return layer_explanation(self.engine, seen, layer, cam, varied, before=2)


def grouped(features: torch.Tensor, gradients: torch.Tensor, groups: int) -> torch.Tensor:
    """Sums of neighbouring maps, weighted by their mean gradient, without negatives and noise.

    (B, N, h, w) twice -> (B, G, h, w), with G at most `groups`.
    """
    weighted = gradients.mean(dim=(2, 3), keepdim=True) * features
    sums = torch.stack([part.sum(dim=1) for part in weighted.chunk(groups, dim=1)], dim=1).relu()
    noise = sums.flatten(2).quantile(_NOISE, dim=2)[:, :, None, None]
    return torch.where(sums > noise, sums, 0.0)
