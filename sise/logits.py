"""What the numbers that a model returns mean: logits, probabilities, and the class to explain."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional

from sise.errors import SiseError

Output = Literal["softmax", "sigmoid", "probabilities"]


def logits_of(returned: torch.Tensor, output: Output, exclusive: bool = True) -> torch.Tensor:
    """What a model returned for B images as logits (B, classes), float32 or float64.

    "softmax" and "sigmoid" are made of logits. A single one speaks for or against: it becomes
    two classes, 0 (negative) with -z and 1 (positive) with z. "probabilities" become log-odds,
    log(p / (1 - p)), whose sigmoid they are; of classes that are `exclusive` (rows sum to one),
    1 - p is the sum of the others, which has a gradient where p is rounded to 1.
    """
    wide = returned if returned.dtype == torch.float64 else returned.float()
    single = wide.shape[1] == 1
    if output == "probabilities":
        if single:
            wide = torch.cat([1 - wide, wide], dim=1)
        return _log_odds_of_probabilities(wide, exclusive and not single)
    if output == "sigmoid" and single:
        return torch.cat([-wide, wide], dim=1)
    return wide


def _log_odds_of_probabilities(rows: torch.Tensor, exclusive: bool) -> torch.Tensor:
    others = 1 - rows
    if exclusive:
        first = functional.one_hot(rows.argmax(dim=1), rows.shape[1]).bool()
        rest = rows.masked_fill(first, 0).sum(dim=1, keepdim=True)
        others = torch.where(first, rest, others)
    least = torch.finfo(rows.dtype).tiny
    return rows.clamp(min=least).log() - others.clamp(min=least).log()


def log_odds(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)) of each target's softmax probability p: (B, classes), (B,) -> (B,).

    Its gradient is that of p times a positive factor, so the maps selected by α > μ·β are the
    same (equations 6 to 8). Unlike p and log p it does not vanish, nor turn into rounding
    noise, where the softmax saturates at p = 1. Raises SiseError for a single class.
    """
    check_several(logits.shape[1])
    wide = logits if logits.dtype == torch.float64 else logits.float()
    is_target = functional.one_hot(targets, logits.shape[1]).bool()
    others = wide.masked_fill(is_target, -torch.inf)
    return at(wide, targets) - others.logsumexp(dim=1)


def probabilities(
    logits: torch.Tensor, targets: torch.Tensor, output: Output = "softmax"
) -> torch.Tensor:
    """Probability Ψ of each target: (B, classes), (B,) -> (B,), float32 or float64.

    "softmax" where the classes exclude one another, "sigmoid" where each is a yes or no. An
    infinite logit is an overflow rather than a certainty: it gives NaN, as NaN does. Raises
    SiseError for the softmax of a single class.
    """
    scores = at(every_probability(logits, output), targets)
    return torch.where(at(logits, targets).isfinite(), scores, torch.nan)


def every_probability(logits: torch.Tensor, output: Output) -> torch.Tensor:
    """The probabilities (B, classes) of all classes: of logits, or of `logits_of` what a model
    returned. Raises SiseError for the softmax of a single class."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    if output == "softmax":
        check_several(logits.shape[1])
        return wide.softmax(dim=1)
    return wide.sigmoid()


def class_names(outputs: Sequence[str]) -> tuple[str, ...]:
    """The names of a model's classes by those of its outputs: one output is two classes."""
    return tuple(outputs) if len(outputs) != 1 else (f"not {outputs[0]}", outputs[0])


def check_several(classes: int) -> None:
    """Raise SiseError for the softmax of a single class."""
    if classes < 2:
        raise SiseError(
            "the model returns one logit for an image; softmax needs two classes or more, "
            'a model with one output is explained with output="sigmoid"'
        )


def at(values: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The value of each row's target: (B, classes), (B,) -> (B,)."""
    return values.gather(1, targets[:, None]).squeeze(1)
