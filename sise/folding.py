"""Batch norms folded into the convolutions before them: the same function, fewer operations."""

import copy
from collections import Counter, OrderedDict

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sise.grey import GreyConv2d

_SAME, _ACTIVE = "Conv2dSame", "BatchNormAct2d"
"""timm's: a convolution that pads by the image's size, and a batch norm with what comes after."""


def folded(model: nn.Module, dtype: torch.dtype) -> nn.Module | None:
    """A copy of `model` in `dtype`, without the batch norms that fold; in evaluation mode.

    A batch norm folds if its input is a convolution's output that nothing else uses, and both
    run once. None for a model that cannot be traced or copied, or that has hooks, which
    tracing would lose.
    """
    if any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()):
        return None
    try:
        traced = fx.GraphModule(copy.deepcopy(model).to(dtype), _Tracer().trace(model))
    except Exception:  # tracing and copying run the model's own code, which may raise anything
        return None
    modules = dict(traced.named_modules())
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    for node in list(traced.graph.nodes):
        pair = _foldable(node, modules, calls)
        if pair is None:
            continue
        convolution, norm = pair
        source = node.args[0]
        fused = (
            convolution.fused(norm)
            if isinstance(convolution, GreyConv2d)
            else fuse_conv_bn_eval(convolution, norm)
        )
        traced.set_submodule(source.target, fused)
        if _is(norm, _ACTIVE):
            rest = OrderedDict(norm.named_children())  # its dropout, its activation
            traced.set_submodule(str(node.target), nn.Sequential(rest))
            continue
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced.eval()


class _Tracer(fx.Tracer):
    """Leaves ours and timm's convolutions and batch norms whole, as it does those of PyTorch."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = isinstance(m, GreyConv2d) or _is(m, _SAME, _ACTIVE)
        return whole or super().is_leaf_module(m, module_qualified_name)


def _is(module: nn.Module, *names: str) -> bool:
    """Whether a module is of one of these classes of timm, which need not be installed."""
    kind = type(module)
    return kind.__module__.startswith("timm.") and kind.__name__ in names


def _foldable(
    node: fx.Node, modules: dict[str, nn.Module], calls: Counter[object]
) -> tuple[nn.Conv2d, nn.BatchNorm2d] | None:
    if node.op != "call_module" or calls[node.target] > 1 or not node.args:
        return None
    norm, source = modules[str(node.target)], node.args[0]
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
        return None
    if not isinstance(source, fx.Node) or source.op != "call_module":
        return None
    convolution = modules[str(source.target)]
    if not isinstance(convolution, nn.Conv2d) or calls[source.target] > 1 or len(source.users) > 1:
        return None
    if type(convolution) not in (nn.Conv2d, GreyConv2d) and not _is(convolution, _SAME):
        return None
    return convolution, norm
