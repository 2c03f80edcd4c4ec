"""Initial weights of a network: torchvision's ImageNet weights, or a file."""

from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import safetensors
import safetensors.torch
import torch
import torchvision
from torch import nn

from severstal_prep.console import note
from sise.bundle import build_network
from training.errors import WeightsError

NONE = "none"
IMAGENET = "imagenet"
WRAPPERS = ("module.", "network.", "model.")

State = dict[str, torch.Tensor]


def initialise(network: nn.Module, architecture: str, weights: str) -> None:
    """Give `network` its initial weights: "none" (as built), "imagenet", or a file.

    The head is left as built if it has another number of classes there; a note says so.
    Raises WeightsError, with the cure, if the weights cannot be had or do not fit.
    """
    if weights == NONE:
        return
    state = imagenet_state(architecture) if weights == IMAGENET else file_state(Path(weights))
    dropped = load_backbone(network, architecture, state, weights)
    if dropped:
        note(f"weights {weights}: the head has other classes and starts anew ({dropped[0]}, …)")


def imagenet_state(architecture: str) -> State:
    """torchvision's best ImageNet weights, downloaded once and checked by their hash."""
    try:
        weights = torchvision.models.get_model_weights(architecture).DEFAULT
    except (ValueError, AttributeError) as error:
        raise WeightsError(
            f"torchvision has no ImageNet weights for {architecture!r}; "
            "train with --model.weights none, or give a file"
        ) from error
    target = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(weights.url).path).name
    try:
        state: State = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(
            f"ImageNet weights cannot be had ({reason}): download {weights.url} elsewhere and "
            f"put it at {target}, or train with --model.weights none"
        ) from error
    return state


def file_state(path: Path) -> State:
    """The tensors by name in a .safetensors or a PyTorch file, which must need no pickle."""
    if not path.is_file():
        raise WeightsError(
            f"{path}: there is no such file; model.weights is none, imagenet or a file"
        )
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # What a damaged file raises depends on where the damage is; UnpicklingError, KeyError,
        # EOFError, RuntimeError and SafetensorError among others.
        raise WeightsError(
            f"{path}: not a weights file that is safe to load "
            f"({type(error).__name__}); save a plain state dict, best as .safetensors"
        ) from error
    return _unwrapped(content, path)


def _unwrapped(content: Any, path: Path) -> State:
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise WeightsError(f"{path}: holds no state dict (tensors by name)")
    for wrapper in WRAPPERS:
        if content and all(name.startswith(wrapper) for name in content):
            return {name.removeprefix(wrapper): tensor for name, tensor in content.items()}
    return content


def load_backbone(
    network: nn.Module, architecture: str, state: State, source: str
) -> tuple[str, ...]:
    """Copy `state` into `network`; returns the names of the head's tensors that did not fit.

    The head are the tensors whose shape depends on the number of classes. Raises
    WeightsError if any other tensor is missing or has another shape.
    """
    own = network.state_dict()
    head = head_names(architecture)
    fitting = {
        name: tensor
        for name, tensor in state.items()
        if name in own and tensor.shape == own[name].shape
    }
    unmet = [name for name in own if name not in fitting]
    wrong = [name for name in unmet if name not in head]
    if wrong:
        raise WeightsError(
            f"{source}: does not fit {architecture}: {len(wrong)} of its {len(own)} tensors are "
            f"missing or of another shape ({wrong[0]}, …)"
        )
    network.load_state_dict(fitting, strict=False)
    return tuple(unmet)


def head_names(architecture: str) -> frozenset[str]:
    """Names of the tensors whose shape depends on the number of classes."""
    with torch.device("meta"):
        one, two = (build_network(architecture, classes).state_dict() for classes in (7, 8))
    return frozenset(name for name in one if one[name].shape != two[name].shape)
