"""What every explainer returns, and what it needs to be one."""

from dataclasses import dataclass, replace
from typing import Protocol

import torch

from sise.status import CONSTANT_MAP as CONSTANT_MAP
from sise.status import NO_POSITIVE_GRADIENT as NO_POSITIVE_GRADIENT
from sise.status import NOT_FINITE as NOT_FINITE
from sise.status import OK as OK
from sise.targets import Target

REVISION = 4
"""Goes up when a method makes another map of the same: maps kept on disk by an earlier one are
not used. 2, 2026-11-26: the fusion of figure 5 (until then F + V_b was normalised at every stage),
the soft fusion's threshold, Otsu's partition of α, areas of extremal perturbation. 3: FullGrad
counts the biases of GroupNorm and LayerNorm. 4, 2026-11-27: the masks that a budget scores, where
another image of the call has more of them."""


@dataclass(frozen=True)
class LayerExplanation:
    """One block's share of an explanation of B images.

    `maps` (B, H, W) is the visualization map before any normalisation (zeros where no feature
    map was selected). `found` counts the layer's feature maps. Per image, (B,) int64:
    `constant` counts those that carry no mask, `selected` those that enter the map, and
    `scored` those that were scored: all selected ones, fewer under a budget, or none.
    """

    name: str
    maps: torch.Tensor
    found: int
    constant: torch.Tensor
    selected: torch.Tensor
    scored: torch.Tensor


@dataclass(frozen=True)
class Explanation:
    """Why a model gave its class to each of B images.

    Attributes:
        maps: (B, H, W) float32 in [0, 1], zeros where `status` is not "ok".
        targets: (B,) int64, the class explained.
        scores: (B,) float32, its probability by the model (see `output` of `SISE`).
        status: per image: "ok", or why there is no map.
        layers: per block, from shallow to deep.
        forwards: (B,) int64, forward passes spent.
    """

    maps: torch.Tensor
    targets: torch.Tensor
    scores: torch.Tensor
    status: tuple[str, ...]
    layers: tuple[LayerExplanation, ...]
    forwards: torch.Tensor


class Explainer(Protocol):
    """The contract of every method: images (B, 3, H, W), as the model takes them, to maps."""

    def __call__(self, images: torch.Tensor, target: Target = None) -> Explanation: ...


def usable(
    maps: torch.Tensor, selected: torch.Tensor | None = None
) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Zero the maps (B, H, W) that say nothing, and tell why, per image.

    `selected` (B,), where given, counts the feature maps that entered each map.
    """
    finite = maps.isfinite().all(dim=2).all(dim=1)
    varied = maps.amin(dim=(1, 2)) < maps.amax(dim=(1, 2))
    status = []
    for index in range(len(maps)):
        if not finite[index]:
            status.append(NOT_FINITE)
        elif selected is not None and selected[index] == 0:
            status.append(NO_POSITIVE_GRADIENT)
        else:
            status.append(OK if varied[index] else CONSTANT_MAP)
    fine = torch.tensor([word == OK for word in status], device=maps.device)
    return torch.where(fine[:, None, None], maps, 0.0).float(), tuple(status)


def with_finite_scores(explanation: Explanation) -> Explanation:
    """Take the map away from an image whose score is NaN: what the model says of it means nothing.

    NaN and infinite logits have no probability; whatever came of them is an accident.
    """
    finite = explanation.scores.isfinite()
    status = tuple(
        word if fine else NOT_FINITE
        for word, fine in zip(explanation.status, finite.tolist(), strict=True)
    )
    maps = torch.where(finite[:, None, None], explanation.maps, 0.0)
    return replace(explanation, maps=maps, status=status)


def joined(parts: list[Explanation]) -> Explanation:
    """The explanations of consecutive batches of images, as one."""
    layers = tuple(
        LayerExplanation(
            name=same[0].name,
            maps=torch.cat([layer.maps for layer in same]),
            found=same[0].found,
            constant=torch.cat([layer.constant for layer in same]),
            selected=torch.cat([layer.selected for layer in same]),
            scored=torch.cat([layer.scored for layer in same]),
        )
        for same in zip(*(part.layers for part in parts), strict=True)
    )
    return Explanation(
        maps=torch.cat([part.maps for part in parts]),
        targets=torch.cat([part.targets for part in parts]),
        scores=torch.cat([part.scores for part in parts]),
        status=tuple(word for part in parts for word in part.status),
        layers=layers,
        forwards=torch.cat([part.forwards for part in parts]),
    )
