"""What a model returned, if it is a number for each class of each image."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from sise.errors import SiseError


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
