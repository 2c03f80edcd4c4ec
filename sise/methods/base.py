"""What the methods have in common: their options, and an engine that calls them with images.

A method is a dataclass of its options, which gives its signature, and the options that
`sise.registry` knows. A new one inherits those that it heeds, and adds its own.
"""

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, InitVar, dataclass, fields
from typing import ClassVar, Literal

import torch
from torch import nn

from sise.backends import Backend
from sise.baselines import Fill
from sise.engine import Engine, Layers, RunOptions
from sise.errors import LayerError
from sise.explanation import Explanation
from sise.logits import Output
from sise.precision import Precision
from sise.targets import Target


@dataclass(eq=False)
class EngineExplainer(ABC):
    """An explainer of `model`. Options as for `SISE`."""

    model: InitVar[nn.Module]
    _: KW_ONLY
    output: Output = "softmax"
    precision: Precision = "auto"
    batch_size: int | Literal["auto"] = "auto"

    def __post_init__(self, model: nn.Module) -> None:
        known = {option.name for option in fields(self)}
        heeded = [option.name for option in fields(RunOptions) if option.name in known]
        self.engine = Engine(model, RunOptions(**{name: getattr(self, name) for name in heeded}))

    def __call__(self, images: torch.Tensor, target: Target = None) -> Explanation:
        """Explain images (B, 3, H, W); `target` as for `SISE`."""
        return self.engine.explain(images, target, self._explain)

    @abstractmethod
    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        """Explain images that fit into memory together, on the model in evaluation mode."""


@dataclass(eq=False, kw_only=True)
class MaskScoringExplainer(EngineExplainer):
    """One that scores masked images."""

    fill: Fill = "grey"
    backend: Backend = "torch"
    compile: bool = False


@dataclass(eq=False, kw_only=True)
class LayersExplainer(EngineExplainer):
    """One that explains feature maps."""

    layers: Layers = None


@dataclass(eq=False)
class OneLayerExplainer(LayersExplainer):
    """One that explains the feature maps of one layer: the last block's unless `layers` names one.

    Raises LayerError for more or fewer.
    """

    title: ClassVar[str]
    layers: Layers = None

    def __post_init__(self, model: nn.Module) -> None:
        if self.layers is not None and len(self.layers) != 1:
            raise LayerError(f"{self.title} explains one layer, not {len(self.layers)}")
        super().__post_init__(model)
