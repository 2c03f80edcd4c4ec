"""Copies of a model's modules to try things on, so that the model itself is not touched."""

from collections import OrderedDict
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def clone_modules(
    model: nn.Module, weight: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[nn.Module, dict[nn.Module, nn.Module]]:
    """A copy of the modules in evaluation mode, without hooks, with `weight` of each tensor.

    Everything but modules and tensors is shared with `model`. DataParallel and compiled
    modules give way to what they wrap. The second value leads from each copy to its original.
    """
    copies: dict[nn.Module, nn.Module] = {}

    def copy(module: nn.Module) -> nn.Module:
        inner = wrapped(module)
        if inner is not None:
            return copy(inner)
        if module not in copies:
            copies[module] = clone = object.__new__(type(module))
            vars(clone).update({name: translate(value) for name, value in vars(module).items()})
            vars(clone).update({hooks: OrderedDict() for hooks in _HOOKS})
            vars(clone).update(training=False, _compiled_call_impl=None)
        return copies[module]

    def translate(value: Any) -> Any:
        if isinstance(value, nn.Module):
            return copy(value)
        if isinstance(value, nn.Parameter):
            return nn.Parameter(weight(value.detach()), requires_grad=False)
        if isinstance(value, torch.Tensor):
            return weight(value.detach())
        if type(value) in (list, tuple):
            return type(value)(translate(item) for item in value)
        if type(value) in (dict, OrderedDict):
            return type(value)((key, translate(item)) for key, item in value.items())
        if isinstance(value, MethodType) and isinstance(value.__self__, nn.Module):
            return MethodType(value.__func__, copy(value.__self__))
        return value

    return copy(model), {clone: original for original, clone in copies.items()}


def wrapped(module: nn.Module) -> nn.Module | None:
    """What DataParallel or a compiled module wraps; None for any other module."""
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        inner: nn.Module = module.module
        return inner
    compiled = vars(module).get("_modules", {}).get("_orig_mod")
    return compiled if isinstance(compiled, nn.Module) else None


def unwrapped(module: nn.Module) -> nn.Module:
    """The module itself, without DataParallel and torch.compile around it."""
    inner = wrapped(module)
    return module if inner is None else unwrapped(inner)
