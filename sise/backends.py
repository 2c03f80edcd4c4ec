"""What masked images are scored with: the same network, made for nothing but speed.

The exact pass, which feature maps and gradients come from, runs the user's own model; here a
copy of it is made once and kept: batch norms folded, weights converted and laid out as the
hardware likes them, and if asked for compiled by PyTorch or by OpenVINO.
"""

import copy
import sys
import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn

from sise.batches import is_out_of_memory
from sise.errors import SiseError
from sise.folding import folded
from sise.graphs import first_line
from sise.precision import Forward, convert, forward_in, run_in

Backend = Literal["torch", "openvino"]


@dataclass(frozen=True)
class Network:
    """A forward pass (K, 3, H, W) -> logits (K, classes) for inputs of `dtype`.

    `static`: every other batch size costs a compilation.
    """

    forward: Forward
    dtype: torch.dtype
    static: bool


def scoring_network(
    model: nn.Module, device: torch.device, dtype: torch.dtype, backend: Backend, compiled: bool
) -> Network:
    """A copy of `model` (in evaluation mode) that scores masked images in `dtype` on `device`.

    Raises SiseError for a backend that does not exist, is not installed, or cannot do this.
    """
    if backend not in get_args(Backend):
        raise SiseError(f"backend {backend!r}: one of {', '.join(get_args(Backend))}")
    if backend == "openvino":
        if compiled:
            raise SiseError('compile=True belongs to backend="torch"; OpenVINO always compiles')
        return _openvino_network(model, device, dtype)
    lighter = folded(model, torch.float64 if dtype == torch.float64 else torch.float32)
    if lighter is None:
        forward = forward_in(model, dtype)
    else:
        convert(lighter, dtype)
        forward = run_in(lighter, dtype)
    if not compiled:
        return Network(_with_cure(forward, dtype), dtype, static=False)
    return Network(_compiled(forward if lighter is None else lighter, dtype), dtype, static=True)


def _with_cure(forward: Forward, dtype: torch.dtype) -> Forward:
    """`forward`, whose failure in bfloat16 is told with its cure."""

    def run(inputs: torch.Tensor) -> torch.Tensor:
        try:
            return forward(inputs)
        except (TypeError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise
            raise SiseError(
                f'the model does not run in bfloat16 ({first_line(error)}); give precision="fp32"'
            ) from error

    return run if dtype == torch.bfloat16 else forward


def _compiled(callee: Any, dtype: torch.dtype) -> Forward:
    # Frozen weights are constants to the compiler, which lays them out for the matrix unit.
    optimized = torch.compile(callee, dynamic=False, options={"freezing": True})
    run = run_in(optimized, dtype)

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        try:
            return run(inputs)
        except (torch._dynamo.exc.TorchDynamoException, ImportError, OSError) as error:
            raise SiseError(
                f"the model cannot be compiled here ({first_line(error)}); leave out "
                'compile=True, or use backend="openvino"'
            ) from error

    return forward


def _openvino_network(model: nn.Module, device: torch.device, dtype: torch.dtype) -> Network:
    if device.type != "cpu":
        raise SiseError(f'backend="openvino" computes on the processor, not on {device.type}')
    if dtype == torch.float64:
        raise SiseError('backend="openvino" has no fp64; use precision="fp32" or "bf16"')
    openvino = import_openvino()
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    ours = copy.deepcopy(model).float()
    requests: dict[tuple[int, ...], Any] = {}

    def request_for(size: tuple[int, ...]) -> Any:
        if size not in requests:
            # Converting takes seconds, so any number of images may then come.
            converted = converted_to_openvino(ours, size)
            requests[size] = openvino.Core().compile_model(converted, "CPU", hints)
        return requests[size]

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        try:
            request = request_for(tuple(inputs.shape[1:]))
            outputs = request(inputs.contiguous().numpy(), share_inputs=True)
        except Exception as error:  # its converter raises what it finds
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise
            raise SiseError(
                f'OpenVINO cannot take this model ({first_line(error)}); give backend="torch"'
            ) from error
        return torch.from_numpy(outputs[0].copy())

    return Network(forward, torch.float32, static=True)


def converted_to_openvino(network: nn.Module, size: tuple[int, ...]) -> Any:
    """OpenVINO's model of a network in evaluation mode, for any number of images of `size`.

    Raises what its converter raises.
    """
    openvino = import_openvino()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its converter calls what PyTorch deprecates
        # OpenVINO's own tracing runs the network three times, to compare.
        traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
            network, torch.zeros(2, *size), check_trace=False, strict=False
        )
        return openvino.convert_model(traced, input=[(-1, *size)])


def import_openvino() -> Any:
    """OpenVINO, kept from calling home. Raises SiseError if it is not installed."""
    # Its converter reports each use to its makers unless this module is missing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise SiseError(
            'backend="openvino" needs OpenVINO: pip install "steel-sise[openvino]"'
        ) from error
    return openvino


def fingerprint(model: nn.Module) -> tuple[object, ...]:
    """Changes when a weight or a buffer does, its place, a module, or the hooks of one."""
    modules = [
        (id(module), *module._forward_pre_hooks, *module._forward_hooks)
        for module in model.modules()
    ]
    tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
    places = [
        (tensor.data_ptr(), tensor.dtype, 0 if tensor.is_inference() else tensor._version)
        for tensor in tensors
    ]
    # Changes through `.data`, and of tensors made under inference_mode, count in no version.
    sums = [tensor.sum().abs() if tensor.is_complex() else tensor.sum() for tensor in tensors]
    totals = [total.to(tensors[0].device, torch.float32) for total in sums]
    bits = torch.stack(totals).view(torch.int32).tolist() if totals else []
    return (*modules, *places, *bits)
