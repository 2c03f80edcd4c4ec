"""The class that came second: what else a patch might show, and whether for the same pixels.

A map alone says where a class was seen. Beside the map of the runner-up it says more: two alike
maps mean that the model looks at one spot and hesitates what it is, two different ones that it
sees two things.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from inspection.pipeline.policy import probability_column
from sise.statistics import pearson


def add_runner_up(patches: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Stage: add runner_up and runner_up_score to rows with target and probabilities.

    `runner_up` is the most probable class other than `target`, the first among equals; it may be
    "normal". `runner_up_score` is its calibrated probability.
    """
    names = np.array(classes, dtype=object)
    probabilities = patches[[probability_column(name) for name in classes]].to_numpy(np.float64)
    others = np.where(patches["target"].to_numpy()[:, None] == names, -1.0, probabilities)
    second = others.argmax(axis=1)
    return patches.assign(
        runner_up=names[second], runner_up_score=others[np.arange(len(patches)), second]
    )


def similarity(heat: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """Pearson's correlation, in [-1, 1], of two maps (H, W); NaN if one is constant.

    Taken of the maps as they are kept, in 256 levels, so that it can be worked out again.
    """
    return float(pearson(heat, other))
