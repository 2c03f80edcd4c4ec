"""The model bundle: a classifier on disk, with all that is needed to use and explain it.

A bundle is a folder of two files: `weights.safetensors` (no pickle) and `model.json`, the
card; `MODEL_CARD.md` says the same for people, and may be absent. The card carries the SHA-256
of the weights, and the SHA-256 of the card is the identity of the bundle: whoever knows it knows
the model, its classes and its preprocessing.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.torch
import torch
from pydantic import AfterValidator, ConfigDict, Field
from torch import nn

from sise.architectures import TIMM, Weightless, build_network, load_state, state_of
from sise.checked import checked, read_json
from sise.cloning import unwrapped
from sise.errors import BundleError
from sise.grey import channels_of
from sise.model_card import MARKDOWN_NAME, markdown

FORMAT = "steel-sise bundle 1"
CARD_NAME = "model.json"
WEIGHTS_NAME = "weights.safetensors"


def _line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("must be one line without control characters or spaces around it")
    return text


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice")
    return names


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=25_000)]
Classes = Annotated[Names, AfterValidator(_different)]
Side = Annotated[int, Field(ge=1, le=10_000)]
Mean = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(ge=1e-7, le=10)]
Temperature = Annotated[float, Field(ge=0.001, le=1000)]
Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class ModelCard:
    """What a bundle says of itself; `read_card` and `save` hold it against these types.

    `architecture` is a name of `sise.architectures`. `input_size` is (H, W) in px, `mean` and `std`
    are per channel, of images scaled to [0, 1]. `thresholds` gives, per class name, the
    probability from which a patch is flagged. `temperature` divides the logits before the
    softmax. `dataset` and `metrics` tell what the model was trained on and how well it did.
    `transform_input` is torchvision's option of googlenet and inception_v3, which changes what
    the network computes. `channels` is 1 if it looks at the first channel of an image alone, as all
    are grey.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    architecture: Name
    classes: Classes
    input_size: tuple[Side, Side]
    mean: tuple[Mean, Mean, Mean]
    std: tuple[Deviation, Deviation, Deviation]
    temperature: Temperature = 1.0
    thresholds: Mapping[str, Probability] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    weights_sha256: str = ""
    transform_input: bool = False
    channels: Literal[1, 3] = 3


