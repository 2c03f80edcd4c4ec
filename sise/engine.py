"""What all explainers share: checked images, layers found once, batches that fit."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import nn

from sise.blocks import Layer, find_blocks, resolve_layers
from sise.capture import Target, borrowed
from sise.errors import SiseError
from sise.explanation import Explanation, joined
from sise.precision import Forward, Precision, forward_in, resolve

BatchSize = int | Literal["auto"]
Layers = Sequence[str | nn.Module] | None
ExplainPart = Callable[[torch.Tensor, Target], Explanation]

_PIXELS_PER_BATCH = {"cpu": 32 * 256 * 256, "cuda": 128 * 256 * 256}
_LARGEST_BATCH = 256
# A backward pass keeps every activation, a scoring pass hardly any.
_SCORED_PER_CAPTURED = 8


class Engine:
    """A model with the way to run it: precision, batch size and layers.

    Two precisions: feature maps, gradients and what the model says of the whole image come in
    float32 (or float64); only the scoring of masked images may be bfloat16.
    """

    def __init__(
        self, model: nn.Module, layers: Layers, precision: Precision, batch_size: BatchSize
    ) -> None:
        if batch_size != "auto" and batch_size < 1:
            raise SiseError(f'batch_size must be "auto" or at least 1, not {batch_size}')
        self.model = model
        self.precision = precision
        self._batch_size = batch_size
        self._named = None if layers is None else resolve_layers(model, layers)
        self._found: tuple[Layer, ...] | None = None

    def explain(
        self, images: torch.Tensor, target: Target, explain_part: ExplainPart
    ) -> Explanation:
        """Run `explain_part` over as many images at a time as fit, on the borrowed model.

        Raises SiseError for images that are not floating-point (B ≥ 1, 3, H, W) and for a
        target that does not fit them.
        """
        _check(images)
        with borrowed(self.model):
            ours = images.detach().clone().to(self.exact_dtype(images.device))
            parts = torch.split(ours, self.captured_at_once(ours))
            targets = _split(target, [len(part) for part in parts])
            return joined(
                [explain_part(part, goal) for part, goal in zip(parts, targets, strict=True)]
            )

    def exact_dtype(self, device: torch.device) -> torch.dtype:
        """float64 if that was asked for, else float32."""
        asked = resolve(self.precision, device)
        return torch.float64 if asked == torch.float64 else torch.float32

    def exact_forward(self, device: torch.device) -> Forward:
        """The forward pass that feature maps and gradients come from."""
        return forward_in(self.model, self.exact_dtype(device))

    def scoring_forward(self, device: torch.device) -> Forward:
        """The forward pass that masked images are scored by."""
        return forward_in(self.model, resolve(self.precision, device))

    def layers(self, images: torch.Tensor) -> tuple[Layer, ...]:
        """The layers to explain: those named, or the blocks found on the model's graph."""
        if self._named is not None:
            return self._named
        if self._found is None:
            self._found = find_blocks(self.model, (images.shape[2], images.shape[3]))
        return self._found

    def scored_at_once(self, images: torch.Tensor) -> int:
        """How many masked images of this size make a batch."""
        if self._batch_size != "auto":
            return self._batch_size
        pixels = images.shape[2] * images.shape[3]
        budget = _PIXELS_PER_BATCH.get(images.device.type, _PIXELS_PER_BATCH["cpu"])
        return min(max(1, budget // pixels), _LARGEST_BATCH)

    def captured_at_once(self, images: torch.Tensor) -> int:
        """How many images of this size go through the backward pass together."""
        return max(1, self.scored_at_once(images) // _SCORED_PER_CAPTURED)


def _check(images: torch.Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise SiseError(
            "images must be a floating-point tensor (B, 3, H, W), normalised as the model "
            f"takes it, not {images.dtype} {tuple(images.shape)}"
        )
    if len(images) == 0:
        raise SiseError("images is empty; give at least one")


def _split(target: Target, sizes: Sequence[int]) -> list[Target]:
    if target is None:
        return [None for _ in sizes]
    given = torch.as_tensor(target)
    if given.ndim == 0:
        return [given for _ in sizes]
    if given.shape != (sum(sizes),):
        raise SiseError(
            f"target has shape {tuple(given.shape)}; {sum(sizes)} images need ({sum(sizes)},)"
        )
    return list(torch.split(given, list(sizes)))
