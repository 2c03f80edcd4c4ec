"""Phase 1: the layers to explain, found on the model's graph.

The paper (Block-Wise Feature Explanation) takes the last layer of each convolutional block,
where blocks are what down-sampling layers separate, and rules out what a skip connection
can bypass. On the graph that reads: among the tensors through which *all* of the signal
passes, the last one at each spatial resolution, as long as a convolution made it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import fx, nn

from sise.cloning import clone_modules
from sise.errors import LayerError
from sise.graphs import ModelGraph, UntraceableError, first_line, read_graph

_CURE = "pass layers= with modules that return feature maps (B, N, h, w), shallow to deep"
_NAMED_AT_MOST = 6


@dataclass(frozen=True)
class Layer:
    """A module whose output carries the feature maps to explain."""

    name: str
    module: nn.Module


@dataclass(frozen=True)
class Block:
    """The last layer of a convolutional block: `maps` feature maps of (h, w) `size`.

    `stride` is the image's size over the maps', (vertical, horizontal), in pixels.
    """

    layer: Layer
    maps: int
    size: tuple[int, int]
    stride: tuple[float, float]


def resolve_layers(model: nn.Module, layers: Sequence[str | nn.Module]) -> tuple[Layer, ...]:
    """The layers that a user names, by qualified name or as modules of `model`.

    Raises LayerError for a name or module that the model does not have, and for none at all.
    """
    if not layers:
        raise LayerError("layers is empty; name at least one module, or leave it out")
    modules = dict(model.named_modules())
    names = {module: name for name, module in modules.items()}
    resolved = []
    for layer in layers:
        if isinstance(layer, str):
            if layer not in modules:
                raise LayerError(f"the model has no module named {layer!r}; {_some(modules)}")
            resolved.append(Layer(layer, modules[layer]))
        else:
            if layer not in names:
                raise LayerError(f"{type(layer).__name__} is not a module of this model")
            resolved.append(Layer(names[layer], layer))
    return tuple(resolved)


def find_blocks(model: nn.Module, size: tuple[int, int]) -> tuple[Layer, ...]:
    """The last layer of each convolutional block, from shallow to deep, for images of `size`.

    On torchvision's ResNets: relu, layer1 … layer4; on VGG16: the five ReLUs before its pools.
    Nothing is computed: only shapes are propagated. Raises LayerError for a model that cannot
    be traced, that has no such layer, or that is no CNN.
    """
    return tuple(block.layer for block in measure_blocks(model, size))


def measure_blocks(model: nn.Module, size: tuple[int, int]) -> tuple[Block, ...]:
    """`find_blocks`, with the number and the size of the feature maps of each block."""
    kind = type(model).__name__
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise LayerError(
            f"{kind} is TorchScript, whose modules cannot be hooked; give the model it was made of"
        )
    try:
        graph = read_graph(model, size)
    except UntraceableError as error:
        candidates = _last_modules_of_each_resolution(model, size)
        raise LayerError(
            f"cannot trace {kind} to find its blocks ({error}); {_CURE}{candidates}"
        ) from error
    nodes = _last_of_each_resolution(graph)
    names = {module: name for name, module in model.named_modules()}
    blocks = tuple(_block(graph, node, names, size) for node in nodes)
    if not blocks:
        raise LayerError(_nothing_found(model, graph, size))
    last = blocks[-1]
    before, after = _weight_layers(graph, nodes[-1])
    if after > before:
        raise LayerError(
            f"{kind} is not a CNN: convolutions up to its last feature maps, {last.layer.name} "
            f"({last.maps}×{last.size[0]}×{last.size[1]}): {before}; linear layers on what comes "
            f"after: {after}. SISE explains feature maps; {_CURE}, if it has others"
        )
    smallest = _smallest_convolved_after(graph, nodes[-1])
    if smallest is not None:
        raise LayerError(
            f"the last feature maps that the whole signal of {kind} passes through, and that a "
            f"module returns, are {last.layer.name} ({last.size[0]}×{last.size[1]}), but its "
            f"convolutions go on to {smallest[0]}×{smallest[1]}; {_CURE}"
            f"{_last_modules_of_each_resolution(model, size)}"
        )
    return blocks


def _block(
    graph: ModelGraph, node: fx.Node, names: dict[nn.Module, str], size: tuple[int, int]
) -> Block:
    module = graph.returned_by[node]
    _, maps, height, width = graph.shapes[node]
    stride = (size[0] / height, size[1] / width)
    return Block(Layer(names[module], module), maps, (height, width), stride)


def _last_of_each_resolution(graph: ModelGraph) -> list[fx.Node]:
    features = _last_of_each_resolution_but(graph, _class_maps(graph))
    return features or _last_of_each_resolution_but(graph, frozenset())


def _last_of_each_resolution_but(
    graph: ModelGraph, passed_over: frozenset[fx.Node]
) -> list[fx.Node]:
    hookable = graph.gates() & graph.returned_by.keys() - passed_over
    convolved: list[tuple[int, ...]] = []
    resolutions: list[list[fx.Node]] = []
    known = 0
    before: tuple[int, ...] = ()
    for node in graph.nodes:
        size = graph.shapes.get(node, ())[2:]
        if node in graph.convolutions:
            convolved.append(size)
        if node not in hookable or len(graph.shapes[node]) != 4:
            continue
        if not _alike(size, before):
            resolutions.append([])
            convolved = convolved[known:]
        before, known = size, len(convolved)
        # Pooling alone makes no features: a convolution has to have worked at this resolution.
        made = any(_alike(size, one) for one in convolved)
        handed_on = node in graph.unchanged and resolutions[-1][-1:] == node.all_input_nodes
        if made and prod(size) > 1 and not handed_on:
            resolutions[-1].append(node)
    return [nodes[-1] for nodes in resolutions if nodes]


def _alike(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether sizes are of one block: trimmed perhaps by unpadded convolutions, not halved."""
    return len(one) == len(other) and all(
        2 * max(a, b) < 3 * min(a, b) for a, b in zip(one, other, strict=True)
    )


