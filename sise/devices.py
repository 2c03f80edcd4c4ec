"""The device that an option names, and what the machine calls it."""

import platform

import torch

from sise.errors import SiseError


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the GPU if there is one.

    Raises SiseError for a name that PyTorch does not know, and for a device that is not here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device="cpu" if device.type == "cuda" else device)
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        raise SiseError(f"--device {name}: not on this machine; give auto, cpu or cuda") from error
    if device.type == "meta":
        raise SiseError(f"--device {name}: computes nothing; give auto, cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SiseError(f"--device {name}: PyTorch finds no CUDA device here; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise SiseError(f"--device {name}: there are {count} GPUs here, counted from cuda:0")
    return device


def device_name(device: torch.device) -> str:
    """What the machine says that `device` is."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capabilities = torch.cpu.get_capabilities()
    name = capabilities.get("cpu_name") or platform.machine()
    units = [unit for unit in ("amx_bf16", "avx512_bf16", "avx512_f") if capabilities.get(unit)]
    cores = capabilities.get("num_physical_cores")
    with_units = f", with {units[0]}" if units else ""
    return f"{name} CPU{f', {cores} cores' if cores else ''}{with_units}"
