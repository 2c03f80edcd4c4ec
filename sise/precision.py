"""Which floating-point type a model is run in, without changing the model itself."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import nn

from sise.errors import SiseError

Precision = Literal["auto", "fp64", "fp32", "bf16"]
Forward = Callable[[torch.Tensor], torch.Tensor]
Switch = TypeVar("Switch")

_DTYPES = {"fp64": torch.float64, "fp32": torch.float32, "bf16": torch.bfloat16}


def resolve(precision: Precision, device: torch.device) -> torch.dtype:
    """The dtype that `precision` means on `device`; "auto" is bf16 where the hardware has it.

    Raises SiseError for another word.
    """
    if precision == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    if precision not in _DTYPES:
        raise SiseError(f"precision {precision!r}: one of {', '.join(get_args(Precision))}")
    return _DTYPES[precision]


def has_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware (emulation is slower than fp32)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return False


@contextmanager
def full_precision() -> Iterator[None]:
    """Within, float32 is float32: no autocast, no TF32 nor bfloat16 inside float32 products.

    These switches are the process's; each is given back as it was.
    """
    backends: Any = torch.backends
    operators = (
        *(backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul),
        *(backends.mkldnn.conv, backends.mkldnn.matmul),
    )
    before = [operator.fp32_precision for operator in operators]
    # The older switches too, as long as they can be read: PyTorch wants both to agree.
    convolutions = _read(lambda: backends.cudnn.allow_tf32)
    products = _read(torch.get_float32_matmul_precision)
    try:
        backends.cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")
        for operator in operators:
            operator.fp32_precision = "ieee"
        with ExitStack() as stack:
            for device in ("cpu", "cuda"):
                if torch.is_autocast_enabled(device):
                    stack.enter_context(torch.autocast(device, enabled=False))
            yield
    finally:
        if convolutions is not None:
            backends.cudnn.allow_tf32 = convolutions
        if products is not None:
            torch.set_float32_matmul_precision(products)
        for operator, precision in zip(operators, before, strict=True):
            operator.fp32_precision = precision


def _read(switch: Callable[[], Switch]) -> Switch | None:
    try:
        return switch()
    except RuntimeError:  # set through both the older and the newer switches
        return None


def forward_in(model: nn.Module, dtype: torch.dtype) -> Forward:
    """The model's forward pass with weights converted to `dtype`, leaving the model as it is.

    Weights are converted once, here, as by `convert`. The returned function takes images in any
    dtype and returns logits.
    """
    reduced = _in_float32(model, dtype)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    weights = {
        name: _converted(tensor, torch.float32 if name in reduced else dtype)
        for name, tensor in tensors.items()
    }
    # A module may count in a buffer of its: in a copy, then.
    weights.update({name: weights[name].clone() for name, _ in model.named_buffers()})
    return run_in(lambda inputs: torch.func.functional_call(model, weights, (inputs,)), dtype)


def run_in(network: Callable[[torch.Tensor], torch.Tensor], dtype: torch.dtype) -> Forward:
    """Call `network`, whose weights were converted to `dtype`, with inputs that fit it."""

    def forward(images: torch.Tensor) -> torch.Tensor:
        inputs = images.to(dtype).contiguous(memory_format=torch.channels_last)
        reduced = dtype == torch.bfloat16
        with torch.autocast(inputs.device.type, dtype) if reduced else nullcontext():
            return network(inputs)

    return forward


def convert(network: nn.Module, dtype: torch.dtype) -> None:
    """Convert the weights of `network` to `dtype`, in place; 4-D weights channels-last.

    In bfloat16 only convolutions and linear layers are converted (their weights are where the
    work is); norms stay in float32.
    """
    reduced = _in_float32(network, dtype)
    for name, module in network.named_modules():
        for kind in (module._parameters, module._buffers):
            for key, tensor in kind.items():
                if tensor is None:
                    continue
                full = f"{name}.{key}" if name else key
                new = _converted(tensor, torch.float32 if full in reduced else dtype)
                # A plain replacement: the copy is for scoring only and is never trained.
                kind[key] = nn.Parameter(new, False) if kind is module._parameters else new


def _in_float32(model: nn.Module, dtype: torch.dtype) -> set[str]:
    """The names of the tensors that stay in float32 though the model runs in `dtype`."""
    if dtype != torch.bfloat16:
        return set()
    matrices = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    return {
        f"{name}.{key}" if name else key
        for name, module in model.named_modules()
        if not isinstance(module, matrices)
        for key in (*module._parameters, *module._buffers)
    }


def _converted(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    # Autograd refuses tensors made under inference_mode, but not their copies.
    detached = tensor.clone() if tensor.is_inference() else tensor.detach()
    if detached.is_floating_point():
        detached = detached.to(dtype)
    if detached.ndim == 4:
        detached = detached.contiguous(memory_format=torch.channels_last)
    return detached
