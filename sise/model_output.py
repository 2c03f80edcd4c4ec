"""What a model returned: a number for each class, and whether logits or probabilities already."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, Literal

import torch

from sise.errors import SiseError
from sise.precision import Forward

# How far the sum of a row of probabilities is from one, at most; some are rounded to 16 bits.
_ROUNDING = 1e-2
_TINY = 1e-6
_STRONGER = 1000.0
# Names of what only shapes, scales or averages numbers, and of what weighs and adds them up.
_SHAPING = {"View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Select", "Clone"}
_SHAPING |= {"ToCopy", "Alias", "T", "Transpose", "Permute", "Expand", "Div", "Mul", "Add", "Sub"}
_SHAPING |= {"Mean", "AdaptiveAvgPool2D", "AvgPool2D"}
_SQUASHING = {"Sigmoid", "Softmax", "Hardsigmoid"}
_WEIGHING = {"Addmm", "Mm", "Bmm", "Linear", "Convolution", "MkldnnConvolution"}


# "exclusive": probabilities that sum to one; "percent": to 100; "between": 0 and 1; "log": of
# exclusive ones.
Kind = Literal["exclusive", "percent", "between", "log", "logits"]


def checked_logits(returned: object, images: int) -> torch.Tensor:
    """What a model returned for so many `images`, if it is a number (B, classes) for each class;
    else SiseError, with the cure."""
    what = f"the model must return logits (B, classes), here ({images}, classes), not"
    if not isinstance(returned, torch.Tensor):
        raise SiseError(
            f"{what} a {type(returned).__name__}; wrap it in a module that returns its logits "
            f"alone{_place(returned, images)}"
        )
    shape = tuple(returned.shape)
    if not returned.is_floating_point():
        raise SiseError(
            f"{what} {returned.dtype} {shape}; return the numbers that classes are chosen by"
        )
    if len(shape) == 2 and shape[0] == images and shape[1] > 0:
        return returned
    if shape == (images,):
        cure = "return them as logits[:, None]"
    elif shape[:1] == (images,) and set(shape[2:]) == {1}:
        cure = "return logits.flatten(1)"
    elif max(shape[2:], default=0) > 1:
        cure = "it has no class for the image as a whole"
    else:
        cure = "give a model that returns a row for each image"
    raise SiseError(f"{what} {returned.dtype} {shape}; {cure}")


def _place(returned: object, images: int) -> str:
    """Where in it the logits seem to be, as code; "" if nowhere."""
    members: dict[str, Any] = {}
    if isinstance(returned, Mapping):
        members = {f"[{key!r}]": value for key, value in returned.items()}
    elif isinstance(returned, tuple) and hasattr(returned, "_fields"):
        members = {f".{name}": getattr(returned, name) for name in returned._fields}
    elif isinstance(returned, (list, tuple)):
        members = {f"[{index}]": value for index, value in enumerate(returned)}
    elif is_dataclass(returned):
        members = {f".{one.name}": getattr(returned, one.name, None) for one in fields(returned)}
    elif hasattr(returned, "__dict__"):
        members = {f".{name}": value for name, value in vars(returned).items()}
    for place, value in members.items():
        if isinstance(value, torch.Tensor) and value.ndim == 2 and len(value) == images:
            return f", such as model(images){place}"
    return ""


def kind_of(
    forward: Forward,
    images: torch.Tensor,
    noise: torch.Tensor,
    rows: torch.Tensor,
    promised: bool,
) -> Kind:
    """What a model's rows (2, outputs) for `noise` are, if they are so for other images too:
    for a few of the `images`, for more noise, and far from any image.

    Unless probabilities are `promised`, numbers between 0 and 1 may be logits all the same: of a
    network that answers alike whatever it is shown, or whose last layer weighs and adds up. Those
    that sum to one are if both hold.
    """
    if _kind_of_rows(rows) == "logits":
        return "logits"
    every = [rows]
    with torch.no_grad():
        for some in (images[:4], noise_like(noise, 8)[2:], _STRONGER * noise, -_STRONGER * noise):
            for image in torch.split(some, 1):
                # The model may not take such an image, which then says nothing.
                with suppress(Exception):
                    every.append(checked_logits(forward(image.clone()), 1))
    seen = torch.cat(every)
    kind = _kind_of_rows(seen)
    alike = bool((seen == seen[:1]).all())
    if promised:
        return kind
    if kind == "between":
        last = _last(forward, noise)
        return "logits" if last in _WEIGHING or (alike and last not in _SQUASHING) else kind
    return "logits" if alike and _last(forward, noise) in _WEIGHING else kind


def _kind_of_rows(rows: torch.Tensor) -> Kind:
    rows = rows[rows.isfinite().all(dim=1)].float()
    if len(rows) == 0:
        return "logits"
    several = rows.shape[1] > 1
    if bool(((rows >= -_TINY) & (rows <= 1 + _TINY)).all()):
        return "exclusive" if several and _sum_to_one(rows) else "between"
    if several and bool((rows >= -_TINY).all()) and _sum_to_one(rows / 100):
        return "percent"
    if several and bool((rows <= _TINY).all()) and _sum_to_one(rows.exp()):
        return "log"
    return "logits"


def _sum_to_one(rows: torch.Tensor) -> bool:
    return bool(((rows.sum(dim=1) - 1).abs() <= _ROUNDING).all())


def _last(forward: Forward, noise: torch.Tensor) -> str:
    """What last happened to the numbers, besides shaping and scaling, as autograd calls it; "" if
    that is not known. After a layer of weights they are logits."""
    with torch.enable_grad():
        node: Any = forward(noise[:1].clone().requires_grad_().clone()).grad_fn
    while node is not None:
        name = re.sub(r"Backward\d*$", "", type(node).__name__)
        if name not in _SHAPING:
            return name
        sources = [source for source, _ in node.next_functions if source is not None]
        node = sources[0] if len(sources) == 1 else None
    return ""


def noise_like(images: torch.Tensor, count: int) -> torch.Tensor:
    """(count, 3, H, W) between the least and the greatest number of the images: uniform, and
    every second one darker, so that their statistics differ."""
    finite = images[images.isfinite()]
    low = finite.amin() if finite.numel() else images.new_zeros(())
    high = finite.amax() if finite.numel() else images.new_ones(())
    drawn = torch.rand(count, *images.shape[1:], generator=torch.Generator().manual_seed(0))
    drawn[1::2] **= 4
    return low + torch.where(high > low, high - low, 1.0) * drawn.to(images)
