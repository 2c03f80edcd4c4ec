"""Ablation-CAM (Desai and Ramaswamy, WACV 2020)."""

import torch

from sise.batches import BatchSize, is_out_of_memory
from sise.blocks import Layer
from sise.explanation import Explanation
from sise.masks import upsample
from sise.methods.base import OneLayerExplainer
from sise.methods.prediction import layer_explanation, predict
from sise.precision import Forward
from sise.targets import Target


class AblationCAM(OneLayerExplainer):
    """One layer's feature maps, each weighted by what the class's logit loses without it.

    The weight of map k is y - y_k, with y_k the logit of the class when the map is set to 0. The
    paper divides it by y; here it does not, which for a positive logit is the same map and for a
    negative one not its opposite. The weighted sum is rectified, upsampled and min-max normalised.

    Only what follows the layer is computed for every map; these count as passes all the same. A
    map of zeros has nothing to lose, and is skipped. A loss is often a thousandth of the logit,
    so that passes are float32, or float64 with "fp64". `layers` names the one layer to use; it is
    the last block of the model's graph if None. Other arguments and errors as for `SISE`.
    """

    title = "Ablation-CAM"

    @torch.no_grad()
    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        layer = self.engine.layers(images)[-1]
        prediction = predict(self.engine, images, target, [layer])
        features = prediction.features[0]
        forward = self.engine.exact_forward(images.device)
        batch_size = self.engine.batch_size(images)
        present = (features != 0).flatten(2).any(dim=2)
        weights = torch.zeros_like(features[:, :, 0, 0])
        for index, label in enumerate(prediction.targets.tolist()):
            maps = present[index].nonzero(as_tuple=True)[0]
            one = slice(index, index + 1)
            without = logits_without(forward, layer, images[one], features[one], maps, batch_size)
            weights[index, maps] = prediction.logits[index, label] - without[:, label]
        size = (images.shape[2], images.shape[3])
        cam = upsample(torch.einsum("bn,bnhw->bhw", weights, features).relu(), size)
        return layer_explanation(self.engine, prediction, layer, cam, present, before=1)


def logits_without(
    forward: Forward,
    layer: Layer,
    image: torch.Tensor,
    features: torch.Tensor,
    maps: torch.Tensor,
    batch_size: BatchSize,
) -> torch.Tensor:
    """The logits (K, classes) of `image` (1, 3, H, W) with each of K `maps` of `layer` set to 0.

    `features` (1, N, h, w) are the layer's own. Out of memory, batches are halved.
    """
    logits: list[torch.Tensor] = []
    batch_size.run(
        len(maps),
        lambda start, stop: logits.append(
            _ablated(forward, layer, image, features, maps[start:stop])
        ),
    )
    return torch.cat(logits) if logits else image.new_zeros(0, 1)


def _ablated(
    forward: Forward,
    layer: Layer,
    image: torch.Tensor,
    features: torch.Tensor,
    maps: torch.Tensor,
) -> torch.Tensor:
    def ablate(*_: object) -> torch.Tensor:
        changed = features.repeat(len(maps), 1, 1, 1)
        changed[torch.arange(len(maps)), maps] = 0
        return changed

    handle = layer.module.register_forward_hook(ablate)
    try:
        try:
            # One image goes in, and the layer gives as many as there are maps: the rest broadcasts.
            logits = forward(image.clone())
            if len(logits) == len(maps):
                return logits
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
        # A network that joins the layer's output with something earlier needs as many there.
        return forward(image.repeat(len(maps), 1, 1, 1))
    finally:
        handle.remove()
