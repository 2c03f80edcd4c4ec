"""Phase 1: the layers to explain, found on the model's graph.

The paper (Block-Wise Feature Explanation) takes the last layer of each convolutional block,
where blocks are what down-sampling layers separate, and rules out what a skip connection
can bypass. On the graph that reads: among the tensors through which *all* of the signal
passes, the last one at each spatial resolution, as long as a convolution made it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from sise.errors import LayerError

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class Layer:
    """A module whose output carries the feature maps to explain."""

    name: str
    module: nn.Module


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
    be traced or that has no such layer.
    """
    tracer = _Tracer()
    try:
        traced = fx.GraphModule(model, tracer.trace(model))
        shapes = _propagate_shapes(traced, size)
    except Exception as error:  # tracing runs the model's own code, which may raise anything
        raise LayerError(
            f"cannot trace {type(model).__name__} to find its blocks ({_first_line(error)}); "
            "pass layers= with the names of the modules to explain"
        ) from error
    blocks = _last_of_each_resolution(traced, shapes, _names(tracer.outputs))
    if not blocks:
        raise LayerError(
            f"{type(model).__name__} has no convolutional block that its whole signal passes "
            "through; pass layers= with the names of the modules to explain"
        )
    modules = dict(model.named_modules())
    return tuple(Layer(name, modules[name]) for name in blocks)


class _Tracer(fx.Tracer):
    """Records which module returned which node, so that nodes can be hooked by module."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, list[fx.Node]] = {}

    def call_module(
        self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        output = super().call_module(m, forward, args, kwargs)
        if isinstance(output, fx.Proxy):
            self.outputs.setdefault(self.path_of_module(m), []).append(output.node)
        return output


class _ShapeRecorder(nn.Module):
    """Runs a graph node by node and keeps the shape of every tensor."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__()
        self.traced = traced
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def forward(self, images: torch.Tensor) -> None:
        shapes = self.shapes

        class Recorder(fx.Interpreter):
            def run_node(self, n: fx.Node) -> Any:
                result = super().run_node(n)
                if isinstance(result, torch.Tensor):
                    shapes[n] = tuple(result.shape)
                return result

        Recorder(self.traced).run(images)


def _propagate_shapes(
    traced: fx.GraphModule, size: tuple[int, int]
) -> dict[fx.Node, tuple[int, ...]]:
    recorder = _ShapeRecorder(traced)
    # On the meta device a pass moves shapes only, whatever the model's own device and dtype.
    state = {**dict(recorder.named_parameters()), **dict(recorder.named_buffers())}
    weightless = {
        name: torch.empty(
            tensor.shape,
            dtype=torch.float32 if tensor.is_floating_point() else tensor.dtype,
            device="meta",
        )
        for name, tensor in state.items()
    }
    with torch.no_grad():
        images = torch.empty((1, 3, *size), device="meta")
        torch.func.functional_call(recorder, weightless, (images,))
    return recorder.shapes


def _names(outputs: dict[str, list[fx.Node]]) -> dict[fx.Node, str]:
    names: dict[fx.Node, str] = {}
    for name, nodes in outputs.items():
        # A module called more than once (the shared ReLU of a residual block) has no one output.
        if len(nodes) == 1:
            names[nodes[0]] = min(name, names.get(nodes[0], name), key=len)
    return names


def _last_of_each_resolution(
    traced: fx.GraphModule, shapes: dict[fx.Node, tuple[int, ...]], names: dict[fx.Node, str]
) -> list[str]:
    modules = dict(traced.named_modules())
    articulation = _articulation_nodes(traced.graph)
    blocks: list[str] = []
    last: str | None = None
    resolution: tuple[int, ...] | None = None
    convolved = False
    for node in traced.graph.nodes:
        convolved = convolved or _is_convolution(node, modules)
        if node not in articulation or node not in names:
            continue
        shape = shapes.get(node, ())
        size = shape[2:] if len(shape) == 4 else None
        if size != resolution and last is not None:
            blocks.append(last)
            last = None
        # Pooling alone makes no features: a resolution counts once a convolution has run in it.
        if size is not None and size != (1, 1) and (convolved or last is not None):
            last = names[node]
        resolution, convolved = size, False
    return blocks if last is None else [*blocks, last]


def _articulation_nodes(graph: fx.Graph) -> set[fx.Node]:
    """The nodes that every path from the input to the output passes through.

    In topological order these are the nodes that no edge jumps over.
    """
    on_path = _between_input_and_output(graph)
    order = [node for node in graph.nodes if node in on_path]
    position = {node: index for index, node in enumerate(order)}
    articulation = set()
    reach = 0
    for index, node in enumerate(order):
        if reach <= index:
            articulation.add(node)
        reach = max([reach, *(position[user] for user in node.users if user in position)])
    return articulation


def _between_input_and_output(graph: fx.Graph) -> set[fx.Node]:
    from_input: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or any(arg in from_input for arg in node.all_input_nodes):
            from_input.add(node)
    to_output: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op == "output" or any(user in to_output for user in node.users):
            to_output.add(node)
    return from_input & to_output


def _is_convolution(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], _CONVOLUTIONS)
    return node.op == "call_function" and node.target is torch.nn.functional.conv2d


def _some(modules: dict[str, nn.Module]) -> str:
    names = [name for name in modules if name and "." not in name]
    return f"it has {', '.join(names)} and what is inside them"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
