"""Score-CAM as other libraries have it, run as their own documentation does."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import nn

from sise.blocks import Layer

Explain = Callable[[Any, nn.Module, Layer, torch.Tensor, int], None]


@dataclass(frozen=True)
class Rival:
    """A method of another library: `explain` takes its module, the model, the layer, an image
    (1, 3, H, W) and how many masked images make a batch."""

    title: str
    module: str
    install: str
    explain: Explain

    def load(self) -> Any | None:
        """The library's module, or None if it is not installed."""
        try:
            return import_module(self.module)
        except ImportError:
            return None


@contextmanager
def counting_passes(model: nn.Module) -> Iterator[list[int]]:
    """Collect the size of every batch that goes through `model`."""
    sizes: list[int] = []

    def count(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))

    handle = model.register_forward_pre_hook(count)
    try:
        yield sizes
    finally:
        handle.remove()


def _torchcam(
    methods: Any, model: nn.Module, layer: Layer, image: torch.Tensor, batch: int
) -> None:
    with methods.ScoreCAM(model, target_layer=layer.name, batch_size=batch) as extractor:
        with torch.no_grad():
            logits = model(image)
        extractor(int(logits.argmax()), logits)


def _grad_cam(
    library: Any, model: nn.Module, layer: Layer, image: torch.Tensor, batch: int
) -> None:
    # Not as a context manager, which swallows an IndexError; its progress bar is not ours.
    cam = library.ScoreCAM(model, [layer.module])
    cam.batch_size = batch
    try:
        with redirect_stderr(io.StringIO()):
            cam(image, targets=None)
    finally:
        cam.activations_and_grads.release()


RIVALS = {
    "scorecam-torchcam": Rival(
        "Score-CAM (torchcam)", "torchcam.methods", "pip install torchcam", _torchcam
    ),
    "scorecam-gradcam": Rival(
        "Score-CAM (grad-cam)", "pytorch_grad_cam", "pip install grad-cam", _grad_cam
    ),
}
