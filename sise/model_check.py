"""One look at a model before it is explained: what it returns, and on what that depends.

It is shown noise in the range of the images. What is not logits, what depends on the other images
of a batch or on chance, and what is a probability already, is told at once, for every method.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from sise.batches import is_out_of_memory
from sise.errors import SiseError
from sise.graphs import first_line
from sise.logits import Output, check_several
from sise.model_output import Kind, checked_logits, kind_of, noise_like
from sise.precision import Forward

_SAME_SOFTMAX = "; if they are logits all the same, return logits - 1: their softmax is the same"
# Of the largest number that the model returns: rounding differs by less than that.
_ALIKE_AGAIN, _ALIKE_IN_A_BATCH = 1e-3, 1e-2


@dataclass(frozen=True)
class ModelOutputs:
    """What a model returns that can be explained: so many `outputs` per image, and whether they are
    `exclusive`, probabilities that sum to one."""

    outputs: int
    exclusive: bool

    @property
    def single(self) -> bool:
        """Whether one output stands for two classes, negative and positive."""
        return self.outputs == 1

    @property
    def classes(self) -> int:
        return 2 if self.single else self.outputs


def check_initialised(model: nn.Module) -> None:
    """Raise SiseError for a lazy layer that has not run yet, and so has no weights."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            layer = name.rpartition(".")[0]
            raise SiseError(
                f"layer {layer!r} ({type(model.get_submodule(layer)).__name__}) has no weights "
                "yet: run the model once on an image, train or load it, and then explain it"
            )


def check_open(model: object) -> None:
    """Raise SiseError for what is no module, and for what torch.jit made: neither its weights nor
    its layers can be had."""
    if not isinstance(model, nn.Module):
        kind = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise SiseError(
            f"the model must be a torch.nn.Module with its weights loaded, not {kind}; a function "
            "can be the forward of one"
        )
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise SiseError(
            "the model was made by torch.jit, which shows no feature maps and takes no other "
            "weights: give the module that it was made of, with the same weights"
        )


def no_gradients(model: nn.Module) -> str:
    """What to say of a quantized model that a method failed on; "" of any other."""
    for name, module in model.named_modules():
        if hasattr(module, "_packed_params"):
            return (
                f"the model is quantized (layer {name!r}): it has neither gradients nor feature "
                "maps to explain; give the float model that it was made of, or use RISE with "
                'precision="fp32"'
            )
    return ""


def check_model(
    model: nn.Module, forward: Forward, images: torch.Tensor, output: Output, at_once: int
) -> ModelOutputs:
    """Look at what `forward`, which runs `model`, returns for images like these (B, 3, H, W).

    Of one image and of two, three passes; of at most 15 more where a model's numbers look like
    probabilities, and of 16 where it draws numbers. No more than `at_once`. A model whose attribute
    `returns_logits` is true, as a bundle's, is taken at its word. Raises SiseError, with the cure,
    for a model that cannot be explained with this `output`, and if not even one image fits into
    memory.
    """
    noise = noise_like(images, 2)
    before = _rng_state(images.device)
    with torch.no_grad():
        try:
            try:
                alone = _logits(model, forward, noise[:1])
            except SiseError:  # a model may take no noise
                noise = torch.cat([images[:1], images[:1].flip(3)])
                alone = _logits(model, forward, noise[:1])
        except RuntimeError as error:
            raise no_memory() from error
        rows = _pair(model, forward, noise) if at_once > 1 else None
        if rows is None:
            rows = _logits(model, forward, noise[:1])
        drawn = not torch.equal(before, _rng_state(images.device))
        _check_alike(model, forward, noise, alone, rows[:1], drawn)
    if output != "probabilities" and getattr(model, "returns_logits", False):
        if output == "softmax":
            check_several(rows.shape[1])
        return ModelOutputs(rows.shape[1], exclusive=False)
    kind = kind_of(forward, images, noise, rows, promised=output == "probabilities")
    if output != "probabilities" or kind == "percent":
        _check_meaning(kind, output)
        if output == "softmax":
            check_several(rows.shape[1])
    elif kind not in ("exclusive", "between"):
        raise SiseError(
            f"{_range(rows)}, which are no probabilities: give "
            'output="softmax" or output="sigmoid", which make them of logits'
        )
    return ModelOutputs(rows.shape[1], kind == "exclusive")


def no_memory() -> SiseError:
    """What to say when not even one image fits into memory."""
    return SiseError(
        "out of memory with the feature maps and gradients of one image; use a smaller "
        "image, a smaller network or another device, or name fewer layers"
    )


