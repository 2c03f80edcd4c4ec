"""The steps of a randomisation: a model's weights, grouped, and a copy that draws some anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from sise.cloning import clone_modules
from sise.explanation import Explainer, Explanation
from sise.methods.untrained import untrained
from sise.registry import MethodSpec, make_explainer
from sise.targets import Target

MOST = 20

Path = tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """Modules that get new weights together, as the model names them; `name` is for tables."""

    name: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class _Group:
    """Neighbours in the forward pass: what lies under `first`, ..., `last`, children of one."""

    first: Path
    last: Path
    units: tuple[tuple[str, ...], ...]

    @property
    def parent(self) -> Path:
        return self.first[:-1]


def find_stages(model: nn.Module, images: torch.Tensor, most: int = MOST) -> tuple[Stage, ...]:
    """All modules with weights in at most `most` stages, the logits' first, the input's last.

    A layer goes with the batch norm that follows it. Where layers are too many they are grouped
    by the modules that hold them, such as residual blocks, at the finest level that fits; where
    that is coarse (fewer than half of `most`), neighbours of the next finer level are joined
    instead. The order is that of a forward pass of `images` (1, 3, H, W), backwards.
    """
    units = _units(model, _in_order(model, images))
    groups = _at_depth(units, 0)
    for depth in range(1, 1 + max(len(_path(module)) for unit in units for module in unit)):
        finer = _at_depth(units, depth)
        if len(finer) > most:
            if 2 * len(groups) < most:
                groups = _joined(finer, most)
            break
        if len(finer) > len(groups):
            groups = finer
    shared = _shared([end for group in groups for end in (group.first, group.last)])
    return tuple(
        Stage(_name(group, shared), tuple(module for unit in group.units for module in unit))
        for group in reversed(groups)
    )


def _in_order(model: nn.Module, images: torch.Tensor) -> list[str]:
    """The modules with tensors of their own, as they run.

    One that never runs itself, its weights being used by another, follows the module registered
    before it.
    """
    copy, _ = clone_modules(model, torch.clone)
    ran: dict[nn.Module, int] = {}

    def remember(module: nn.Module, _: object) -> None:
        ran.setdefault(module, len(ran))

    for module in copy.modules():
        module.register_forward_pre_hook(remember)
    with torch.no_grad():
        copy(images.clone())
    places, place = {}, -1
    for name, module in copy.named_modules():
        place = ran.get(module, place)
        if [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
            places[name] = place
    return sorted(places, key=lambda name: places[name])


def _units(model: nn.Module, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Each layer with the norms (modules without a matrix of weights) that follow it."""
    units: list[tuple[str, ...]] = []
    for name in names:
        is_norm = all(weight.ndim < 2 for weight in model.get_submodule(name).parameters(False))
        if is_norm and units and _path(units[-1][0])[:-1] == _path(name)[:-1]:
            units[-1] += (name,)
        else:
            units.append((name,))
    return units


def _at_depth(units: Sequence[tuple[str, ...]], depth: int) -> list[_Group]:
    """The units by the module, `depth` names deep, that holds them; in order of their first."""
    held: dict[Path, list[tuple[str, ...]]] = {}
    for unit in units:
        held.setdefault(_path(unit[0])[:depth], []).append(unit)
    return [_Group(path, path, tuple(members)) for path, members in held.items()]


def _joined(groups: Sequence[_Group], most: int) -> list[_Group]:
    """Neighbours under one parent put together, the smallest two first, until `most` are left."""
    left = list(groups)
    while len(left) > most:
        sizes = {
            index: len(one.units) + len(other.units)
            for index, (one, other) in enumerate(pairwise(left))
            if one.parent == other.parent
        }
        index = min(sizes, key=lambda place: sizes[place])
        one, other = left[index : index + 2]
        left[index : index + 2] = [replace(one, last=other.last, units=one.units + other.units)]
    return left


def _name(group: _Group, shared: int) -> str:
    first = ".".join(group.first[shared:])
    if group.first == group.last:
        return first or "the whole model"
    return f"{first} to {'.'.join(group.last[shared:])}"


def _shared(paths: Sequence[Path]) -> int:
    """How many names all paths begin with, leaving each one at least."""
    shortest = min(len(path) for path in paths)
    depth = 0
    while depth < shortest - 1 and len({path[depth] for path in paths}) == 1:
        depth += 1
    return depth


def _path(name: str) -> Path:
    return tuple(name.split("."))


class RandomizedModel:
    """`model` with the weights of any of its `stages` drawn anew from `seed`.

    They are those that `sise.methods.untrained` draws: of all stages at once, this is the
    untrained net. Statistics of batch norms are reset with their weights. The model itself is
    left alone, and nothing is copied before it is needed. `shared` are options of explainers.
    """

    def __init__(
        self, model: nn.Module, stages: Sequence[Stage], seed: int, shared: Mapping[str, Any]
    ) -> None:
        self.model = model
        self.stages = stages
        self.seed = seed
        self.shared = shared
        self._forgotten: frozenset[int] = frozenset()
        self._explainers: dict[str, Explainer] = {}

    def explain(
        self, spec: MethodSpec, which: frozenset[int], images: torch.Tensor, target: Target
    ) -> Explanation:
        """What the method shows of the copy that has forgotten the stages `which`."""
        copy = self.having_forgotten(which)
        if spec.text not in self._explainers:
            self._explainers[spec.text] = make_explainer(spec, copy, self.shared)
        return self._explainers[spec.text](images, target)

    def having_forgotten(self, which: frozenset[int]) -> nn.Module:
        """The copy, with new weights in the stages `which` and the model's own in all others.

        It is one and the same copy for every call.
        """
        with torch.no_grad():
            for index in which ^ self._forgotten:
                source = self._fresh if index in which else self._trained
                for name in self.stages[index].modules:
                    _copy_tensors(source.get_submodule(name), self._copy.get_submodule(name))
        self._forgotten = which
        return self._copy

    @cached_property
    def _trained(self) -> nn.Module:
        return clone_modules(self.model, lambda tensor: tensor)[0]

    @cached_property
    def _copy(self) -> nn.Module:
        return clone_modules(self.model, torch.clone)[0]

    @cached_property
    def _fresh(self) -> nn.Module:
        return untrained(self.model, self.seed)[0]


def _copy_tensors(source: nn.Module, destination: nn.Module) -> None:
    known = _own_tensors(source)
    for name, tensor in _own_tensors(destination).items():
        tensor.copy_(known[name])


def _own_tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {
        **dict(module.named_parameters(recurse=False)),
        **dict(module.named_buffers(recurse=False)),
    }