def _class_maps(graph: ModelGraph) -> frozenset[fx.Node]:
    """Maps of class scores: as many as outputs, from the last weights on (SqueezeNet's last).

    They are the classifier rather than features.
    """
    weights = graph.convolutions | graph.linears
    last = max((index for index, node in enumerate(graph.nodes) if node in weights), default=0)
    shapes = [(node, graph.shapes[node]) for node in graph.nodes[last:] if node in graph.shapes]
    outputs = shapes[-1][1][1:] if shapes else ()
    return frozenset(node for node, shape in shapes if shape[1:2] == outputs)


def _weight_layers(graph: ModelGraph, last: fx.Node) -> tuple[int, int]:
    """How many convolutions lead to `last`, and how many linear layers over locations follow it."""
    position = graph.nodes.index(last)
    before = sum(node in graph.convolutions for node in graph.nodes[: position + 1])
    after = sum(
        node in graph.linears and prod(graph.shapes[node][:-1]) > 1
        for node in graph.nodes[position + 1 :]
    )
    return before, after


def _smallest_convolved_after(graph: ModelGraph, last: fx.Node) -> tuple[int, ...] | None:
    """The size of the smallest maps (h, w) that are of a later block than `last`, if any are."""
    later = graph.nodes[graph.nodes.index(last) + 1 :]
    here = graph.shapes[last][2:]
    convolutions = graph.convolutions - _class_maps(graph)
    sizes = [graph.shapes[node][2:] for node in later if node in convolutions]
    smaller = [size for size in sizes if 1 < prod(size) < prod(here) and not _alike(size, here)]
    return min(smaller, key=prod, default=None)


def _nothing_found(model: nn.Module, graph: ModelGraph, size: tuple[int, int]) -> str:
    kind = type(model).__name__
    convolved = [prod(graph.shapes[node][2:]) for node in graph.convolutions]
    if convolved and max(convolved) == 1:
        return (
            f"images of {size[0]}×{size[1]} are too small for {kind}: all its feature maps have "
            "one location; give larger images"
        )
    candidates = _last_modules_of_each_resolution(model, size)
    return (
        f"{kind} has no convolutional block that its whole signal passes through; "
        f"{_CURE}{candidates}"
    )


def _last_modules_of_each_resolution(model: nn.Module, size: tuple[int, int]) -> str:
    """Modules to name to the user, from a pass over one black image.

    Raises LayerError if the model does not run on an image of this size.
    """
    returned: list[tuple[str, tuple[int, ...]]] = []
    weights = [tensor for tensor in model.parameters() if tensor.is_floating_point()]
    like = weights[0] if weights else torch.empty(0)
    try:
        with torch.inference_mode(False), torch.no_grad():
            runnable, _ = clone_modules(model, torch.clone)
            for name, module in runnable.named_modules():
                module.register_forward_hook(
                    lambda _module, _inputs, output, name=name: returned.append(
                        (name, tuple(getattr(output, "shape", ())))
                    )
                )
            runnable(torch.zeros((1, 3, *size), dtype=like.dtype, device=like.device))
    except Exception as error:  # the model's own code may raise anything
        raise LayerError(
            f"{type(model).__name__} does not run on an image (1, 3, {size[0]}, {size[1]}): "
            f"{first_line(error)}; give images that it takes"
        ) from error
    calls = Counter(name for name, _ in returned)
    last: dict[tuple[int, ...], str] = {}
    for name, shape in returned:
        if name and calls[name] == 1 and len(shape) == 4 and prod(shape[2:]) > 1:
            last.pop(shape[2:], None)
            last[shape[2:]] = name
    names = list(last.values())[-_NAMED_AT_MOST:]
    return f", for instance {names}" if names else " (it has none)"


def _some(modules: Iterable[str]) -> str:
    names = [name for name in modules if name and "." not in name]
    return f"it has {', '.join(names)} and what is inside them"