@dataclass(frozen=True)
class ModelBundle:
    """A classifier in evaluation mode with its card.

    `model` maps normalised images (B, 3, H, W) float32 to logits (B, len(card.classes)),
    already divided by the temperature, so that its softmax is the calibrated probability.
    """

    card: ModelCard
    model: nn.Module
    sha256: str

    def preprocess(self, images: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Images (B, H, W, 3) uint8 RGB to (B, 3, H, W) float32, normalised for the model."""
        scaled = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
        mean = torch.tensor(self.card.mean).view(1, 3, 1, 1)
        std = torch.tensor(self.card.std).view(1, 3, 1, 1)
        return (scaled - mean) / std


class Calibrated(nn.Module):
    """A classifier whose logits are divided by a fixed temperature."""

    # SqueezeNet's end in a ReLU, and may all lie between 0 and 1.
    returns_logits = True

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(images)
        return logits / self.temperature


def save(folder: Path, card: ModelCard, network: nn.Module) -> ModelBundle:
    """Write a bundle to `folder`; an existing bundle there is replaced.

    `network` is the bare classifier (logits before the temperature); its weights are written
    in float32 on the CPU, without auxiliary heads. The card's hash, versions, time and
    `transform_input` and channels are filled in here.

    Raises BundleError, writing nothing, for a weight or a number of the card that is not finite,
    for weights that do not fit the card, and for a card that could not be read again.
    """
    network = unwrapped(network)
    weights = {
        name: (tensor.float() if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in state_of(network).items()
    }
    card = replace(
        card,
        transform_input=bool(getattr(network, "transform_input", False)),
        channels=channels_of(network),
    )
    _check_finite(weights, f"{folder}: no bundle is written")
    for name, value in asdict(card).items():
        try:
            json.dumps(value, allow_nan=False)
        except ValueError as error:
            raise BundleError(
                f"{folder}: no bundle is written: the card's {name} holds NaN or infinity"
            ) from error
    try:
        _checked_card(asdict(card))
    except ValueError as error:
        raise BundleError(f"{folder}: no bundle is written: the card's {error}") from error
    with Weightless():
        shapes = _network(card)
    _fill(shapes, weights, card, f"{folder}: no bundle is written", assign=True)
    folder.mkdir(parents=True, exist_ok=True)
    temporary_weights = folder / f".{WEIGHTS_NAME}.partial"
    safetensors.torch.save_file(weights, temporary_weights)
    filled = {
        **asdict(card),
        "weights_sha256": file_sha256(temporary_weights),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": library_versions(card.architecture),
    }
    for name in ("transform_input", "channels"):  # earlier versions do not know them
        if filled[name] == getattr(ModelCard, name):
            del filled[name]
    text = json.dumps({"format": FORMAT, **filled}, indent=2, allow_nan=False) + "\n"
    temporary_card = folder / f".{CARD_NAME}.partial"
    temporary_card.write_text(text, "utf-8")
    temporary_markdown = folder / f".{MARKDOWN_NAME}.partial"
    temporary_markdown.write_text(markdown(_checked_card(json.loads(json.dumps(filled)))), "utf-8")
    temporary_weights.replace(folder / WEIGHTS_NAME)
    temporary_markdown.replace(folder / MARKDOWN_NAME)
    temporary_card.replace(folder / CARD_NAME)
    return load(folder)


def load(folder: Path, device: str | torch.device = "cpu") -> ModelBundle:
    """Read a bundle, checking its hash and the shape of every weight.

    Raises BundleError, naming the file and the cure, for a folder that is missing or holds
    no bundle, for a card that does not parse, for weights that were changed since they were
    written, that do not fit the architecture, or that are not finite.
    """
    card = read_card(folder)
    network = _network(card)
    _load_weights(network, folder / WEIGHTS_NAME, card)
    _check_finite(network.state_dict(), f"{folder / WEIGHTS_NAME}: no usable weights")
    model = Calibrated(network, card.temperature).eval().to(device)
    return ModelBundle(card, model, file_sha256(folder / CARD_NAME))


def read_card(folder: Path) -> ModelCard:
    """Read and check the card alone, without the weights.

    Raises BundleError, naming the entry at fault.
    """
    path = folder / CARD_NAME
    if folder.is_file():
        raise BundleError(f"{folder}: a file; name the folder that holds {CARD_NAME}")
    if not path.is_file():
        raise BundleError(
            f"{folder}: no model bundle here ({CARD_NAME} is missing); "
            "make one with defect-train fit or defect-train export"
        )
    try:
        content = read_json(path)
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise ValueError(f"format: not {FORMAT!r}")
        return _checked_card(content)
    except ValueError as error:
        raise BundleError(
            f"{path}: not a readable model card: {error}; copy the bundle again, or make it anew "
            "with defect-train export"
        ) from error


def _checked_card(content: Mapping[str, Any]) -> ModelCard:
    card = checked(ModelCard, content)
    unknown = [name for name in card.thresholds if name not in card.classes]
    if unknown:
        raise ValueError(f"thresholds: there is no class {unknown[0]!r}")
    return card


def _network(card: ModelCard) -> nn.Module:
    classes = len(card.classes)
    return build_network(card.architecture, classes, card.transform_input, card.channels)


def _load_weights(network: nn.Module, path: Path, card: ModelCard) -> None:
    if not path.is_file():
        raise BundleError(f"{path}: the weights are missing; copy the whole bundle folder")
    if file_sha256(path) != card.weights_sha256:
        raise BundleError(
            f"{path}: SHA-256 differs from the card's; the file was changed or damaged, "
            "copy the bundle again"
        )
    try:
        weights = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise BundleError(f"{path}: not a safetensors file ({error})") from error
    _fill(network, weights, card, str(path))


def _fill(
    network: nn.Module,
    weights: Mapping[str, torch.Tensor],
    card: ModelCard,
    what: str,
    assign: bool = False,
) -> None:
    try:
        load_state(network, weights, assign)
    except RuntimeError as error:
        first_line = str(error).strip().splitlines()[-1].strip()
        raise BundleError(
            f"{what}: the weights do not fit {card.architecture} with "
            f"{len(card.classes)} classes ({first_line})"
        ) from error


def not_finite(state: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
    """The names of the tensors, weights or buffers, that hold NaN or an infinity."""
    return tuple(
        name
        for name, tensor in state.items()
        if tensor.is_floating_point() and not bool(tensor.isfinite().all())
    )


def _check_finite(state: Mapping[str, torch.Tensor], what: str) -> None:
    names = not_finite(state)
    if names:
        raise BundleError(
            f"{what}: {len(names)} of {len(state)} tensors hold NaN or infinity ({names[0]}, …); "
            "the training diverged, train again with a lower learning rate or in 32-true"
        )


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def library_versions(architecture: str = "") -> dict[str, str]:
    """Versions of what decides a result: Python, the numeric libraries, timm for its networks."""
    from importlib.metadata import version

    names = ["steel-sise", "torch", "torchvision", "numpy"]
    names += ["timm"] * architecture.startswith(TIMM)
    return {"python": platform.python_version()} | {name: version(name) for name in names}
