"""The class to explain, as a user gives it."""

from collections.abc import Sequence

import numpy as np
import torch

from sise.errors import SiseError

Target = int | Sequence[int] | torch.Tensor | None

_WHAT = "target must hold class indices"


def indices(target: Target, images: int, device: torch.device) -> torch.Tensor | None:
    """The class (B,) int64 of each of B `images`, on `device`; None, the predicted, stays None.

    Raises SiseError for what is no integer, such as a class's name, and for as many classes as
    there are no images.
    """
    if target is None:
        return None
    try:
        given = torch.as_tensor(np.asarray(target) if _is_plain(target) else target)
    except (TypeError, ValueError, RuntimeError):
        raise SiseError(_no_indices(target)) from None
    if given.ndim != 0 and given.shape != (images,):
        raise SiseError(
            f"target has shape {tuple(given.shape)}; {images} images need ({images},), or one "
            "class for all"
        )
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise SiseError(f"{_WHAT}, not {given.dtype}; 1 rather than 1.0 or True")
    return given.to(device, torch.int64).expand(images)


def check_classes(target: torch.Tensor | None, classes: int, single: bool = False) -> None:
    """Raise SiseError for a class that is not one of the model's `classes`.

    `single`: the model has one output, which is two classes.
    """
    if target is None or not bool(((target < 0) | (target >= classes)).any()):
        return
    said = (
        "the model has one output: classes are 0 (negative) and 1 (positive)"
        if single
        else f"classes go from 0 to {classes - 1}"
    )
    raise SiseError(f"target {target.tolist()}: {said}")


def resolve_targets(target: Target, logits: torch.Tensor) -> torch.Tensor:
    """The class to explain per image (B,) int64: the predicted one unless given.

    Raises as `indices` and `check_classes`.
    """
    images, classes = logits.shape
    given = indices(target, images, logits.device)
    check_classes(given, classes)
    return logits.detach().argmax(dim=1) if given is None else given


def _is_plain(target: object) -> bool:
    """Whether NumPy reads it better than PyTorch: numbers of NumPy's own, and lists of them."""
    if isinstance(target, (list, tuple, range)):
        return not any(isinstance(one, torch.Tensor) for one in target)
    return not isinstance(target, torch.Tensor)


def _no_indices(target: object) -> str:
    members = target if isinstance(target, (list, tuple)) else [target]
    names = [one for one in members if isinstance(one, str)]
    if names:
        return (
            f"{_WHAT}, not names such as {str(names[0])!r}: give the place of the class among the "
            "model's outputs, from 0"
        )
    if all(isinstance(one, int) for one in members):
        return f"{_WHAT}, no number as large as {max(members, key=abs):.0e}"
    kinds = ", ".join(sorted({type(one).__name__ for one in members}))
    return f"{_WHAT}, an int or one for each image, not {kinds}"
