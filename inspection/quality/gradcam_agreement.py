"""A second opinion: does another method point to the same place?

Grad-CAM takes one forward and one backward pass, shares neither SISE's masks nor its scores, and
looks at the last layer alone. Where the two agree, the place does not hang on the method.
"""

from typing import Any

import numpy as np
import pandas as pd

from inspection.pipeline.classifier import Classifier
from inspection.store.frames import rows
from sise.explanation import OK, Explainer
from sise.methods.gradcam import GradCAM
from sise.statistics import pearson

SECOND_METHOD = "Grad-CAM"


def make_gradcam(classifier: Classifier) -> Explainer:
    """Grad-CAM on the last block of the classifier's model."""
    return GradCAM(classifier.bundle.model, precision=classifier.precision, batch_size=1)


def agree(patches: pd.DataFrame, classifier: Classifier, second: Explainer) -> pd.DataFrame:
    """Stage: add `agreement` to rows of `explain.measure` (pixels, target, map, map_status).

    It is Pearson's correlation, over the pixels, of the map with that of `second` for the same
    class: in [-1, 1], 1 for the same picture. NaN where either method has no map.
    """
    return patches.assign(
        agreement=[_agreement(patch, classifier, second) for patch in rows(patches)]
    )


def _agreement(patch: Any, classifier: Classifier, second: Explainer) -> float:
    if patch.map_status != OK:
        return float("nan")
    # Stacking copies: decoded images are read-only, which PyTorch warns of.
    image = classifier.bundle.preprocess(np.stack([patch.pixels])).to(classifier.device)
    other = second(image, target=classifier.classes.index(patch.target))
    if other.status[0] != OK:
        return float("nan")
    return float(pearson(patch.map, other.maps[0].cpu().numpy()))
