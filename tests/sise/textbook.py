"""SISE written straight from the paper, one mask at a time, in float64: slow, and plain to check.

Equation numbers are the paper's. The gradient is that of the probability itself.
"""

import copy

import numpy as np
import torch
from skimage.filters import threshold_otsu
from torch import nn
from torch.nn import functional


def explain(
    model: nn.Module, image: torch.Tensor, label: int, layers: list[str], mu: float = 0.0
) -> np.ndarray:
    """The explanation map (H, W) of one image (3, H, W)."""
    model = copy.deepcopy(model).double().eval()
    image = image.double()
    kept: dict[str, torch.Tensor] = {}
    modules = dict(model.named_modules())
    for name in layers:

        def keep(_module: nn.Module, _inputs: object, output: torch.Tensor, name: str = name):
            kept[name] = output
            return output.clone()

        modules[name].register_forward_hook(keep)
    probability = model(image[None].requires_grad_()).softmax(1)[0, label]
    features = {name: kept[name] for name in layers}
    gradients = dict(
        zip(layers, torch.autograd.grad(probability, list(features.values())), strict=True)
    )
    maps = [
        _visualization_map(model, image, label, features[name][0], gradients[name][0], mu)
        for name in layers
    ]
    fused = _norm(maps[0])
    for visualization in map(_norm, maps[1:]):
        binary = visualization > threshold_otsu(visualization)
        fused = _norm(fused + visualization) * (binary if visualization.any() else 1)
    return _norm(fused)


@torch.no_grad()
def _visualization_map(
    model: nn.Module,
    image: torch.Tensor,
    label: int,
    features: torch.Tensor,
    gradients: torch.Tensor,
    mu: float,
) -> np.ndarray:
    alpha = gradients.sum(dim=(1, 2))  # equation 6
    beta = alpha.max()  # equation 8
    total = torch.zeros_like(image[0])
    count = 0
    for k in range(len(features)):
        constant = features[k].min() == features[k].max()
        if not alpha[k] > mu * beta or not alpha[k] > 0 or constant:  # equation 7
            continue
        mask = functional.interpolate(
            features[None, k : k + 1], size=image.shape[1:], mode="bilinear", align_corners=False
        )[0, 0]
        mask = (mask - mask.min()) / (mask.max() - mask.min())
        score = model((image * mask)[None]).softmax(1)[0, label]
        total += score * mask / mask.sum()  # equations 10 and 11
        count += 1
    return (total / max(count, 1)).numpy()  # equation 12


def _norm(values: np.ndarray) -> np.ndarray:
    span = values.max() - values.min()
    return (values - values.min()) / span if span > 0 else np.zeros_like(values)
