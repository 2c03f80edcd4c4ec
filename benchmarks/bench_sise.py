"""Masks per second of SISE against bare forward images per second, in one run.

    python benchmarks/bench_sise.py --model resnet101 --size 256 --precision bf16

Both use the same model, precision, memory layout and batch size. The two are timed in turn,
several times, and the ratio is taken of each pair, so that a noisy machine weighs on both.
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import torch
import torchvision
from jsonargparse import auto_cli

from sise.blocks import find_blocks
from sise.capture import capture
from sise.explainer import SISE
from sise.masks import constant_maps
from sise.precision import forward_in, resolve
from sise.sampling import MaskedLayer, visualization_maps
from sise.selection import average_gradients, positive_gradient_maps


def main(
    model: str = "resnet101",
    size: int = 256,
    precision: str = "auto",
    batch_size: int = 32,
    batches: int = 6,
    pairs: int = 5,
    device: str = "auto",
    json_output: bool = False,
) -> None:
    """Time `pairs` of (bare forward, SISE's scoring) on `batches` batches each.

    Args:
        model: torchvision classifier, with random weights.
        size: side of the square image, px.
        precision: auto, fp32, bf16 or fp64.
        batch_size: masked images per forward pass.
        batches: batches per measurement; SISE scores as many masks as fill them.
        pairs: measurements of each.
        device: auto, cpu or cuda.
        json_output: print JSON instead of a table.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    network = torchvision.models.get_model(model, weights=None, num_classes=5).eval().to(device)
    image = torch.randn(1, 3, size, size, device=device)
    dtype = resolve(precision, image.device)  # type: ignore[arg-type]
    forward = forward_in(network, dtype)
    masks = batch_size * batches

    layers = _first_masks(network, image, masks)
    targets = torch.zeros(1, dtype=torch.int64, device=device)
    bare = torch.randn(batch_size, 3, size, size, device=device)
    bare = bare.to(dtype).contiguous(memory_format=torch.channels_last)

    def run_bare() -> None:
        with torch.no_grad():
            for _ in range(batches):
                forward(bare)

    def run_sise() -> None:
        with torch.no_grad():
            visualization_maps(forward, image, targets, layers, batch_size)

    run_bare()
    run_sise()
    rates = [(masks / _seconds(run_bare), masks / _seconds(run_sise)) for _ in range(pairs)]
    whole = None
    if device == "cuda":
        explainer = SISE(network, precision=precision, batch_size=batch_size)  # type: ignore[arg-type]
        explainer(image)
        whole = _seconds(lambda: explainer(image))
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "model": model,
        "size": size,
        "precision": str(dtype).removeprefix("torch."),
        "batch_size": batch_size,
        "masks": masks,
        "pairs": pairs,
        "device": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "bare_images_per_s": round(statistics.median(one for one, _ in rates), 2),
        "sise_masks_per_s": round(statistics.median(other for _, other in rates), 2),
        "ratio_median": round(statistics.median(other / one for one, other in rates), 3),
        "ratio_range": [round(edge([b / a for a, b in rates]), 3) for edge in (min, max)],
        "exact_explanation_s": whole and round(whole, 3),
    }
    if json_output:
        print(json.dumps(report))
    else:
        for key, value in report.items():
            print(f"{key:22}{value}")


def _first_masks(network: torch.nn.Module, image: torch.Tensor, count: int) -> list[MaskedLayer]:
    """The first `count` masks that SISE would score, from all layers in equal parts."""
    layers = find_blocks(network, (image.shape[2], image.shape[3]))
    seen = capture(forward_in(network, torch.float32), layers, image, 0, "log-odds")
    masked = []
    left = count
    for index, (features, gradients) in enumerate(zip(seen.features, seen.gradients, strict=True)):
        selected = positive_gradient_maps(average_gradients(gradients), 0.0)
        selected &= ~constant_maps(features)
        share = left // (len(layers) - index)
        kept = selected & (selected.cumsum(1) <= share)
        left -= int(kept.sum())
        masked.append(MaskedLayer(features, kept))
    if left:
        sys.exit(f"the model has only {count - left} masks; lower --batches")
    return masked


def _seconds(work: Callable[[], Any]) -> float:
    _synchronise()
    start = time.perf_counter()
    work()
    _synchronise()
    return time.perf_counter() - start


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _processor() -> str:
    return f"{torch.cpu.get_capabilities().get('cpu_name') or platform.machine()} CPU"


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
