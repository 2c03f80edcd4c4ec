"""A second opinion: does another method point to the same place?

Grad-CAM takes one forward and one backward pass, shares neither SISE's masks nor its scores, and
looks at the last layer alone. Where the two agree, the place does not hang on the method.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from inspection.pipeline.classifier import Classifier
from sise.explanation import OK, Explainer
from sise.methods.gradcam import GradCAM
from sise.statistics import pearson

SECOND_METHOD = "Grad-CAM"


def make_gradcam(classifier: Classifier, batch_size: int | Literal["auto"] = "auto") -> Explainer:
    """Grad-CAM on the last block of the classifier's model; see `Engine.keep_images_apart`.

    `batch_size` is that of masked images, of which an eighth go through a backward pass at once.
    """
    model, precision = classifier.bundle.model, classifier.precision
    explainer = GradCAM(model, precision=precision, batch_size=batch_size)
    explainer.engine.keep_images_apart()
    return explainer


def agreements(
    second: Explainer,
    images: torch.Tensor,
    targets: torch.Tensor,
    maps: Sequence[npt.NDArray[np.float32]],
) -> list[float]:
    """Pearson's correlation, over the pixels, of each map (H, W) with that of `second`.

    `images` (B, 3, H, W) and `targets` (B,) int64 are those of the maps. In [-1, 1], 1 for the
    same picture; NaN where either is constant or `second` has no map.
    """
    found = second(images, target=targets)
    others = found.maps.cpu().numpy()
    return [
        float(pearson(one, other)) if status == OK else float("nan")
        for one, other, status in zip(maps, others, found.status, strict=True)
    ]
