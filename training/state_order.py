"""A state dict of other names, matched to a network tensor by tensor, in order.

Libraries call the same layers by other names, but keep them in the order in which the signal
passes them. Where that order is the only one possible, it tells which tensor is which.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import fx, nn

from sise.graphs import ModelGraph, UntraceableError, read_graph
from training.state_dicts import COUNTER, Fit, State, choose, is_below

SIDE = 256
"""Of the image (px) by which the network's order is found."""


def in_order(
    tensors: State,
    network: nn.Module,
    head: frozenset[str],
    architecture: str,
    source: str,
    part: str | None = None,
) -> Fit | None:
    """The state dict among `tensors` that is the network's in all but names; None if none is.

    Each tensor must agree in shape (the head's but for the classes) and in the last part of its
    name (weight, bias, running_mean, …). The network's layers must follow each other in one line:
    in parallel branches two libraries may well differ. A file that is sorted by name has lost its
    order. Raises WeightsError if two different state dicts fit.
    """
    own = {n: tensor for n, tensor in network.state_dict().items() if not n.endswith(COUNTER)}
    fits = [
        Fit(prefix, dict(zip(own, state.values(), strict=True)), {}, (), tuple(state))
        for prefix, state in _below_each_prefix(tensors, part).items()
        if _agree(state, own, head)
    ]
    if not fits or not in_line(network):
        return None
    return choose(fits, architecture, source)


def _below_each_prefix(tensors: State, part: str | None) -> dict[str, State]:
    """What lies below each prefix of the paths, counters of batches left out."""
    found: dict[str, State] = {}
    for path, tensor in tensors.items():
        parts = path.split(".")
        if parts[-1] == COUNTER:
            continue
        for length in range(len(parts)):
            prefix = ".".join(parts[:length])
            if is_below(prefix, part):
                found.setdefault(prefix, {})[path.removeprefix(f"{prefix}.")] = tensor
    return found


def _agree(state: State, own: Mapping[str, torch.Tensor], head: frozenset[str]) -> bool:
    names = list(state)
    return (
        len(state) == len(own)
        and names != sorted(names)
        and all(
            _last(theirs) == _last(ours)
            and (tensor.shape[1:] if ours in head else tensor.shape)
            == (own[ours].shape[1:] if ours in head else own[ours].shape)
            for (theirs, tensor), ours in zip(state.items(), own, strict=True)
        )
    )


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def in_line(network: nn.Module) -> bool:
    """Whether the signal passes one layer with tensors after the other, in the state's order."""
    try:
        graph = read_graph(network, (SIDE, SIDE))
    except UntraceableError:
        return False
    steps = [(node, layer) for node in graph.nodes if (layer := _layer(node, network))]
    names = [name for name in network.state_dict() if not name.endswith(COUNTER)]
    return (
        _without_repeats([layer for _, layer in steps])
        == _without_repeats([name.rpartition(".")[0] for name in names])
    ) and all(_leads_to(graph, one, other) for (one, _), (other, _) in pairwise(steps))


def _layer(node: fx.Node, network: nn.Module) -> str:
    """The layer whose tensors this node of the graph uses; "" if it uses none."""
    if node.op == "call_module":
        name = str(node.target)
        module = network.get_submodule(name)
        return name if [*module.parameters(), *module.buffers()] else ""
    used = {
        str(one.target).rpartition(".")[0] for one in node.all_input_nodes if one.op == "get_attr"
    }
    return min(used, default="")


def _without_repeats(names: Sequence[str]) -> list[str]:
    return [name for before, name in pairwise(["", *names]) if name != before]


def _leads_to(graph: ModelGraph, one: fx.Node, other: fx.Node) -> bool:
    """Whether the signal flows from one node to the other."""
    reached = {one}
    for node in graph.nodes[graph.nodes.index(one) : graph.nodes.index(other) + 1]:
        if any(source in reached for source in node.all_input_nodes):
            reached.add(node)
    return other in reached
