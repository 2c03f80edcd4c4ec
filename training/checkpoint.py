"""Reading a training checkpoint back as a bare network, without pickle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sise.architectures import build_network, load_state
from sise.bundle import not_finite
from training.blueprint import Blueprint
from training.errors import CheckpointError

NETWORK = "network."


@dataclass(frozen=True)
class Checkpoint:
    """A trained network in evaluation mode, its blueprint, and when it was saved.

    `epoch` counts finished epochs.
    """

    blueprint: Blueprint
    network: nn.Module
    epoch: int


def read_checkpoint(path: Path) -> Checkpoint:
    """Rebuild the classifier that a checkpoint of `defect-train fit` holds.

    With weight averaging it is the averaged one. Raises CheckpointError for a file that is
    missing, damaged, no checkpoint of this tool, or not finite.
    """
    content = read_plain(path)
    try:
        blueprint = Blueprint.read_from(content)
        state = {
            name.removeprefix(NETWORK): tensor
            for name, tensor in content["state_dict"].items()
            if name.startswith(NETWORK)
        }
        finished = int(content["epoch"]) + 1
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: not a checkpoint of defect-train fit ({error} is missing)"
        ) from error
    except ValueError as error:
        raise CheckpointError(
            f"{path}: {error}; the file was changed, take another checkpoint"
        ) from error
    names = not_finite(state)
    if names:
        raise CheckpointError(
            f"{path}: weights that are not finite ({names[0]}, …): the training diverged; take an "
            "earlier checkpoint, or train again with a lower learning rate"
        )
    network = build_network(
        blueprint.architecture,
        len(blueprint.classes),
        blueprint.transform_input,
        blueprint.channels,
    )
    try:
        load_state(network, state)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: the weights do not fit {blueprint.architecture}; was the file changed?"
        ) from error
    return Checkpoint(blueprint, network.eval(), finished)


def read_plain(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file, loaded without running any code of it."""
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged file raises UnpicklingError, EOFError, RuntimeError, KeyError, …
        raise CheckpointError(
            f"{path}: damaged, or no checkpoint of defect-train fit ({type(error).__name__})"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a checkpoint of defect-train fit")
    return content
