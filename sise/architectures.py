"""The classifiers that a bundle can name, torchvision's and timm's: built, and given weights."""

import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sise.colours import IMAGENET_MEAN, IMAGENET_STD, Colour
from sise.errors import BundleError
from sise.grey import make_grey

INCEPTIONS = ("googlenet", "inception_v3")
"""Classifiers with auxiliary heads, which only training uses and which are not built here, and
with torchvision's option `transform_input`, which its ImageNet weights need."""

AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")

TIMM = "timm:"
"""What the names of timm's classifiers begin with; torchvision's stand alone."""

NOT_EXPLAINED = {
    "torchvision": ("maxvit_t", "swin_*", "vit_*"),
    "timm": (
        *("beit", "cait", "coat", "convit", "crossvit", "deepseek_vit", "deit"),
        *("efficientformer", "efficientformer_v2", "efficientvim", "eva", "gcvit"),
        *("gemma4_vit", "hiera", "hieradet_sam2", "levit", "mlp_mixer", "mvitv2"),
        *("naflexvit", "nest", "pit", "qwen3_vit", "sequencer", "swin_transformer"),
        *("swin_transformer_v2", "swin_transformer_v2_cr", "tnt", "visformer"),
        *("vision_transformer", "vision_transformer_hybrid", "vision_transformer_relpos"),
        *("vitamin", "volo", "xcit"),
    ),
}
"""Names at torchvision, and families (modules) of timm, whose blocks SISE does not find, or which
take one size of image only: transformers and their like."""


@dataclass(frozen=True)
class Architecture:
    """A classifier by its `name`, as `build_network` takes it.

    `pretrained`: weights for it can be had by download.
    """

    name: str
    pretrained: bool

    @property
    def source(self) -> str:
        """The library that has it."""
        return "timm" if self.name.startswith(TIMM) else "torchvision"


def architectures(pattern: str = "*") -> tuple[Architecture, ...]:
    """Every classifier that SISE can explain, whose name fits a pattern such as `*lite*`.

    torchvision's come first, then timm's if it is installed, each in the order of the alphabet.
    """
    import torchvision

    listed = [
        Architecture(name, True)
        for name in torchvision.models.list_models(module=torchvision.models)
        if not any(fnmatchcase(name, left_out) for left_out in NOT_EXPLAINED["torchvision"])
    ]
    try:
        timm = _timm()
    except BundleError:
        pass
    else:
        left_out = {
            one for family in NOT_EXPLAINED["timm"] for one in timm.list_models(module=family)
        }
        listed += [
            Architecture(TIMM + name, timm.models.is_model_pretrained(name))
            for name in timm.list_models()
            if name not in left_out
        ]
    return tuple(one for one in listed if fnmatchcase(one.name, pattern))


def build_network(
    architecture: str, classes: int, transform_input: bool = False, channels: int = 3
) -> nn.Module:
    """Build the classifier of that name, untrained, with `classes` outputs.

    It takes images (B, 3, H, W), of which it looks at the first of its `channels`, 3 or 1.

    `transform_input` (of INCEPTIONS alone) makes the network take images normalised by
    ImageNet's mean and deviation and turn them into (x - 0.5) / 0.5 itself. Raises BundleError
    if there is no such classifier, if it is of timm and timm is not installed, or if it cannot
    look at one channel.
    """
    network = _of_three_channels(architecture, classes, transform_input)
    if channels == 1:
        make_grey(network, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return network


def _of_three_channels(architecture: str, classes: int, transform_input: bool) -> nn.Module:
    if transform_input and architecture not in INCEPTIONS:
        raise BundleError(f"{architecture} has no transform_input; {' and '.join(INCEPTIONS)} have")
    if architecture.startswith(TIMM):
        return _of_timm(architecture.removeprefix(TIMM), classes)
    import torchvision  # seconds that reading a card need not wait for

    known = torchvision.models.list_models(module=torchvision.models)
    if architecture not in known:
        raise BundleError(
            f"torchvision has no classifier named {architecture!r}{_nearest(architecture, known)}; "
            f"those of timm are called {TIMM}NAME"
        )
    options: dict[str, Any] = {"weights": None, "num_classes": classes}
    if architecture in INCEPTIONS:
        options |= {"aux_logits": False, "init_weights": True, "transform_input": transform_input}
    network: nn.Module = torchvision.models.get_model(architecture, **options)
    return network


def imagenet_colours(architecture: str) -> tuple[Colour, Colour]:
    """Mean and deviation per channel, of images in [0, 1], that its ImageNet weights expect.

    Raises BundleError as `build_network` does.
    """
    if not architecture.startswith(TIMM):
        return IMAGENET_MEAN, IMAGENET_STD
    card = _timms_card(architecture.removeprefix(TIMM))
    return card.mean, card.std


def _of_timm(name: str, classes: int) -> nn.Module:
    _timms_card(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        network: nn.Module = _timm().create_model(name, pretrained=False, num_classes=classes)
    return network


def _timms_card(name: str) -> Any:
    """What timm says of a network's weights. Raises BundleError for a name that it has not."""
    timm = _timm()
    plain = name.partition(".")[0]
    # Asked first: timm takes addresses on the network and folders for names, too.
    if not timm.is_model(plain):
        nearest = _nearest(plain, timm.list_models(), TIMM)
        raise BundleError(f"timm has no classifier named {name!r}{nearest}")
    try:
        return timm.models.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        tagged = ", ".join(timm.list_models(f"{plain}.*", include_tags=True))
        raise BundleError(f"timm has no weights named {name!r}; it has {tagged}") from error


def _timm() -> ModuleType:
    """timm, which is imported only where one of its networks is asked for."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import timm
    except ImportError as error:
        raise BundleError(
            f'networks of timm ({TIMM}…) need timm: pip install "steel-sise[timm]"'
        ) from error
    return timm


def _nearest(name: str, known: Iterable[str], before: str = "") -> str:
    """The end of a message about an unknown name: the closest known ones, or ""."""
    close = [before + one for one in get_close_matches(name, list(known), 3, 0.6)]
    return f"; did you mean {', '.join(close)}?" if close else ""


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
