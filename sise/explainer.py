"""SISE: Semantic Input Sampling for Explanation (Sattarzadeh et al., AAAI-21)."""

import torch
from torch import nn

from sise.capture import Target, capture, probabilities
from sise.engine import BatchSize, Engine, Layers
from sise.errors import SiseError
from sise.explanation import Explanation, LayerExplanation, usable
from sise.fusion import Fusion, fuse
from sise.masks import constant_maps
from sise.precision import Precision
from sise.sampling import MaskedLayer, visualization_maps
from sise.selection import average_gradients, positive_gradient_maps


class SISE:
    """Explain a CNN's prediction from the feature maps of each of its convolutional blocks.

    >>> explainer = SISE(model)
    >>> explanation = explainer(images)     # (B, 3, H, W), normalised as the model takes them
    >>> explanation.maps                    # (B, H, W) in [0, 1]

    Ψ is the softmax probability of the explained class, and every feature map with a gradient
    α > μ·β is scored: the exact algorithm of the paper. Masked-out pixels are 0 in the model's
    normalised input, its mean grey. The model is given back as it was.

    Args:
        model: a CNN that maps (B, 3, H, W) to logits (B, classes).
        mu: μ ≥ 0 of equation 7; larger values score fewer maps.
        layers: names or modules to explain, shallow to deep; the blocks of the model's graph
            if None (see `blocks.find_blocks`).
        fusion: "hard" (the paper's figure 5) or "soft" (the authors' later code).
        precision: of the scored passes; "auto" is bf16 where the hardware has it. Feature maps,
            gradients and sums are float32, or float64 with "fp64".
        batch_size: masked images per forward pass.

    Raises:
        SiseError: for options, images or targets that make no sense.
        LayerError: where layers cannot be found or have no feature maps.
    """

    def __init__(
        self,
        model: nn.Module,
        mu: float = 0.0,
        layers: Layers = None,
        fusion: Fusion = "hard",
        precision: Precision = "auto",
        batch_size: BatchSize = "auto",
    ) -> None:
        if not mu >= 0:
            raise SiseError(f"mu must be at least 0, not {mu}")
        self.mu = mu
        self.fusion: Fusion = fusion
        self.engine = Engine(model, layers, precision, batch_size)

    def __call__(self, images: torch.Tensor, target: Target = None) -> Explanation:
        """Explain images (B, 3, H, W) for `target`: None (the predicted class), an int, a list
        or a tensor of class indices."""
        return self.engine.explain(images, target, self._explain)

    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        layers = self.engine.layers(images)
        forward = self.engine.exact_forward(images.device)
        seen = capture(forward, layers, images, target, "log-odds")

        constant = [constant_maps(features) for features in seen.features]
        selected = [
            positive_gradient_maps(average_gradients(gradients), self.mu) & ~still
            for gradients, still in zip(seen.gradients, constant, strict=True)
        ]
        masked = [
            MaskedLayer(features, chosen)
            for features, chosen in zip(seen.features, selected, strict=True)
        ]
        with torch.no_grad():
            visualizations = visualization_maps(
                self.engine.scoring_forward(images.device),
                images,
                seen.targets,
                masked,
                self.engine.scored_at_once(images),
            )
            fused = fuse(visualizations, self.fusion)

        per_layer = tuple(
            LayerExplanation(
                name=layer.name,
                maps=maps.float(),
                found=still.shape[1],
                constant=still.sum(dim=1),
                selected=chosen.sum(dim=1),
            )
            for layer, maps, still, chosen in zip(
                layers, visualizations, constant, selected, strict=True
            )
        )
        scored = torch.stack([layer.selected for layer in per_layer]).sum(dim=0)
        maps, status = usable(fused, scored)
        return Explanation(
            maps=maps,
            targets=seen.targets,
            scores=probabilities(seen.logits, seen.targets).float(),
            status=status,
            layers=per_layer,
            forwards=scored + 1,
        )
