"""What the methods have in common: an engine, which calls them with images that fit."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from sise.engine import Engine, Settings
from sise.explanation import Explanation
from sise.targets import Target


class EngineExplainer(ABC):
    """An explainer of `model`, run as `settings` say."""

    def __init__(self, model: nn.Module, settings: Settings) -> None:
        self.engine = Engine(model, settings)

    def __call__(self, images: torch.Tensor, target: Target = None) -> Explanation:
        """Explain images (B, 3, H, W); `target` as for `SISE`."""
        return self.engine.explain(images, target, self._explain)

    @abstractmethod
    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        """Explain images that fit into memory together, on the model in evaluation mode."""
