"""What a method shows of a model that has learnt nothing (Adebayo et al., NeurIPS 2018)."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import nn

from sise.cloning import clone_modules
from sise.explainer import SISE
from sise.explanation import Explainer, Explanation
from sise.logits import probabilities
from sise.methods.base import LayersExplainer
from sise.methods.prediction import predict
from sise.targets import Target


class Untrained(LayersExplainer):
    """The map that a method makes of the same architecture with random weights.

    The SISE paper's figure 12. Class and score are those of the trained model; only the map comes
    from the other. Every module is given new weights by its own `reset_parameters`, drawn from
    `seed` on the processor, so that they are the same on every device; weights of a module
    without one are shuffled. Hooks are left out. The model itself is left alone.

    >>> Untrained(model, GradCAM, seed=1, precision="fp32")(images)

    Args:
        method: what makes an explainer of a model, such as `SISE` or `GradCAM`.
        seed: of the weights.
        options: of `method`.
    """

    def __init__(
        self,
        model: nn.Module,
        method: Callable[..., Explainer] = SISE,
        seed: int = 0,
        **options: Any,
    ) -> None:
        method(model, **options)  # which complains of options now, not at the first image
        self.method = method
        self.seed = seed
        self.options = options
        own = {option.name for option in fields(LayersExplainer)}
        super().__init__(model, **{key: value for key, value in options.items() if key in own})
        self._explainers: dict[torch.device, Explainer] = {}

    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        prediction = predict(self.engine, images, target)
        explanation = self._explainer(images)(images, prediction.targets)
        scores = probabilities(prediction.logits, prediction.targets, self.engine.options.output)
        return replace(explanation, scores=scores.float(), forwards=explanation.forwards + 1)

    def _explainer(self, images: torch.Tensor) -> Explainer:
        device = images.device
        if device not in self._explainers:
            copy, originals = untrained(self.engine.model, self.seed)
            copies = {original: module for module, original in originals.items()}
            options = dict(self.options)
            if options.get("layers") is not None:
                named = self.engine.layers(images)
                options["layers"] = [copies[layer.module] for layer in named]
            self._explainers[device] = self.method(copy.to(device), **options)
        return self._explainers[device]


def untrained(model: nn.Module, seed: int) -> tuple[nn.Module, dict[nn.Module, nn.Module]]:
    """A copy of `model` in float32 on the processor, with weights drawn from `seed`.

    The second value leads from each of its modules to the original. Random generators are left
    as they were.
    """
    copy, originals = clone_modules(model, _float32_on_cpu)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in copy.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
                continue
            for weight in module.parameters(recurse=False):
                shuffled = weight.flatten()[torch.randperm(weight.numel())]
                weight.copy_(shuffled.view_as(weight))
    return copy, originals


def _float32_on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", dtype, copy=True)
