"""SISE written straight from the paper, one mask at a time, in float64: slow, and plain to check.

Equation numbers are the paper's. The gradient is that of the probability itself. Options that are
not in the paper (fills, what a mask is worth, a sigmoid, the authors' later gate) are as plain.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import expit
from skimage.filters import threshold_otsu
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class VisualizationMap:
    """V (H, W) of one layer, of equation 12, and how many masks it is the mean of."""

    values: np.ndarray
    masks: int


def explain(
    model: nn.Module,
    image: torch.Tensor,
    label: int,
    layers: list[str],
    mu: float = 0.0,
    fill: str = "grey",
    output: str = "softmax",
    fusion: str = "hard",
    evidence: str = "kept",
) -> np.ndarray:
    """The explanation map (H, W) of one image (3, H, W)."""
    maps = visualization_maps(model, image, label, layers, mu, fill, output, evidence)
    return fuse(maps, fusion)


def visualization_maps(
    model: nn.Module,
    image: torch.Tensor,
    label: int,
    layers: list[str],
    mu: float = 0.0,
    fill: str = "grey",
    output: str = "softmax",
    evidence: str = "kept",
) -> list[VisualizationMap]:
    """Equations 6 to 12 for each of `layers`."""
    model = copy.deepcopy(model).double().eval()
    image = image.double()
    kept: dict[str, torch.Tensor] = {}
    modules = dict(model.named_modules())
    for name in layers:

        def keep(_module: nn.Module, _inputs: object, output: torch.Tensor, name: str = name):
            kept[name] = output
            return output.clone()

        modules[name].register_forward_hook(keep)

    def probability(inputs: torch.Tensor) -> torch.Tensor:
        logits = model(inputs[None])[0]
        return (logits.softmax(0) if output == "softmax" else logits.sigmoid())[label]

    score = probability(image.requires_grad_())
    features = {name: kept[name] for name in layers}
    gradients = torch.autograd.grad(score, list(features.values()))
    with torch.no_grad():
        return [
            _visualization_map(
                probability, image.detach(), maps[0], gradient[0], mu, fill, evidence
            )
            for maps, gradient in zip(features.values(), gradients, strict=True)
        ]


def fuse(maps: Sequence[VisualizationMap], fusion: str = "hard") -> np.ndarray:
    """Figure 5, or the gate of the authors' later code. In the figure a map is normalised on its
    way to the addition, and nothing between the addition and the multiplication."""
    first, *deeper = [_norm(one.values) for one in maps]
    fused = first
    for values in deeper:
        if not values.any():
            continue
        if fusion == "hard":
            fused = (fused + values) * (values > threshold_otsu(values))
        else:
            fused = (fused + values) * expit(100 * (values - soft_threshold(values)))
    return _norm(fused)


def soft_threshold(values: np.ndarray) -> float:
    """The threshold of the authors' later code, of a map in [0, 1]."""
    levels = np.minimum(np.rint(values * 256), 255).ravel()
    apart = [0.0] * 256  # of the levels below t and from t on, between-class variance · n²
    for t in range(1, 256):
        lower, upper = levels[levels < t], levels[levels >= t]
        apart[t] = len(lower) * len(upper) * (lower.mean() - upper.mean()) ** 2
    t = apart.index(max(apart))
    reached = (levels >= round(1.5 * t)).mean()
    return (1.5 * t if reached < 0.1 else t) / 256


def _visualization_map(
    probability, image: torch.Tensor, features: torch.Tensor, gradients: torch.Tensor, mu, fill,
    evidence,
) -> VisualizationMap:  # fmt: skip
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
        total += _worth(probability, image, mask, fill, evidence) * mask / mask.sum()  # equation 11
        count += 1
    return VisualizationMap((total / max(count, 1)).numpy(), count)  # equation 12


def _worth(probability, image: torch.Tensor, mask: torch.Tensor, fill: str, evidence: str):
    def shown(mask: torch.Tensor) -> torch.Tensor:
        return probability(image * mask + _background(image, mask, fill) * (1 - mask))

    kept, lost = shown(mask), probability(image) - shown(1 - mask)  # equation 10, and its opposite
    return {"kept": kept, "removed": lost, "both": (kept + lost) / 2, "none": 1}[evidence]


def _background(image: torch.Tensor, mask: torch.Tensor, fill: str) -> torch.Tensor:
    """What masked-out pixels become; 0 is the mean grey of a normalised input."""
    mean = image.mean(dim=(1, 2), keepdim=True)
    if fill == "mean":
        return mean
    if fill == "blur":
        return _blur(image)
    if fill == "inpaint":
        return (_blur(image * mask) + 0.001 * mean) / (_blur(mask[None]) + 0.001)
    assert fill == "grey"
    return torch.zeros_like(mean)


def _blur(images: torch.Tensor) -> torch.Tensor:
    sigma = 0.075 * min(images.shape[1:])
    return torch.stack([torch.from_numpy(gaussian_filter(one.numpy(), sigma)) for one in images])


def _norm(values: np.ndarray) -> np.ndarray:
    span = values.max() - values.min()
    return (values - values.min()) / span if span > 0 else np.zeros_like(values)
