"""A model's copy, parts of which have forgotten what they learnt, and methods that explain it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import nn

from sise.cloning import clone_modules
from sise.explanation import Explainer, Explanation
from sise.methods.untrained import untrained
from sise.registry import MethodSpec, make_explainer
from sise.sanity.stages import Stage
from sise.targets import Target


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
