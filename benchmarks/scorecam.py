"""Score-CAM as torchcam and grad-cam have it, run as their documentation does: what it costs.

Of the last block, for one random image, in float32; the table of `sise bench --methods scorecam`.

    pip install torchcam grad-cam
    python benchmarks/scorecam.py --architecture resnet18 --size 256
"""

import argparse
import io
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial

import torch
from torch import nn

from sise.bench.measure import BARE, bare_of, row_of, setting_of
from sise.bench.report import facts_of, show, subject_of
from sise.blocks import Layer, find_blocks
from sise.registry import parse_spec

Explain = Callable[[nn.Module, Layer, torch.Tensor, int], None]
SHARED = {"precision": "fp32", "batch_size": "auto", "output": "softmax"}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    size, device = (options.size, options.size), torch.device("cpu")
    subject = subject_of(None, options.architecture, size, None, 1, device)
    layer = find_blocks(subject.model, size)[-1]
    bare = bare_of(subject, setting_of(parse_spec("gradcam"), SHARED, device))
    rows = [row_of(subject, bare, BARE, bare.work, options.repeats)]
    for title, explain in (("torchcam", with_torchcam), ("grad-cam", with_grad_cam)):
        work = partial(passes, explain, subject.model, layer, subject.images, bare.batch_size)
        rows.append(row_of(subject, bare, f"Score-CAM ({title})", work, options.repeats))
    show(facts_of(subject), rows)


def passes(
    explain: Explain, model: nn.Module, layer: Layer, image: torch.Tensor, batch: int
) -> int:
    """Explain `image` (1, 3, H, W); how many images went through `model`."""
    sizes: list[int] = []
    handle = model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    try:
        explain(model, layer, image, batch)
    finally:
        handle.remove()
    return sum(sizes)


def with_torchcam(model: nn.Module, layer: Layer, image: torch.Tensor, batch: int) -> None:
    from torchcam.methods import ScoreCAM

    with ScoreCAM(model, target_layer=layer.name, batch_size=batch) as extractor:
        with torch.no_grad():
            logits = model(image)
        extractor(int(logits.argmax()), logits)


def with_grad_cam(model: nn.Module, layer: Layer, image: torch.Tensor, batch: int) -> None:
    from pytorch_grad_cam import ScoreCAM

    # Not as a context manager, which swallows an IndexError; its progress bar is not ours.
    cam = ScoreCAM(model, [layer.module])
    cam.batch_size = batch
    try:
        with redirect_stderr(io.StringIO()):
            cam(image, targets=None)
    finally:
        cam.activations_and_grads.release()


if __name__ == "__main__":
    main()
