"""The one state dict among a file's tensors that fits a network, whatever it is wrapped in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from sise.bundle import not_finite
from training.errors import WeightsError

State = dict[str, torch.Tensor]

TRANSPARENT = frozenset(
    ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
)
"""Parts of a name that wrappers add anywhere in it: DataParallel, torch.compile, FSDP."""

COUNTER = "num_batches_tracked"
SHOWN = 3

RENAMED = (
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\."), r"\1\2."),  # DenseNet
    (re.compile(r"mlp\.linear_1\."), "mlp.0."),  # ViT
    (re.compile(r"mlp\.linear_2\."), "mlp.3."),
)
"""Names of old versions of torchvision, and what they are called today."""

RENAMED_IN_VGG = (
    (re.compile(r"^classifier\.1\."), "classifier.0."),
    (re.compile(r"^classifier\.4\."), "classifier.3."),
)
"""VGG had its dropout before the linear layers."""


@dataclass(frozen=True)
class Fit:
    """The tensors below one prefix of a file: `known` by the network's names, and `others`.

    `unmet` are the names of the network, but for its head and its counters of batches, that are
    missing there or of another shape. `matched` are the names in the file, in the order of `known`,
    if they are others and tensors were matched in order; else it is empty.
    """

    prefix: str
    known: State = field(repr=False)
    others: State = field(repr=False)
    unmet: tuple[str, ...]
    matched: tuple[str, ...] = field(default=(), repr=False)


class MisfitError(WeightsError):
    """No state dict of a file has the network's names and shapes."""


def find_state(
    tensors: State,
    own: Mapping[str, torch.Tensor],
    head: frozenset[str],
    architecture: str,
    source: str,
    part: str | None = None,
) -> Fit:
    """The state dict among `tensors` (by dotted path) that fits a network of state `own`.

    Every prefix is tried, so that wrappers and containers of any depth come off; of `part`, if
    given. Raises MisfitError if none fits, and WeightsError, with the cure, if two different ones
    do, if it is of a larger network, or for a tensor that cannot be taken.
    """
    fits = sorted(_fits(tensors, own, head, architecture, part), key=lambda fit: len(fit.unmet))
    whole = [fit for fit in fits if not fit.unmet]
    if not whole:
        raise MisfitError(_misfit(fits, tensors, own, head, architecture, source))
    first = choose(whole, architecture, source)
    inner = _within(first, own, head)
    if inner:
        raise WeightsError(
            f"{source}: does not fit {architecture}: {len(inner)} tensors more lie within its "
            f"layers ({', '.join(inner[:SHOWN])}, …): of a larger or another network; give its "
            "--model.architecture"
        )
    check(first, own, source)
    return first


def choose(fits: Sequence[Fit], architecture: str, source: str) -> Fit:
    """The first of the state dicts that fit; raises WeightsError if another one differs from it."""
    first, *others = fits
    different = [fit for fit in others if not _same(first, fit)]
    if different:
        choices = " and ".join(repr(fit.prefix) for fit in (first, *different))
        raise WeightsError(
            f"{source}: holds {1 + len(different)} state dicts that fit {architecture}, {choices}; "
            f"choose one: --model.weights '{source}#{first.prefix}'"
        )
    return first


def is_below(prefix: str, part: str | None) -> bool:
    """Whether a prefix is the part of a file that was asked for, or inside it; None is all."""
    return part is None or prefix == part or bool(part and prefix.startswith(f"{part}."))


def _fits(
    tensors: State,
    own: Mapping[str, torch.Tensor],
    head: frozenset[str],
    architecture: str,
    part: str | None,
) -> list[Fit]:
    """What each prefix below which the network's names occur would give."""
    known: dict[str, State] = {}
    for path, tensor in tensors.items():
        parts = path.split(".")
        for start in range(len(parts)):
            prefix = ".".join(parts[:start])
            name = _own_name(_plain(parts[start:]), own, architecture)
            if is_below(prefix, part) and name is not None and parts[start] not in TRANSPARENT:
                known.setdefault(prefix, {}).setdefault(name, tensor)
    return [
        Fit(
            prefix,
            state,
            _others(tensors, prefix, own, architecture),
            tuple(
                name
                for name in own
                if not (name in head or name.endswith(COUNTER))
                and (name not in state or state[name].shape != own[name].shape)
            ),
        )
        for prefix, state in known.items()
        if len(state) > 1 or len(own) == 1
    ]


