"""What every explainer needs to run its model: precision, batches, layers, fills, backends."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import nn

from sise.backends import Backend, Network, fingerprint, scoring_network
from sise.baselines import Fill, Masker, check_fill
from sise.batches import BatchSize, auto_batch_size, is_out_of_memory
from sise.blocks import Layer, find_blocks, resolve_layers
from sise.capture import in_eval_mode
from sise.cloning import unwrapped
from sise.errors import SiseError
from sise.explanation import Explanation, joined, with_finite_scores
from sise.logits import Output, logits_of
from sise.model_check import (
    ModelOutputs,
    check_initialised,
    check_model,
    check_open,
    no_gradients,
    no_memory,
)
from sise.precision import Forward, Precision, forward_in, resolve
from sise.sampling import MaskScorer
from sise.targets import Target, check_classes, indices

_log = logging.getLogger("sise")

Layers = Sequence[str | nn.Module] | None
ExplainPart = Callable[..., Explanation]
Made = TypeVar("Made")

# A backward pass keeps every activation, a scoring pass hardly any.
_SCORED_PER_CAPTURED = 8


@dataclass(frozen=True)
class RunOptions:
    """How an engine runs its model; `SISE` explains each."""

    layers: Layers = None
    precision: Precision = "auto"
    batch_size: int | Literal["auto"] = "auto"
    fill: Fill = "grey"
    output: Output = "softmax"
    backend: Backend = "torch"
    compile: bool = False


class Engine:
    """A model with the way to run it; what DataParallel or a compiled module wraps, not these.

    Two precisions: feature maps, gradients and what the model says of the whole image come in
    float32 (or float64); only the scoring of masked images may be bfloat16.
    """

    def __init__(self, model: nn.Module, options: RunOptions) -> None:
        if options.batch_size != "auto" and options.batch_size < 1:
            raise SiseError(f'batch_size must be "auto" or at least 1, not {options.batch_size}')
        if options.output not in get_args(Output):
            raise SiseError(f"output {options.output!r}: one of {', '.join(get_args(Output))}")
        check_fill(options.fill)
        check_open(model)
        self.model = unwrapped(model)
        self.options = options
        self._named_layers = None if options.layers is None else _named(model, options.layers)
        self._blocks: dict[tuple[int, int], tuple[Layer, ...]] = {}
        self._cache: dict[object, tuple[object, object]] = {}
        self._state: object = None
        self._batch_sizes: dict[object, BatchSize] = {}
        self._most_captured: int | None = None
        self._apart = False
        self._outputs: ModelOutputs | None = None

    def explain(
        self,
        images: torch.Tensor,
        target: Target,
        explain_part: ExplainPart,
        *beside: object,
    ) -> Explanation:
        """Run `explain_part` over as many images at a time as fit, on the model in evaluation mode.

        It is given images and target, and what is `beside` (of a tensor (B, …) its share). Out of
        memory, it is given half as many. Raises SiseError for images that are not floating-point
        (B ≥ 1, 3, H, W) or not where the model is, for a target that does not fit them, as
        `check_model`, and if not even one image fits into memory.
        """
        return self._explain(images, target, explain_part, beside, together=False)

    def explain_together(
        self,
        images: torch.Tensor,
        target: Target,
        explain_part: ExplainPart,
        *beside: object,
    ) -> Explanation:
        """As `explain`, by a part that takes the images apart itself (see `in_shares`): after
        `keep_images_apart` it is given all of them."""
        return self._explain(images, target, explain_part, beside, together=self._apart)

    def keep_images_apart(self) -> None:
        """From now on an explanation does not depend on which images are explained beside it.

        On a processor each has, bit for bit in float32, what it has alone: feature maps are taken
        and masks compared image by image, and batches of masked images are filled up, so that all
        are of one size (until memory runs out, which makes them smaller). Elsewhere many images
        are captured at once, and what comes of it differs by rounding.
        """
        self._apart = True

    def _explain(
        self,
        images: torch.Tensor,
        target: Target,
        explain_part: ExplainPart,
        beside: Sequence[object],
        together: bool,
    ) -> Explanation:
        check_initialised(self.model)
        _check(images, self.model)
        target = indices(target, len(images), images.device)
        with in_eval_mode(self.model), self.unchanging():
            ours = images.detach().clone().to(self.exact_dtype(images.device))
            outputs = self.check_model(ours)
            check_classes(target, outputs.classes, outputs.single)
            at_once = len(ours) if together else self.captured_at_once(ours)
            try:
                explained = self.in_shares(explain_part, at_once, ours, target, *beside)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                raise no_memory() from error
            except SiseError as error:
                if quantized := no_gradients(self.model):
                    raise SiseError(quantized) from error
                raise
            return with_finite_scores(joined(explained))

    def exact_dtype(self, device: torch.device) -> torch.dtype:
        """float64 if that was asked for, else float32."""
        asked = resolve(self.options.precision, device)
        return torch.float64 if asked == torch.float64 else torch.float32

    def check_model(self, images: torch.Tensor) -> ModelOutputs:
        """What the model returns for images like these (B, 3, H, W). Raises as
        `model_check.check_model`.

        It is looked at once, and again when its weights or the size of images have changed.
        """
        device, output = images.device, self.options.output
        forward, at_once = self._exact(device), self.batch_size(images).value
        self._outputs = self._cached(
            ("check", device, images.shape[2:]),
            lambda: check_model(self.model, forward, images, output, at_once),
        )
        return self._outputs

    def exact_forward(self, device: torch.device) -> Forward:
        """The forward pass that feature maps and gradients come from, giving logits (B, classes):
        see `logits_of`."""
        return self._giving_logits(self._exact(device))

    def _exact(self, device: torch.device) -> Forward:
        dtype = self.exact_dtype(device)
        return self._cached(("exact", device, dtype), lambda: forward_in(self.model, dtype))

    def _giving_logits(self, forward: Forward) -> Forward:
        exclusive = self._outputs is None or self._outputs.exclusive
        return lambda images: logits_of(forward(images), self.options.output, exclusive)

    def scorer(self, images: torch.Tensor, targets: torch.Tensor) -> MaskScorer:
        """Scores masks of these images (B, 3, H, W) for the classes `targets` (B,)."""
        network = self.scoring_network(images.device)
        if self._alone(images.device):
            network = replace(network, static=True)
        return MaskScorer(
            network,
            Masker(images.to(network.dtype), self.options.fill),
            targets,
            self.options.output,
            self.batch_size(images),
        )

    def scoring_network(self, device: torch.device) -> Network:
        """The network that masked images are scored by, giving logits as `exact_forward` does."""
        chosen = self.options
        dtype = resolve(chosen.precision, device)
        network = self._cached(
            ("scoring", device, dtype),
            lambda: scoring_network(self.model, device, dtype, chosen.backend, chosen.compile),
        )
        return replace(network, forward=self._giving_logits(network.forward))

    def score_by(self, network: Network, device: torch.device) -> None:
        """Score by `network`, made of this model as it is, in this precision by this backend.

        So one network, which took seconds to make, serves two.
        """
        key = ("scoring", device, resolve(self.options.precision, device))
        self._cache[key] = (fingerprint(self.model), network)

    def layers(self, images: torch.Tensor) -> tuple[Layer, ...]:
        """The layers to explain: those named, or the blocks found on the model's graph."""
        if self._named_layers is not None:
            return self._named_layers
        size = (images.shape[2], images.shape[3])
        if size not in self._blocks:
            self._blocks[size] = find_blocks(self.model, size)
        return self._blocks[size]

    def batch_size(self, images: torch.Tensor) -> BatchSize:
        """How many masked images of this size make a batch."""
        size = (images.shape[2], images.shape[3])
        asked = self.options.batch_size
        if (size, images.device) not in self._batch_sizes:
            value = auto_batch_size(size, images.device) if asked == "auto" else asked
            self._batch_sizes[size, images.device] = BatchSize(value)
        return self._batch_sizes[size, images.device]

    def captured_at_once(self, images: torch.Tensor) -> int:
        """How many images of this size go through the backward pass together."""
        if self._alone(images.device):
            return 1
        fits = max(1, self.batch_size(images).value // _SCORED_PER_CAPTURED)
        return fits if self._most_captured is None else min(fits, self._most_captured)

    def _alone(self, device: torch.device) -> bool:
        """Whether each image is to have the bits that it has alone."""
        return self._apart and device.type == "cpu"

    def in_shares(
        self,
        part: Callable[..., Made],
        at_once: int,
        images: torch.Tensor,
        *beside: object,
    ) -> list[Made]:
        """`part` of `at_once` images, and what is beside them, at a time; out of memory, of half
        of them. Raises PyTorch's error if there is none for one image."""
        made: list[Made] = []
        for share in _shares(at_once, images, *beside):
            try:
                made.append(part(*share))
                continue
            except RuntimeError as error:
                if not is_out_of_memory(error) or len(share[0]) == 1:
                    raise
            # Only here, when the error and all that it holds are gone, is there memory again.
            fewer = len(share[0]) // 2
            self._most_captured = min(fewer, self._most_captured or fewer)
            _log.warning("out of memory: going on with %d images at once", fewer)
            made += self.in_shares(part, len(share[0]) - fewer, *share)
        return made

    @contextmanager
    def unchanging(self) -> Iterator[None]:
        """Look at the model's weights once, at the beginning."""
        self._state = fingerprint(self.model)
        try:
            yield
        finally:
            self._state = None

    def _cached(self, key: object, make: Callable[[], Made]) -> Made:
        """What `make` gave, made anew whenever the model's weights have changed."""
        now = self._state or fingerprint(self.model)
        if key not in self._cache or self._cache[key][0] != now:
            self._cache[key] = (now, make())
        return self._cache[key][1]  # type: ignore[return-value]


def _named(model: nn.Module, layers: Sequence[str | nn.Module]) -> tuple[Layer, ...]:
    """The layers that a user names: as the wrapped model calls them, or as the wrapper does."""
    inner = unwrapped(model)
    known = {name for name, _ in inner.named_modules()}
    outer = dict(model.named_modules())
    meant = [
        outer.get(layer, layer) if isinstance(layer, str) and layer not in known else layer
        for layer in layers
    ]
    return resolve_layers(inner, meant)


def _check(images: torch.Tensor, model: nn.Module) -> None:
    if not isinstance(images, torch.Tensor):
        raise SiseError(
            f"images must be a tensor (B, 3, H, W), not a {type(images).__name__}; of an array "
            "(H, W, 3) uint8: torch.from_numpy(array).permute(2, 0, 1)[None] / 255, then "
            "normalised as the model takes it"
        )
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise SiseError(
            "images must be a floating-point tensor (B, 3, H, W), normalised as the model "
            f"takes it, not {images.dtype} {tuple(images.shape)}{_cure(images)}"
        )
    if len(images) == 0:
        raise SiseError("images is empty; give at least one")
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    if devices and images.device not in devices:
        where = ", ".join(sorted(map(str, devices)))
        raise SiseError(
            f"the images are on {images.device}, the model is on {where}; move one to the other"
        )


def _cure(images: torch.Tensor) -> str:
    if images.ndim == 4 and images.shape[1] != 3 and images.shape[3] == 3:
        return "; colours come first: images.permute(0, 3, 1, 2)"
    if images.ndim == 3:
        return "; one image is a batch too: images[None]"
    if images.ndim == 4 and images.shape[1] == 1:
        return "; grey is three equal colours: images.expand(-1, 3, -1, -1)"
    if not images.is_floating_point():
        return "; images / 255 are numbers from 0 to 1, normalise these"
    return ""


def _shares(at_once: int, images: torch.Tensor, *beside: object) -> Iterator[tuple[Any, ...]]:
    """`at_once` images at a time, with their share of each tensor beside them."""
    for start in range(0, len(images), at_once):
        share = slice(start, start + at_once)
        yield tuple(
            one[share] if isinstance(one, torch.Tensor) else one for one in (images, *beside)
        )
