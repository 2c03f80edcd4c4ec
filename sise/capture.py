"""One forward and one backward pass: feature maps and gradients of every layer at once."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from sise.blocks import Layer
from sise.cloning import wrapped
from sise.errors import LayerError
from sise.logits import at, log_odds
from sise.precision import Forward, full_precision
from sise.targets import Target, resolve_targets

Objective = Literal["log-odds", "logit"]

_COMPILED = "_compiled_call_impl"
# Hooks, modes and the process's precision switches are shared: one explanation at a time.
_lock = threading.RLock()


@dataclass(frozen=True)
class Prediction:
    """What the model says of B whole images: `logits` (B, classes), and `targets` (B,) to explain.

    `features` are the maps (B, N, h, w) of the layers asked for.
    """

    logits: torch.Tensor
    targets: torch.Tensor
    features: tuple[torch.Tensor, ...] = ()


@dataclass(frozen=True)
class Capture(Prediction):
    """A prediction with the `gradients` (B, N, h, w), per layer, of the objective asked for."""

    gradients: tuple[torch.Tensor, ...] = ()


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Lend the model in evaluation mode, with autograd available; give it back as it was.

    Works under `no_grad`, `inference_mode` and `autocast`. Restores each module's mode, and
    the tensors it has beside parameters and buffers, on errors too. Threads take turns.
    """
    with _lock:
        before = [(module, module.training, _kept(module)) for module in model.modules()]
        try:
            with suppress(NotImplementedError):  # what torch.export made has one mode
                model.eval()
            # Hooks would make what is compiled compile again; it runs as it was written.
            for module, _, kept in before:
                inner = wrapped(module)
                if _COMPILED in kept:
                    vars(module)[_COMPILED] = None
                if inner is not None and "forward" in kept:
                    vars(module)["forward"] = inner
            with torch.inference_mode(False), full_precision():
                yield
        finally:
            for module, training, kept in before:
                module.training = training
                vars(module).update(kept)


def _kept(module: nn.Module) -> dict[str, Any]:
    """What a forward pass may leave in a module, as `torch.nn.utils.weight_norm` does."""
    return {
        name: value
        for name, value in vars(module).items()
        if name in (_COMPILED, "forward") or isinstance(value, torch.Tensor)
    }


def capture(
    forward: Forward,
    layers: Sequence[Layer],
    images: torch.Tensor,
    target: Target,
    objective: Objective,
) -> Capture:
    """Run `images` (B, 3, H, W) forward once and back once.

    `objective` is "log-odds" or "logit" of the target class (see `log_odds`). Raises LayerError
    for a layer whose output is not feature maps, or that the target's score does not depend on.
    """
    with _recording(layers) as features, torch.enable_grad():
        # A copy of what gradients end at: a model may work on its input in place.
        inputs = images.detach().clone().requires_grad_().clone()
        logits = forward(inputs)
        targets = resolve_targets(target, logits)
        score = log_odds(logits, targets) if objective == "log-odds" else at(logits, targets)
        kept = _in_order(layers, features)
        _check_autograd(layers, kept, score)
        gradients = torch.autograd.grad(score.sum(), kept, allow_unused=True)
    for layer, gradient in zip(layers, gradients, strict=True):
        if gradient is None:
            raise LayerError(f"the score of the class does not depend on layer {layer.name!r}")
    return Capture(
        logits.detach(),
        targets,
        tuple(_wide(feature) for feature in kept),
        tuple(_wide(gradient) for gradient in gradients),
    )


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    """Without its history, float32 at least: a part of the model may run in half precision."""
    tensor = tensor.detach()
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def feature_maps(
    forward: Forward, layers: Sequence[Layer], images: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """The feature maps (B, N, h, w) of each layer, from one forward pass. Raises as `capture`."""
    with _recording(layers) as features, torch.no_grad():
        forward(images.clone())
    return tuple(_wide(maps) for maps in _in_order(layers, features))


@contextmanager
def _recording(layers: Sequence[Layer]) -> Iterator[dict[str, torch.Tensor]]:
    """Collect what each layer returns, by its name, while the model runs."""
    features: dict[str, torch.Tensor] = {}

    def keep(layer: Layer, output: object) -> torch.Tensor:
        if not isinstance(output, torch.Tensor) or output.ndim != 4:
            raise LayerError(f"layer {layer.name!r} does not return feature maps (B, N, h, w)")
        if layer.name in features:
            raise LayerError(
                f"layer {layer.name!r} runs more than once per pass; name a module that runs once"
            )
        features[layer.name] = output
        # The next module may work in place (ReLU): it gets a copy, and what we keep stays.
        return output.clone()

    with ExitStack() as hooks:
        for layer in layers:
            handle = layer.module.register_forward_hook(
                lambda _module, _inputs, output, layer=layer: keep(layer, output)
            )
            hooks.callback(handle.remove)
        yield features


def _in_order(layers: Sequence[Layer], features: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    missing = [layer.name for layer in layers if layer.name not in features]
    if missing:
        raise LayerError(f"the forward pass never reached layer {', '.join(missing)}")
    return [features[layer.name] for layer in layers]


def _check_autograd(
    layers: Sequence[Layer], features: Sequence[torch.Tensor], score: torch.Tensor
) -> None:
    without = [
        repr(layer.name)
        for layer, maps in zip(layers, features, strict=True)
        if not maps.requires_grad
    ]
    if without or not score.requires_grad:
        where = f"where layer {', '.join(without)} runs" if without else "after the last layer"
        raise LayerError(
            f"the model itself turns autograd off {where} (no_grad, inference_mode or detach in "
            "its forward pass); SISE needs the gradient of the score"
        )
