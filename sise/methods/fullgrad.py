"""FullGrad (Srinivas and Fleuret, NeurIPS 2019)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from sise.capture import Prediction
from sise.errors import LayerError, SiseError
from sise.explanation import Explanation
from sise.grey import GreyConv2d
from sise.masks import upsample
from sise.methods.base import EngineExplainer
from sise.methods.prediction import differentiate, explanation
from sise.precision import Forward
from sise.targets import Target, resolve_targets

_OWN_STATISTICS = (nn.GroupNorm, nn.LayerNorm, _InstanceNorm)

Rescale = Literal["channel", "layer"]


@dataclass(eq=False)
class FullGrad(EngineExplainer):
    """The gradients of the input and of every bias in the network, one map.

    A network of ReLUs is locally linear, so that a class's logit is the gradient of the input
    times the input, plus that of each bias times the bias (completeness, proposition 1; a batch
    norm's bias is its β - γ·mean/σ, that of a norm over the image itself, such as GroupNorm, is
    what is left of its output without its derivative along its input). The map is
    Σ ψ(input part) + Σ ψ(bias part) over channels, ψ = bilinear upsampling of the min-max rescaled
    absolute value; biases that have no place, those of the last layers, are left out of it.

    Args:
        rescale: what ψ is min-max rescaled over: each "channel", as the paper's formula has it
            (and grad-cam), or a whole "layer", as the authors' code does. The maps differ.

    Other activations than ReLU and its like (SiLU, a gate of squeeze and excitation) carry
    implicit biases that are not counted: there completeness does not hold. Other arguments and
    errors as for `SISE`. Raises LayerError for a batch norm without running statistics, and for
    biases that belong to no layer.
    """

    rescale: Rescale = "channel"

    def __post_init__(self, model: nn.Module) -> None:
        if self.rescale not in get_args(Rescale):
            raise SiseError(f"rescale {self.rescale!r}: one of {', '.join(get_args(Rescale))}")
        super().__post_init__(model)

    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        forward = self.engine.exact_forward(images.device)
        full = full_gradients(self.engine.model, forward, images, target)
        size = (images.shape[2], images.shape[3])
        maps = _psi(full.inputs, self.rescale, size)
        for part in full.biases:
            if part.ndim == 4:
                maps = maps + _psi(part, self.rescale, size)
        return explanation(self.engine, full, maps, 1)


@dataclass(frozen=True, kw_only=True)
class FullGradients(Prediction):
    """A prediction with the parts that the targets' logits are made of.

    `inputs` (B, 3, H, W): gradient times image. `biases`: for each layer with a bias, in the
    order of the forward pass, gradient times bias at every place, (B, N, h, w) or (B, N).
    """

    inputs: torch.Tensor
    biases: tuple[torch.Tensor, ...]

    def sums(self) -> torch.Tensor:
        """All parts of each image, added up: (B,)."""
        parts = [self.inputs, *self.biases]
        return torch.stack([part.flatten(1).sum(dim=1) for part in parts]).sum(dim=0)


def full_gradients(
    model: nn.Module, forward: Forward, images: torch.Tensor, target: Target
) -> FullGradients:
    """One forward and one backward pass of images (B, 3, H, W) through `model`.

    `forward` runs `model`, which is in evaluation mode.
    """
    with _biased_outputs(model) as outputs, torch.enable_grad():
        inputs = images.detach().clone().requires_grad_()
        # A copy of what gradients end at: a model may work on its input in place.
        logits = forward(inputs.clone())
        targets = resolve_targets(target, logits)
        score = logits.gather(1, targets[:, None]).sum()
        gradients = differentiate(score, [inputs, *(output for output, *_ in outputs)])
    return FullGradients(
        logits.detach(),
        targets,
        inputs=gradients[0] * images,
        biases=tuple(
            _channels_first(gradient * bias, module)
            for gradient, (_, bias, module) in zip(gradients[1:], outputs, strict=True)
        ),
    )


@contextmanager
def _biased_outputs(
    model: nn.Module,
) -> Iterator[list[tuple[torch.Tensor, torch.Tensor, nn.Module]]]:
    """Collect each output that a bias was added to, the bias, and the layer."""
    outputs: list[tuple[torch.Tensor, torch.Tensor, nn.Module]] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        bias = _bias(module, inputs[0], output)
        if bias is None:
            return output
        outputs.append((output, bias.detach(), module))
        # The next module may work in place (ReLU): it gets a copy, and what we keep stays.
        return output.clone()

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if type(module) is nn.Module and module._parameters.get("bias") is not None:
                raise LayerError(
                    f"FullGrad does not see where the model adds the bias of {name!r}, which is no "
                    "layer (torch.export?): give the module that it was made of"
                )
            if isinstance(module, (_ConvNd, _BatchNorm, nn.Linear, *_OWN_STATISTICS)):
                hooks.callback(module.register_forward_hook(keep).remove)
        yield outputs


def _bias(module: nn.Module, given: torch.Tensor, output: torch.Tensor) -> torch.Tensor | None:
    """What a layer adds to its linear part, as it fits its output (B, N, …) or (B, …, N).

    Called while the layer's weights are in place.
    """
    if isinstance(module, _OWN_STATISTICS):
        given = given.detach()
        linear: torch.Tensor
        _, linear = torch.autograd.functional.jvp(module.forward, given, given)  # type: ignore[no-untyped-call]
        return output - linear
    if isinstance(module, GreyConv2d):
        return module.offset(given)
    bias = _plain_bias(module)
    if bias is None or isinstance(module, nn.Linear):
        return bias
    return bias.reshape(-1, *[1] * (output.ndim - 2))


def _plain_bias(module: nn.Module) -> torch.Tensor | None:
    """(N,)."""
    if not isinstance(module, _BatchNorm):
        plain = module.bias
        return plain if isinstance(plain, torch.Tensor) else None
    if module.running_mean is None or module.running_var is None:
        raise LayerError(
            "FullGrad needs the running statistics of batch norms; this model has one without"
        )
    scale = (module.running_var + module.eps).rsqrt()
    if not module.affine:
        return -module.running_mean * scale
    return module.bias - module.running_mean * module.weight * scale


def _channels_first(part: torch.Tensor, module: nn.Module) -> torch.Tensor:
    """(B, h, w, N) -> (B, N, h, w), where a layer is one of channels that come last."""
    last = isinstance(module, nn.Linear) or type(module) is nn.LayerNorm
    return part.movedim(-1, 1) if last and part.ndim == 4 else part


def _psi(parts: torch.Tensor, rescale: Rescale, size: tuple[int, int]) -> torch.Tensor:
    """ψ of every channel, added up: (B, N, h, w) -> (B, H, W). A constant one becomes zeros.

    Channels are added before they are upsampled, which is the same sum.
    """
    magnitudes = parts.abs()
    over = (2, 3) if rescale == "channel" else (1, 2, 3)
    low = magnitudes.amin(dim=over, keepdim=True)
    extent = magnitudes.amax(dim=over, keepdim=True) - low
    rescaled = (magnitudes - low) / torch.where(extent > 0, extent, 1.0)
    return upsample(rescaled.sum(dim=1), size)
