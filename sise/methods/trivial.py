"""Maps that owe nothing to what the model has learnt: what any method must beat.

Boxes that fill much of an image reward any blob in its middle, and an edge detector passes for an
explanation (Adebayo et al., *Sanity Checks for Saliency Maps*, NeurIPS 2018). These are explainers
like the others; the model is only asked for its class and score.
"""

import hashlib
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch.nn import functional

from sise.explanation import Explanation
from sise.methods.base import EngineExplainer
from sise.methods.prediction import explanation, predict
from sise.targets import Target


class ModelFree(EngineExplainer):
    """An explainer whose maps depend on the image at most. Arguments as for `SISE`."""

    @abstractmethod
    def _maps(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, H, W)."""

    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        prediction = predict(self.engine, images, target)
        return explanation(self.engine, prediction, self._maps(images), 1)


class CentreGaussian(ModelFree):
    """A Gaussian in the middle, σ a quarter of the image's height and width. Never looks at it."""

    def _maps(self, images: torch.Tensor) -> torch.Tensor:
        rows, columns = (_bell(length).to(images) for length in images.shape[2:])
        return torch.outer(rows, columns).expand(len(images), -1, -1)


def _bell(length: int) -> torch.Tensor:
    centres = (torch.arange(length, dtype=torch.float64) + 0.5) / length
    return torch.exp(-0.5 * ((centres - 0.5) / 0.25) ** 2)


@dataclass(eq=False)
class Noise(ModelFree):
    """Uniform noise, drawn anew for each image: from `seed` and the image itself.

    So an image's map does not depend on the device, nor on the batch that it comes in.
    """

    seed: int = 0

    def _maps(self, images: torch.Tensor) -> torch.Tensor:
        return torch.stack([self._drawn(image) for image in images]).to(images)

    def _drawn(self, image: torch.Tensor) -> torch.Tensor:
        pixels = image.float().cpu().contiguous().numpy().tobytes()
        digest = hashlib.sha256(str(self.seed).encode() + b" " + pixels).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
        return torch.rand(*image.shape[1:], generator=generator)


class SobelEdges(ModelFree):
    """How fast the image's brightness changes: the magnitude of its Sobel gradient.

    Brightness is the mean of the three normalised channels; the border is continued by its own
    pixels.
    """

    def _maps(self, images: torch.Tensor) -> torch.Tensor:
        grey = functional.pad(images.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        smooth, slope = images.new_tensor([1, 2, 1]), images.new_tensor([-1, 0, 1])
        down = functional.conv2d(grey, torch.outer(slope, smooth)[None, None])
        across = functional.conv2d(grey, torch.outer(smooth, slope)[None, None])
        return torch.hypot(down, across)[:, 0]
