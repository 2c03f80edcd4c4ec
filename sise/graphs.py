"""The graph of a model's forward pass: its tensors, their shapes, and who returned them.

torch.fx reads the graph where it can, torch.export where it cannot (control flow that depends
on shapes or types). Both work on a weightless clone, so that nothing is computed and the
model itself is not touched.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torch.utils._pytree import tree_map_only

from sise.cloning import clone_modules

_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_CONVOLUTIONS: tuple[Any, ...] = (
    *(torch.conv2d, torch.conv_transpose2d),
    *(torch.ops.aten.conv2d, torch.ops.aten.conv_transpose2d, torch.ops.aten.convolution),
)
_LINEARS: tuple[Any, ...] = (functional.linear, torch.ops.aten.linear)


class UntraceableError(Exception):
    """Neither torch.fx nor torch.export can read the model's graph; the message says why."""


@dataclass(frozen=True)
class ModelGraph:
    """The tensors on the way from the images to the output, in topological order.

    `shapes` are those of a batch of one image. `returned_by` gives the outermost module whose
    only call returned that very tensor. `convolutions` and `linears` apply weights, and
    `unchanged` hands its input on (dropout, identity).
    """

    nodes: tuple[fx.Node, ...]
    shapes: Mapping[fx.Node, tuple[int, ...]]
    returned_by: Mapping[fx.Node, nn.Module]
    convolutions: frozenset[fx.Node]
    linears: frozenset[fx.Node]
    unchanged: frozenset[fx.Node]

    def gates(self) -> frozenset[fx.Node]:
        """The tensors that every path from the images to the output passes through.

        In topological order these are the nodes that no edge jumps over.
        """
        position = {node: index for index, node in enumerate(self.nodes)}
        gates = set()
        reach = 0
        for index, node in enumerate(self.nodes):
            if reach <= index and node in self.shapes:
                gates.add(node)
            reach = max([reach, *(position[user] for user in node.users if user in position)])
        return frozenset(gates)


def read_graph(model: nn.Module, size: tuple[int, int]) -> ModelGraph:
    """The graph of `model` in evaluation mode on one image (1, 3, *size).

    Wrappers (DataParallel, a compiled model) are looked through. Raises UntraceableError.
    """
    reasons = []
    for name, read in (("torch.fx", _read_by_fx), ("torch.export", _read_by_export)):
        try:
            # Tracing runs the model's own code, which may raise and warn of anything.
            with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
                warnings.simplefilter("ignore")
                return read(model, size)
        except Exception as error:
            reasons.append(f"{name}: {first_line(error)}")
    raise UntraceableError("; ".join(reasons))


def first_line(error: Exception) -> str:
    """What an exception says, cut to one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the pages that PyTorch logs and prints of a failed export from the user."""
    disabled = logging.root.manager.disable
    logging.disable()
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        logging.disable(disabled)


def _empty(tensor: torch.Tensor, device: str) -> torch.Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return torch.empty(tensor.shape, dtype=dtype, device=device)


def _read_by_fx(model: nn.Module, size: tuple[int, int]) -> ModelGraph:
    # On the meta device a pass moves shapes only.
    weightless, originals = clone_modules(model, lambda tensor: _empty(tensor, "meta"))
    tracer = _Tracer()
    traced = fx.GraphModule(weightless, tracer.trace(weightless))
    recorder = _Recorder(traced)
    recorder.run(torch.empty((1, 3, *size), device="meta"))
    inputs = {node for node in traced.graph.nodes if node.op == "placeholder"}
    return _model_graph(
        traced.graph,
        inputs & recorder.values.keys(),
        recorder.values,
        {name: nodes[0] for name, nodes in tracer.outputs.items() if len(nodes) == 1},
        weightless,
        originals,
    )


class _Tracer(fx.Tracer):
    """Records which module returned which node."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, list[fx.Node]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # What happens inside a single operation does not matter, and may not be traceable.
        single = isinstance(m, _WEIGHTED) or not any(p.ndim > 1 for p in m.parameters())
        inseparable = single and next(m.children(), None) is None
        return inseparable or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        output = super().call_module(m, forward, args, kwargs)
        if isinstance(output, fx.Proxy):
            self.outputs.setdefault(self.path_of_module(m), []).append(output.node)
        return output


class _Recorder(fx.Interpreter):
    """Runs a graph node by node and keeps what every node gives, if there are tensors in it."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if _has_tensor(result):
            self.values[n] = result
        return result

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return super().call_module(target, args, kwargs)
        except Exception:
            # A module that looks at values (torchvision's Normalize) gets some, if it needs no
            # weights for that.
            module = self.fetch_attr(target)
            if [*module.parameters(), *module.buffers()]:
                raise
            real = tree_map_only(torch.Tensor, lambda t: torch.zeros(t.shape, dtype=t.dtype), args)
            return tree_map_only(torch.Tensor, lambda t: t.to("meta"), module(*real, **kwargs))


