"""What can be judged of a strip: steel that is to be seen, and an answer of the model to it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from inspection.pipeline.policy import probability_column

NOT_JUDGED = "not judged"
"""The status of a strip that was read, but gives no ground for a proposal."""

WHITE_LEVEL = 250
WHITE_SHARE = 0.95
"""A patch with more than this share of pixels from grey 250 on is overexposed.

Of 364 patches of real strips the brightest has 34 %.
"""


def why_not_judged(patches: pd.DataFrame, classes: Sequence[str], black_threshold: float) -> str:
    """Why a strip, of which these are the rows of `classify`, cannot be judged; "" if it can.

    Patches beside the steel, of which more than `black_threshold` is black, are not judged either,
    but a strip needs at least one other.
    """
    lost = ~finite(patches, classes)
    if lost.any():
        return (
            f"the model gives no finite probability for {_some(patches, lost)}; inspect with "
            "another bundle, or with --precision fp32"
        )
    white = patches["white_fraction"].to_numpy() > WHITE_SHARE
    if white.any():
        return f"overexposed: white throughout in {_some(patches, white)}"
    if (patches["black_fraction"].to_numpy() > black_threshold).all():
        return "no steel to be seen: black throughout"
    return ""


def finite(patches: pd.DataFrame, classes: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which rows of patches have a finite probability for every class."""
    columns = [probability_column(name) for name in classes]
    return np.asarray(np.isfinite(patches[columns].to_numpy(np.float64)).all(axis=1))


def _some(patches: pd.DataFrame, which: npt.NDArray[np.bool_]) -> str:
    first = int(patches["left"].to_numpy()[which][0])
    return f"{int(which.sum())} of {len(patches)} patches, the first at {first} px"