def _check_meaning(kind: Kind, output: Output) -> None:
    """Raise SiseError for a softmax or a sigmoid of what is a probability already."""
    if kind == "percent":
        raise SiseError(
            "the model returns probabilities in percent (its numbers are not negative and sum to "
            '100): return them / 100, and give output="probabilities"'
        )
    if kind in ("exclusive", "between"):
        why = "are not negative and sum to one" if kind == "exclusive" else "lie between 0 and 1"
        raise SiseError(
            f"the model returns probabilities already (its numbers {why}), of which a {output} "
            'makes no sense: give output="probabilities", or a model without its last layer'
            + (_SAME_SOFTMAX if kind == "between" and output == "softmax" else "")
        )
    if kind == "log" and output == "sigmoid":
        raise SiseError(
            "the model returns the logarithms of probabilities that sum to one (a log-softmax), "
            'of which a sigmoid makes no sense: give output="softmax"'
        )


def _logits(model: nn.Module, forward: Forward, images: torch.Tensor) -> torch.Tensor:
    try:
        returned = forward(images.clone())
    except Exception as error:  # the model's own code may raise anything
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        shape = ", ".join(map(str, images.shape))
        kind = type(model).__name__
        what, cure = "an image", "give images that it takes, or a module that takes images alone"
        if images.dtype == torch.float64:
            cure += '; or precision="fp32", if it takes no float64'
        if len(images) > 1:  # one it has taken
            what, cure = "two images at once", "if it takes one at a time, give batch_size=1"
        raise SiseError(
            _without_statistics(model)
            or f"{kind} does not run on {what} ({shape}): {type(error).__name__}: "
            f"{first_line(error)}; {cure}"
        ) from error
    return checked_logits(returned, len(images))


def _pair(model: nn.Module, forward: Forward, images: torch.Tensor) -> torch.Tensor | None:
    """What comes of two images at once; None if there is no memory for two."""
    try:
        return _logits(model, forward, images)
    except RuntimeError as error:
        if is_out_of_memory(error):
            return None
        raise


def _check_alike(
    model: nn.Module,
    forward: Forward,
    noise: torch.Tensor,
    alone: torch.Tensor,
    together: torch.Tensor,
    drawn: bool,
) -> None:
    """Raise SiseError if an image's row is another beside another image, or the second time."""
    if not drawn and _alike(alone, together, _ALIKE_AGAIN):
        return
    # What was drawn may come out alike.
    again = (_logits(model, forward, noise[:1]) for _ in range(16 if drawn else 4))
    if not all(_alike(alone, one, _ALIKE_AGAIN) for one in again):
        raise SiseError(
            "the model returns other logits for the same image each time, so that a map would be "
            "one of chance: turn off what is random in it in evaluation mode, such as dropout "
            "(functional.dropout takes training=self.training)"
        )
    if not _alike(alone, together, _ALIKE_IN_A_BATCH):
        raise SiseError(
            _without_statistics(model)
            or "what the model returns for an image depends on the other images of its batch: "
            "normalise by running statistics in evaluation mode (is one of its modules left in "
            "training mode?), or by those of each image (GroupNorm)"
        )


def _rng_state(device: torch.device) -> torch.Tensor:
    """The state of the generator that a model on this device draws from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _alike(one: torch.Tensor, other: torch.Tensor, tolerance: float) -> bool:
    """Whether rows are the same but for rounding; what is not finite is not compared."""
    known = one.isfinite() & other.isfinite()
    if one.shape != other.shape or not bool(known.any()):
        return one.shape == other.shape
    one, other = one[known].float(), other[known].float()
    return bool((one - other).abs().amax() <= tolerance * one.abs().amax())


def _without_statistics(model: nn.Module) -> str:
    """What to say of batch norms that use the batch's statistics; "" if there are none."""
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and (module.running_mean is None or module.training)
    ]
    if not names:
        return ""
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"batch norm {names[0]!r}{others} uses the statistics of the batch, so that a map would "
        "depend on its neighbours: train with track_running_stats=True, or set them "
        "(running_mean, running_var) from a pass over training images; in evaluation mode"
    )


def _range(rows: torch.Tensor) -> str:
    finite = rows[rows.isfinite()]
    if finite.numel() == 0:
        return "the model returns numbers that are not finite"
    return f"the model returns numbers from {finite.amin():.3g} to {finite.amax():.3g}"