def _others(
    tensors: State, prefix: str, own: Mapping[str, torch.Tensor], architecture: str
) -> State:
    below = f"{prefix}." if prefix else ""
    plain = {
        _plain(path[len(below) :].split(".")): tensor
        for path, tensor in tensors.items()
        if path.startswith(below)
    }
    return {n: tensor for n, tensor in plain.items() if _own_name(n, own, architecture) is None}


def _plain(parts: list[str]) -> str:
    return ".".join(part for part in parts if part not in TRANSPARENT)


def _own_name(name: str, own: Mapping[str, torch.Tensor], architecture: str) -> str | None:
    """What the network calls a tensor; None if it has no such tensor."""
    if name in own:
        return name
    for old, new in RENAMED_IN_VGG if architecture.startswith("vgg") else RENAMED:
        today = old.sub(new, name)
        if today in own:
            return today
    return None


def _same(one: Fit, two: Fit) -> bool:
    return one.known.keys() == two.known.keys() and all(
        torch.equal(tensor, two.known[name]) for name, tensor in one.known.items()
    )


def _within(fit: Fit, own: Mapping[str, torch.Tensor], head: frozenset[str]) -> list[str]:
    """Tensors that the network has not, in parts that it has and that are not its head's."""
    tops = {_top(name) for name in own} - {_top(name) for name in head}
    return [
        name for name, tensor in fit.others.items() if _top(name) in tops and tensor.numel() > 1
    ]


def _top(name: str) -> str:
    return name.partition(".")[0]


def check(fit: Fit, own: Mapping[str, torch.Tensor], source: str) -> None:
    """Raise WeightsError for a tensor of a fit that cannot be taken."""
    taken = {name: t for name, t in fit.known.items() if t.shape == own[name].shape}
    for name, tensor in taken.items():
        if tensor.is_meta or tensor.is_quantized or tensor.layout != torch.strided:
            raise WeightsError(
                f"{source}: {name} is quantised, sparse or empty; save dense weights"
            )
        if tensor.is_floating_point() != own[name].is_floating_point() or tensor.is_complex():
            raise WeightsError(
                f"{source}: {name} is {tensor.dtype}, not {own[name].dtype}; save float weights"
            )
    wide = {name: t.float() if t.is_floating_point() else t for name, t in taken.items()}
    names = not_finite(wide)
    if names:
        raise WeightsError(
            f"{source}: weights that are not finite ({names[0]}, …); give those of an earlier "
            "checkpoint, or others"
        )


def _misfit(
    fits: list[Fit],
    tensors: State,
    own: Mapping[str, torch.Tensor],
    head: frozenset[str],
    architecture: str,
    source: str,
) -> str:
    """What does not fit, with the first names of both sides."""
    if fits:
        best = fits[0]
        theirs = {n: t for n, t in best.known.items() if t.shape != own[n].shape} | best.others
        missing = best.unmet
    else:
        theirs = tensors
        missing = tuple(name for name in own if name not in head)
    return (
        f"{source}: does not fit {architecture}: {len(missing)} of its {len(own)} tensors are "
        f"missing or of another shape; {architecture} wants "
        f"{_some({name: own[name] for name in missing})}; the file has "
        f"{_some(theirs) or 'no others'}"
    )


def _some(tensors: Mapping[str, torch.Tensor]) -> str:
    shown = [
        f"{name} ({'×'.join(map(str, tensor.shape)) or 'a number'})"
        for name, tensor in list(tensors.items())[:SHOWN]
    ]
    return ", ".join(shown + ["…"] * (len(tensors) > SHOWN))
