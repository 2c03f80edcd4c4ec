"""What a mask is worth: what the class keeps by the masked part of the image, or loses without it.

The paper scores a mask by what is kept, Ψ(I ⊙ m): the preservation game of Fong and Vedaldi
(ICCV 2017), whether the part suffices. Their deletion game asks whether it is needed: what the
class loses when the part is removed, Ψ(I) − Ψ(I ⊙ (1 − m)). A part that removed raises the class's
probability has a negative score.
"""

from collections.abc import Sequence
from typing import get_args

import torch

from sise.choices import Evidence
from sise.errors import SiseError
from sise.sampling import Asking, MaskSet

# Forward passes of an image once, and of each of its masks.
_PASSES: dict[Evidence, tuple[int, int]] = {
    "kept": (0, 1),
    "removed": (1, 1),
    "both": (1, 2),
    "none": (0, 0),
}


def check_evidence(evidence: Evidence) -> None:
    """Raise SiseError unless `evidence` is one of the words."""
    if evidence not in get_args(Evidence):
        raise SiseError(f"evidence {evidence!r}: one of {', '.join(get_args(Evidence))}")


def passes_of(evidence: Evidence, masks: torch.Tensor) -> torch.Tensor:
    """Forward passes that scoring `masks` (B,) of each image takes: (B,) int64."""
    once, each = _PASSES[evidence]
    return torch.where(masks > 0, once + each * masks, 0)


def affordable(evidence: Evidence, passes: int) -> int:
    """How many masks of an image `passes` forward passes can score."""
    once, each = _PASSES[evidence]
    return max(0, passes - once) // max(1, each)


class EvidenceScorer:
    """Scores masks of B images as `evidence` says, by the scores of masked images.

    "kept": Ψ(I ⊙ m), in [0, 1]. "removed": Ψ(I) − Ψ(I ⊙ (1 − m)), in [−1, 1]. "both": the mean of
    the two. "none": 1, without a pass. Ψ(I) is scored like any mask, as one of ones: by the same
    network, in the same precision and batch, once for an image that has masks. Else rounding
    would add to every score of the image.
    """

    def __init__(self, evidence: Evidence, like: torch.Tensor) -> None:
        """`like` (B, …) tells how many images there are, in float32 or float64, and where."""
        self._evidence = evidence
        # Ψ(I) (B,), NaN where it is not known yet.
        self._whole = like.new_full((len(like),), torch.nan)

    def __call__(self, mask_sets: Sequence[MaskSet]) -> Asking[Sequence[torch.Tensor]]:
        """The score of every mask: (K,) for each element of `mask_sets`, in the masks' dtype."""
        if self._evidence == "none":
            return tuple(part.masks.new_ones(len(part)) for part in mask_sets)
        if self._evidence == "kept":
            return (yield mask_sets)
        owners = torch.cat([part.owners for part in mask_sets])
        with_masks = torch.bincount(owners, minlength=len(self._whole)) > 0
        new = (with_masks & self._whole.isnan()).nonzero()[:, 0]
        ones = MaskSet(mask_sets[0].masks.new_ones((len(new), 1, 1)), new)
        rests = [MaskSet(1 - part.masks, part.owners) for part in mask_sets]
        also = mask_sets if self._evidence == "both" else []
        whole, *scores = yield [ones, *rests, *also]
        self._whole[new] = whole
        lost = tuple(
            self._whole[part.owners] - without
            for part, without in zip(rests, scores[: len(rests)], strict=True)
        )
        if self._evidence == "removed":
            return lost
        return tuple((one + two) / 2 for one, two in zip(scores[len(rests) :], lost, strict=True))
