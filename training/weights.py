"""Initial weights of a network: ImageNet's by download, the demo's, or a file."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

import torch
import torchvision
from torch import nn

from sise.architectures import INCEPTIONS, TIMM, Weightless, build_network, load_state
from sise.bundle import file_sha256
from sise.colours import Colour
from sise.graphs import first_line
from sise.grey import make_grey
from sise.progress import note
from training.errors import WeightsError
from training.state_dicts import COUNTER, Fit, MisfitError, check, find_state
from training.state_files import State, read_tensors
from training.state_order import in_order

LISTED = 20
NONE = "none"
IMAGENET = "imagenet"
DEMO = "demo"
DEMO_ARCHITECTURE = "shufflenet_v2_x0_5"


def initialise(network: nn.Module, architecture: str, weights: str) -> None:
    """Give `network` its initial weights: "none" (as built), "imagenet", "demo", or a file.

    "demo" are those that `recipes/demo.yaml` speaks of; another architecture than theirs stays as
    built.

    A file may hold them in containers and wrappers of any depth; "FILE#PART" chooses among several.
    The head is left as built if it has another number of classes there. With torchvision's
    ImageNet weights googlenet and inception_v3 get `transform_input`. A note says what was left
    out. Raises WeightsError, with the cure, if the weights cannot be had or do not fit.
    """
    if weights == NONE:
        return
    source, part = weights, None
    if weights == DEMO:
        if architecture != DEMO_ARCHITECTURE:
            note(f"weights demo: of {DEMO_ARCHITECTURE}; {architecture} starts from none")
            return
        note("weights demo: learned on generated strips of another seed; the head starts anew")
        source = str(files("training") / "recipes" / "demo.safetensors")
    if weights == IMAGENET:
        tensors = imagenet_state(architecture)
    else:
        if "#" in weights and not Path(weights).exists():
            source, _, part = weights.rpartition("#")
        tensors = read_tensors(Path(source))
    fit, dropped = load_backbone(network, architecture, tensors, source, part)
    if architecture in INCEPTIONS and (
        weights == IMAGENET or is_imagenet_file(Path(source), architecture)
    ):
        network.transform_input = True  # type: ignore[assignment]
    if fit.matched:
        note(
            f"weights {source}: matched in order, as its names are others ({fit.matched[0]} is "
            f"{next(iter(fit.known))}, …, {fit.matched[-1]} is {list(fit.known)[-1]}); what has no "
            "weights, as padding, is the network's own"
        )
    if dropped and weights != DEMO:
        note(f"weights {source}: the head has other classes and starts anew ({dropped[0]}, …)")
    unused = [name for name, tensor in fit.others.items() if tensor.numel() > 1]
    if unused:
        note(
            f"weights {source}: {architecture} has no place for {len(unused)} tensors, "
            f"which are left out ({', '.join(unused[:LISTED])}{', …' * (len(unused) > LISTED)})"
        )


def initialise_grey(
    network: nn.Module, architecture: str, weights: str, mean: Colour, std: Colour
) -> None:
    """`initialise` for a network of one channel, by weights for three.

    On grey images, normalised by `mean` and `std`, it then answers as that of three channels would.
    """
    if weights == NONE:
        return
    wide = build_network(architecture, classes_of(network, architecture))
    initialise(wide, architecture, weights)
    make_grey(wide, mean, std)
    load_state(network, wide.state_dict())
    if getattr(wide, "transform_input", False):
        network.transform_input = True  # type: ignore[assignment]


def classes_of(network: nn.Module, architecture: str) -> int:
    """How many classes a network of that architecture tells apart."""
    head = next(name for name in network.state_dict() if name in head_names(architecture))
    return len(network.state_dict()[head])


def imagenet_state(architecture: str) -> State:
    """The library's ImageNet weights for a network, downloaded once.

    torchvision's best, checked by their hash, or timm's of the name (timm:resnet50.a1_in1k, say)
    from the Hugging Face hub. Raises WeightsError if there are none, or no way to them.
    """
    if architecture.startswith(TIMM):
        return _timms_state(architecture)
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


def _timms_state(architecture: str) -> State:
    network = build_network(architecture, 1000)  # says what is wrong with the name
    import timm
    from huggingface_hub import hf_hub_download, logging

    name = architecture.removeprefix(TIMM)
    card = timm.models.get_pretrained_cfg(name)
    repository = card and card.hf_hub_id
    if not repository:
        raise WeightsError(
            f"timm has no ImageNet weights for {name!r}; "
            "train with --model.weights none, or give a file"
        )
    file = "model.safetensors"
    logging.set_verbosity(40)  # errors; else it tells of each attempt
    try:
        path = hf_hub_download(repository, file)
    except Exception as error:  # what its client raises depends on what is in the way
        raise WeightsError(
            f"ImageNet weights cannot be had ({first_line(error)}): download "
            f"https://huggingface.co/{repository}/resolve/main/{file} elsewhere and give it as "
            "--model.weights FILE, or train with --model.weights none"
        ) from error
    # By timm, as some files have the names of whoever trained them.
    network = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": path})
    state: State = network.state_dict()
    return state


def load_backbone(
    network: nn.Module, architecture: str, tensors: State, source: str, part: str | None = None
) -> tuple[Fit, tuple[str, ...]]:
    """Copy what fits of `tensors` into `network`; also returns the head's tensors left as built.

    The head are the tensors whose shape depends on the number of classes. Raises WeightsError,
    leaving the network alone, as `find_state` does, if the tensors cannot be matched in order.
    """
    own = network.state_dict()
    head = head_names(architecture)
    try:
        fit = find_state(tensors, own, head, architecture, source, part)
    except MisfitError:
        matched = in_order(tensors, network, head, architecture, source, part)
        if matched is None:
            raise
        check(matched, own, source)
        fit = matched
    fitting = {name: t for name, t in fit.known.items() if t.shape == own[name].shape}
    load_state(network, {**own, **fitting})
    unmet = [name for name in own if name not in fitting and not name.endswith(COUNTER)]
    return fit, tuple(unmet)


def is_imagenet_file(path: Path, architecture: str) -> bool:
    """Whether a file is torchvision's own; it names its files by the start of their SHA-256."""
    digest = file_sha256(path)
    return any(
        digest.startswith(Path(urlsplit(weights.url).path).stem.rpartition("-")[2])
        for weights in torchvision.models.get_model_weights(architecture)
    )


@cache
def head_names(architecture: str) -> frozenset[str]:
    """Names of the tensors whose shape depends on the number of classes."""
    with Weightless():
        one, two = (build_network(architecture, classes).state_dict() for classes in (7, 8))
    return frozenset(name for name in one if one[name].shape != two[name].shape)
