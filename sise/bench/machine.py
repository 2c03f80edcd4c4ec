"""The machine that `sise bench` runs on: its clock, its memory, its speed, its name."""

import ctypes
import gc
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sise.bench.timing import Clock

_STATUS = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")
_MATRICES = {"cpu": (2048, 2), "cuda": (8192, 20)}
"""Side of the matrices, and how many products are timed together."""


def clock_of(device: torch.device) -> Clock:
    """A clock that waits for `device` to finish before it tells the time."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


@dataclass
class PeakMemory:
    """The most memory that watched work took, in bytes; None where it cannot be measured.

    On CUDA what PyTorch had allocated, weights included. On a processor (Linux only) the
    growth of resident memory over `baseline`.
    """

    device: torch.device
    baseline: int | None
    peak: int | None = None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Take what happens inside into account."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            yield
            self._saw(torch.cuda.max_memory_allocated(self.device))
            return
        known = _reset_peak_of_resident_memory() and self.baseline is not None
        yield
        highest = _resident("VmHWM")
        if known and highest is not None and self.baseline is not None:
            self._saw(max(highest - self.baseline, 0))

    def _saw(self, peak: int) -> None:
        self.peak = peak if self.peak is None else max(self.peak, peak)


def baseline_of(device: torch.device) -> int | None:
    """Resident memory in bytes as it is now, for `PeakMemory`; None on CUDA, and off Linux."""
    free_unused_memory()
    return None if device.type == "cuda" else _resident("VmRSS")


def meaning_of_memory(device: torch.device) -> str:
    """What `PeakMemory` measures on `device`, in words."""
    if device.type == "cuda":
        return "the most that PyTorch had allocated on the device, weights included"
    return (
        "growth of resident memory, at its highest, over what it was with the model loaded, "
        "before the network that a setting runs was made"
    )


def matrix_rate(device: torch.device, dtype: torch.dtype, clock: Clock) -> float:
    """FLOP/s of a product of large square matrices, the best of five runs."""
    size, products = _MATRICES[device.type]
    generator = torch.Generator(device).manual_seed(0)
    one, other = (
        torch.randn(size, size, generator=generator, device=device).to(dtype) for _ in range(2)
    )
    torch.mm(one, other)
    times = []
    for _ in range(5):
        start = clock()
        for _ in range(products):
            torch.mm(one, other)
        times.append(clock() - start)
    return products * 2 * size**3 / min(times)


def flops_per_image(model: nn.Module, image: torch.Tensor) -> int:
    """FLOP of one forward pass: two for each multiplication and addition of convolutions and
    matrix products. `image` is (1, 3, H, W)."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(image)
    return int(counter.get_total_flops())


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


def _resident(key: str) -> int | None:
    """VmRSS, resident memory, or VmHWM, its highest since the last reset: bytes."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line for line in lines if line.startswith(f"{key}:")]
    return int(found[0].split()[1]) * 1024 if found else None


def _reset_peak_of_resident_memory() -> bool:
    try:
        _RESET_PEAK.write_text("5")
    except OSError:
        return False
    return True


def free_unused_memory() -> None:
    """Give back to the system what Python and the C library keep of freed memory.

    What follows is slower at first: do it before a row, never between what is compared.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if _STATUS.exists() else None
    if trim is not None:
        trim(0)
