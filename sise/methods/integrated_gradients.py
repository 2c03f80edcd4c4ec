"""Integrated gradients (Sundararajan, Taly, Yan, ICML 2017)."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from sise.baselines import Fill, baseline_of
from sise.errors import SiseError
from sise.explanation import Explanation
from sise.logits import Output, probabilities
from sise.methods.base import EngineExplainer
from sise.methods.prediction import differentiate, explanation, predict
from sise.precision import Forward
from sise.targets import Target


@dataclass(eq=False)
class IntegratedGradients(EngineExplainer):
    """Attributions that add up to what the image's probability has over its baseline's.

    The gradient of the class's probability is integrated along the straight line from the
    baseline to the image (equation 1), by Gauss-Legendre quadrature, which is exact sooner than
    the paper's Riemann sum (equation 3). A pixel's attribution is the sum over its colours; the
    map is its positive part, as pixels that speak against the class are no reason for it (the
    authors' pictures show the positive part too), min-max normalised.

    Args:
        steps: points on the line, each one forward and one backward pass; 20 to 300 in the paper.
        fill: the baseline: "grey" (0 in the model's normalised input), "mean", "blur" or a colour
            (3,), such as the model's black.

    Other arguments and errors as for `SISE`; a batch of the backward pass holds an eighth of
    `batch_size`.
    """

    steps: int = 50
    fill: Fill = field(default="grey", kw_only=True)

    def __post_init__(self, model: nn.Module) -> None:
        if self.steps < 1:
            raise SiseError(f"steps must be at least 1, not {self.steps}")
        if isinstance(self.fill, str) and self.fill == "inpaint":
            raise SiseError('fill "inpaint" depends on a mask, and a baseline has none')
        super().__post_init__(model)

    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        prediction = predict(self.engine, images, target)
        baseline = baseline_of(images, self.fill)
        attributed = attributions(
            self.engine.exact_forward(images.device),
            images,
            torch.zeros_like(images) if baseline is None else baseline.expand_as(images),
            prediction.targets,
            self.output,
            self.steps,
            self.engine.captured_at_once(images),
        )
        return explanation(self.engine, prediction, attributed.sum(dim=1).relu(), self.steps + 1)


def attributions(
    forward: Forward,
    images: torch.Tensor,
    baselines: torch.Tensor,
    targets: torch.Tensor,
    output: Output,
    steps: int,
    at_once: int,
) -> torch.Tensor:
    """Integrated gradients of the targets' (B,) probabilities: (B, 3, H, W) twice -> (B, 3, H, W).

    They add up, per image, to its probability less its baseline's, as far as `steps` points
    tell (completeness, proposition 1). `at_once` points go through the network together.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    places = torch.from_numpy((nodes + 1) / 2).to(images)
    shares = torch.from_numpy(weights / 2).to(images)
    differences = images - baselines
    integral = torch.zeros_like(images)
    for index, label in enumerate(targets):
        for place, share in zip(
            torch.split(places, at_once), torch.split(shares, at_once), strict=True
        ):
            points = baselines[index] + place[:, None, None, None] * differences[index]
            gradients = _gradients(forward, points, label.expand(len(points)), output)
            integral[index] += torch.einsum("k,kchw->chw", share, gradients)
    return integral * differences


def _gradients(
    forward: Forward, points: torch.Tensor, targets: torch.Tensor, output: Output
) -> torch.Tensor:
    """Of each point's own probability: (K, 3, H, W) -> (K, 3, H, W)."""
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        # A copy of what gradients end at: a model may work on its input in place.
        scores = probabilities(forward(points.clone()), targets, output)
        return differentiate(scores.sum(), [points])[0]
