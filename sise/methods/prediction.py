"""What the methods share: asking the model of the whole image, and making an explanation."""

from collections.abc import Sequence

import torch

from sise.blocks import Layer
from sise.capture import Prediction, feature_maps
from sise.engine import Engine
from sise.errors import SiseError
from sise.explanation import Explanation, LayerExplanation, usable
from sise.logits import probabilities
from sise.masks import normalise
from sise.targets import Target, resolve_targets


def predict(
    engine: Engine, images: torch.Tensor, target: Target, layers: Sequence[Layer] = ()
) -> Prediction:
    """One forward pass of images (B, 3, H, W), without gradients. Raises as `capture`."""
    exact = engine.exact_forward(images.device)
    heard: list[torch.Tensor] = []

    def forward(batch: torch.Tensor) -> torch.Tensor:
        heard.append(exact(batch))
        return heard[-1]

    features = feature_maps(forward, layers, images)
    return Prediction(heard[0], resolve_targets(target, heard[0]), features)


def explanation(
    engine: Engine,
    prediction: Prediction,
    maps: torch.Tensor,
    forwards: int | torch.Tensor,
    layers: tuple[LayerExplanation, ...] = (),
) -> Explanation:
    """The explanation that raw `maps` (B, H, W) make: min-max normalised, with status.

    `forwards` passes were spent per image, (B,) or the same for all.
    """
    normalised, status = usable(normalise(maps)[0])
    spent = torch.as_tensor(forwards, dtype=torch.int64, device=maps.device)
    return Explanation(
        maps=normalised,
        targets=prediction.targets,
        scores=probabilities(prediction.logits, prediction.targets, engine.options.output).float(),
        status=status,
        layers=layers,
        forwards=spent.expand(len(maps)).clone(),
    )


def layer_explanation(
    engine: Engine,
    prediction: Prediction,
    layer: Layer,
    maps: torch.Tensor,
    scored: torch.Tensor,
    before: int,
) -> Explanation:
    """The explanation that raw `maps` (B, H, W) make, which all come from one layer.

    Of its feature maps each that is `scored` (B, N) cost a pass, the others said nothing;
    `before` passes went before.
    """
    count = scored.sum(dim=1)
    share = LayerExplanation(
        layer.name, maps.float(), scored.shape[1], (~scored).sum(dim=1), count, count
    )
    return explanation(engine, prediction, maps, count + before, (share,))


def differentiate(score: torch.Tensor, sources: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The gradient of a sum of scores by each of `sources`; zeros where it does not depend on one.

    Raises SiseError for a model that turns autograd off.
    """
    check_differentiable(score, *sources)
    gradients = torch.autograd.grad(score, sources, allow_unused=True)
    return [
        torch.zeros_like(source) if gradient is None else gradient.detach()
        for source, gradient in zip(sources, gradients, strict=True)
    ]


def check_differentiable(*tensors: torch.Tensor) -> None:
    """Raise SiseError if what the model gave has no gradient."""
    if not all(tensor.requires_grad for tensor in tensors):
        raise SiseError(
            "the model itself turns autograd off (no_grad, inference_mode or detach in its forward "
            "pass); this method needs the gradient of the score"
        )
