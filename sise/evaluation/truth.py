"""The ground truth itself as a row of an evaluation: the most that EBPG and Bbox can reach, and
what Drop and left, which ask the model alone, say of it.
"""

import cv2
import numpy as np
import torch

from sise.evaluation.subject import Subject
from sise.explanation import CONSTANT_MAP, OK, Explainer, Explanation
from sise.metrics import Score
from sise.status import NO_TRUTH
from sise.targets import Target

OUTSIDE = 1e-8
"""The most that a pixel outside the truth is worth: enough for an order, nothing to EBPG."""


def explainer(subject: Subject, score: Score) -> Explainer:
    """What explains this subject by its truth; only its class's score is asked of the model."""

    def explain(images: torch.Tensor, target: Target = None) -> Explanation:
        truth = subject.truth
        targets = torch.tensor([subject.target], device=images.device)
        status = NO_TRUTH if not truth.any() else CONSTANT_MAP if truth.all() else OK
        return Explanation(
            maps=(truth_map(truth) if status == OK else torch.zeros_like(truth).float())[None],
            targets=targets,
            scores=score(images, targets).float(),
            status=(status,),
            layers=(),
            forwards=torch.ones(1, dtype=torch.int64, device=images.device),
        )

    return explain


def truth_map(truth: torch.Tensor) -> torch.Tensor:
    """The truth (H, W) bool, which is neither empty nor all, as a map (H, W) float32 in [0, 1].

    Pixels inside lie in (½, 1], outside in [0, `OUTSIDE`), ranked by how deep inside they are, or
    how far away. Were all inside alike, and all outside, the top 15 % would be filled up, or cut
    off, in reading order, and Drop would be that of the image's first rows.
    """
    inside = truth.cpu().numpy().astype(np.uint8)
    depth, distance = (
        cv2.distanceTransform(pixels, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float32)
        for pixels in (inside, 1 - inside)
    )
    values = np.where(
        inside == 1, 0.5 + 0.5 * depth / depth.max(), OUTSIDE * (1 - distance / distance.max())
    )
    return torch.from_numpy(values.astype(np.float32)).to(truth.device)