def _read_by_export(model: nn.Module, size: tuple[int, int]) -> ModelGraph:
    # Fake tensors: as weightless as meta ones, but tensors made in the forward pass mix with them.
    from torch._subclasses.fake_tensor import FakeTensorMode

    with _quiet(), FakeTensorMode(allow_non_fake_inputs=True):
        weightless, originals = clone_modules(model, lambda tensor: _empty(tensor, "cpu"))
        images = torch.empty((1, 3, *size))
        exported = torch.export.export(weightless, (images,), strict=False)
    nodes = list(exported.graph.nodes)
    names = set(exported.graph_signature.user_inputs)
    values = {node: node.meta["val"] for node in nodes if _has_tensor(node.meta.get("val"))}
    return _model_graph(
        exported.graph,
        {node for node in nodes if node.name in names},
        values,
        _outputs_of_calls(nodes),
        weightless,
        originals,
    )


def _outputs_of_calls(nodes: Iterable[fx.Node]) -> dict[str, fx.Node]:
    """By module name: the one tensor that leaves the module, where it is called once."""
    calls: dict[str, list[fx.Node]] = {}
    modules: dict[str, set[str]] = {}
    for node in nodes:
        for call, (path, _) in node.meta.get("nn_module_stack", {}).items():
            calls.setdefault(call, []).append(node)
            # A repeated call's path ends in @1, @2 and so on.
            modules.setdefault(path.partition("@")[0], set()).add(call)
    outputs = {}
    for name, (first, *repeated) in modules.items():
        leaving = [
            node
            for node in calls[first]
            if any(first not in user.meta.get("nn_module_stack", {}) for user in node.users)
        ]
        if name and not repeated and len(leaving) == 1:
            outputs[name] = leaving[0]
    return outputs


def _model_graph(
    graph: fx.Graph,
    inputs: set[fx.Node],
    values: Mapping[fx.Node, Any],
    outputs: Mapping[str, fx.Node],
    weightless: nn.Module,
    originals: Mapping[nn.Module, nn.Module],
) -> ModelGraph:
    path = _between(graph, inputs, values)
    shapes = {
        node: tuple(values[node].shape)
        for node in path
        if isinstance(values.get(node), torch.Tensor)
    }
    names: dict[fx.Node, str] = {}
    for name, node in outputs.items():
        names[node] = min(name, names.get(node, name), key=len)
    called = {
        node: weightless.get_submodule(str(node.target))
        for node in path
        if node.op == "call_module"
    }
    returned_by = {node: weightless.get_submodule(name) for node, name in names.items()}

    def applies(node: fx.Node, modules: tuple[type, ...], functions: tuple[Any, ...]) -> bool:
        target = getattr(node.target, "overloadpacket", node.target)
        return isinstance(called.get(node), modules) or any(target is one for one in functions)

    return ModelGraph(
        nodes=tuple(path),
        shapes=shapes,
        returned_by={node: originals[module] for node, module in returned_by.items()},
        convolutions=frozenset(n for n in path if applies(n, _WEIGHTED[:2], _CONVOLUTIONS)),
        linears=frozenset(n for n in path if applies(n, _WEIGHTED[2:], _LINEARS)),
        unchanged=frozenset(
            node
            for node, module in returned_by.items()
            if isinstance(module, (nn.Identity, nn.Dropout, nn.Dropout2d, nn.AlphaDropout))
        ),
    )


def _between(graph: fx.Graph, inputs: set[fx.Node], values: Mapping[fx.Node, Any]) -> list[fx.Node]:
    """The nodes between input and output that hold tensors.

    A shape read from one tensor and used to reshape another is no path of the signal.
    """
    from_input = set(inputs)
    for node in graph.nodes:
        carries = node in values or node.op == "output"
        if carries and any(arg in from_input for arg in node.all_input_nodes):
            from_input.add(node)
    to_output: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        used = node.op == "output" or any(user in to_output for user in node.users)
        if used and node in from_input:
            to_output.add(node)
    return [node for node in graph.nodes if node in to_output]


def _has_tensor(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_has_tensor(item) for item in value)
    return isinstance(value, torch.Tensor)
