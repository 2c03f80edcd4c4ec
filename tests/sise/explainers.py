"""The tables of explainers that contract tests run over: `EXPLAINERS`, and `IMPLEMENTATIONS`."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest
import torch
from networks import quickly, small_cnn, some_images

from sise import (
    RISE,
    SISE,
    AblationCAM,
    CentreGaussian,
    EigenCAM,
    ExtremalPerturbation,
    FullGrad,
    GradCAM,
    GradCAMpp,
    GroupCAM,
    HiResCAM,
    IntegratedGradients,
    LayerCAM,
    Noise,
    ScoreCAM,
    SobelEdges,
    Untrained,
    XGradCAM,
)
from sise.explanation import Explainer, Explanation

EXPLAINERS: dict[str, Callable[..., Explainer]] = {
    "SISE": SISE,
    "SISE, 9 passes": partial(SISE, budget=9),
    "SISE, passes until settled": partial(SISE, budget="auto"),
    "SISE, soft fusion": partial(SISE, fusion="soft"),
    "SISE, blurred": partial(SISE, fill="blur"),
    "SISE, inpainted": partial(SISE, fill="inpaint"),
    "SISE, in context": partial(SISE, context="reflect"),
    "SISE, removed": partial(SISE, evidence="removed"),
    "SISE, both, 13 passes": partial(SISE, evidence="both", budget=13),
    "Ada-SISE": partial(SISE, mu="otsu"),
    "SISE, sigmoid": partial(SISE, output="sigmoid"),
    "Grad-CAM": GradCAM,
    "Grad-CAM++": GradCAMpp,
    "LayerCAM": LayerCAM,
    "HiResCAM": HiResCAM,
    "XGrad-CAM": XGradCAM,
    "Eigen-CAM": EigenCAM,
    "Score-CAM": ScoreCAM,
    "Ablation-CAM": AblationCAM,
    # Against a background that speaks against every class: without, no group may be better than it.
    "Group-CAM": partial(GroupCAM, fill=torch.tensor([3.0, -3.0, 0.0])),
    "RISE": partial(RISE, n_masks=30),
    "extremal perturbation": partial(ExtremalPerturbation, areas=(0.1, 0.3), steps=4),
    "integrated gradients": partial(IntegratedGradients, steps=8),
    "FullGrad": FullGrad,
    "a Gaussian": CentreGaussian,
    "noise": Noise,
    "edges": SobelEdges,
    "Grad-CAM, untrained": partial(Untrained, method=GradCAM),
}

IMPLEMENTATIONS = (
    "SISE",
    "SISE, 9 passes",
    "SISE, in context",
    "Grad-CAM",
    "Score-CAM",
    "Ablation-CAM",
    "Group-CAM",
    "RISE",
    "extremal perturbation",
    "integrated gradients",
    "FullGrad",
    "a Gaussian",
    "Grad-CAM, untrained",
)
"""Those that run the model each in a way of its own, for what depends on that alone. The others
inherit `_explain` from one of these and differ in arithmetic."""
QUICK = {
    "SISE",
    "SISE, 9 passes",
    "Grad-CAM",
    "Score-CAM",
    "integrated gradients",
    "Grad-CAM, untrained",
}
"""What `make test` takes of them: each way of the engine's, and a copy of the model, once."""
EVERY = pytest.mark.parametrize("name", EXPLAINERS)
OWN = pytest.mark.parametrize("name", quickly(IMPLEMENTATIONS, QUICK))
UNTRAINED = {"Grad-CAM, untrained"}
"""Methods on other weights than the model's."""
DIFFERENCES = {"Group-CAM"}
"""Methods that weight masks by differences of probabilities: rounding stays as large as it was."""
_ONE_LAYER = {name for name in EXPLAINERS if "CAM" in name}
LAYERED = {name for name in EXPLAINERS if "SISE" in name} | _ONE_LAYER
"""Methods that explain layers, and take `layers`."""
NO_GRADIENTS = {"Score-CAM", "Ablation-CAM", "RISE", "a Gaussian", "noise", "edges"}
"""Methods that need no gradient."""
ONLY_GRADIENTS = {
    "Grad-CAM",
    "Grad-CAM++",
    "LayerCAM",
    "HiResCAM",
    "XGrad-CAM",
    "Eigen-CAM",
    "FullGrad",
}
"""Methods all of whose passes are differentiated."""


def make(name: str, model: Any, **options: Any) -> Explainer:
    return EXPLAINERS[name](model, **options)


@cache
def plainly(name: str, precision: str = "auto", count: int = 2) -> Explanation:
    """What a method says of `some_images(count)` and `small_cnn()`, untouched: what tests of
    another way to ask for the same compare with. It is computed once; leave it as it is."""
    return make(name, small_cnn(), precision=precision)(some_images(count))


def layers_for(name: str, *layers: str) -> dict[str, list[str]]:
    """The option `layers`: all of them, the last for a method that explains one, or none."""
    if name not in LAYERED:
        return {}
    return {"layers": list(layers[-1:] if name in _ONE_LAYER else layers)}


def probabilities(name: str, logits: torch.Tensor) -> torch.Tensor:
    return logits.sigmoid() if name == "SISE, sigmoid" else logits.softmax(dim=1)
