"""Torchvision's classifiers, as a bundle names them: built, and given their weights."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sise.errors import BundleError

INCEPTIONS = ("googlenet", "inception_v3")
"""Classifiers with auxiliary heads, which only training uses and which are not built here, and
with torchvision's option `transform_input`, which its ImageNet weights need."""

AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


def build_network(architecture: str, classes: int, transform_input: bool = False) -> nn.Module:
    """Build torchvision's classifier of that name, untrained, with `classes` outputs.

    `transform_input` (of INCEPTIONS alone) makes the network take images normalised by
    ImageNet's mean and deviation and turn them into (x - 0.5) / 0.5 itself. Raises BundleError
    if torchvision knows no such classifier.
    """
    import torchvision  # seconds that reading a card need not wait for

    known = torchvision.models.list_models(module=torchvision.models)
    if architecture not in known:
        raise BundleError(
            f"torchvision has no classifier named {architecture!r}; one of: {', '.join(known)}"
        )
    options: dict[str, Any] = {"weights": None, "num_classes": classes}
    if architecture in INCEPTIONS:
        options |= {"aux_logits": False, "init_weights": True, "transform_input": transform_input}
    elif transform_input:
        raise BundleError(f"{architecture} has no transform_input; {' and '.join(INCEPTIONS)} have")
    network: nn.Module = torchvision.models.get_model(architecture, **options)
    return network


class Weightless(TorchFunctionMode):
    """Within it, modules are built with weights that have shapes and no values (device "meta").

    Unlike `torch.device("meta")` it lets a constructor compute with tensors, as RegNet's does.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func in (torch.empty, torch.zeros, torch.ones) and options.get("device") is None:
            options["device"] = "meta"
        return func(*args, **options)


def state_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """All that decides what a classifier answers, by name: its state but for auxiliary heads."""
    return {
        name: tensor
        for name, tensor in network.state_dict().items()
        if not name.startswith(AUXILIARY)
    }


def load_state(network: nn.Module, state: Mapping[str, torch.Tensor], assign: bool = False) -> None:
    """`network.load_state_dict`, strict, of tensors by name as a file gives them back.

    A state dict carries the versions of its modules, which files of tensors do not keep and which
    some networks insist on. With `assign` the network takes the tensors themselves, not copies.
    The names and shapes must be those of `network`: RuntimeError.
    """
    versioned = OrderedDict(state)
    versioned._metadata = network.state_dict()._metadata  # type: ignore[attr-defined]
    network.load_state_dict(versioned, assign=assign)
