"""Which floating-point type a model is run in, without changing the model itself."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal, get_args

import torch
from torch import nn

from sise.errors import SiseError

Precision = Literal["auto", "fp64", "fp32", "bf16"]
Forward = Callable[[torch.Tensor], torch.Tensor]

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


def forward_in(model: nn.Module, dtype: torch.dtype) -> Forward:
    """The model's forward pass with weights converted to `dtype`, leaving the model as it is.

    Weights are converted once, here; 4-D weights are laid out channels-last. In bfloat16 only
    convolutions and linear layers are converted (their weights are where the work is); norms
    stay in float32. The returned function takes images in any dtype and returns logits.
    """
    weights = {
        **_converted(dict(model.named_parameters()), model, dtype),
        **_converted(dict(model.named_buffers()), model, dtype),
    }

    def forward(images: torch.Tensor) -> torch.Tensor:
        inputs = images.to(dtype).contiguous(memory_format=torch.channels_last)
        reduced = dtype == torch.bfloat16
        with torch.autocast(inputs.device.type, dtype) if reduced else nullcontext():
            logits: torch.Tensor = torch.func.functional_call(model, weights, (inputs,))
        return logits

    return forward


def _converted(
    tensors: dict[str, torch.Tensor], model: nn.Module, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    matrix_layers = {
        name
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear))
    }
    converted = {}
    for name, tensor in tensors.items():
        # Autograd refuses tensors made under inference_mode, but not their copies.
        detached = tensor.clone() if tensor.is_inference() else tensor.detach()
        if detached.is_floating_point():
            owner = name.rpartition(".")[0]
            reduced = dtype == torch.bfloat16 and owner not in matrix_layers
            detached = detached.to(torch.float32 if reduced else dtype)
        if detached.ndim == 4:
            detached = detached.contiguous(memory_format=torch.channels_last)
        converted[name] = detached
    return converted
