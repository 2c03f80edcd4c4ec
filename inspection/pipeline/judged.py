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


def why_not_judged(
    patches: pd.DataFrame, classes: Sequence[str], black_threshold: float
) -> dict[str, str]:
    """Why strips, of which these are the rows of patches, cannot be judged, by strip_id.

    Patches beside the steel, of which more than `black_threshold` is black, are not judged either,
    but a strip needs at least one other.
    """
    marked = patches[["strip_id", "left"]].assign(
        lost=~finite(patches, classes),
        white=patches["white_fraction"] > WHITE_SHARE,
        black=patches["black_fraction"] > black_threshold,
    )
    black = marked.groupby("strip_id", sort=False)["black"].all()
    reasons = dict.fromkeys(black[black].index, "no steel to be seen: black throughout")
    some = marked.loc[marked["lost"] | marked["white"], "strip_id"].unique()
    for name, own in marked[marked["strip_id"].isin(some)].groupby("strip_id", sort=False):
        reasons[str(name)] = (
            f"the model gives no finite probability for {_some(own, 'lost')}; inspect with "
            "another bundle, or with --precision fp32"
            if own["lost"].any()
            else f"overexposed: white throughout in {_some(own, 'white')}"
        )
    return reasons


def finite(patches: pd.DataFrame, classes: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which rows of patches have a finite probability for every class."""
    columns = [probability_column(name) for name in classes]
    return np.asarray(np.isfinite(patches[columns].to_numpy(np.float64)).all(axis=1))


def _some(patches: pd.DataFrame, which: str) -> str:
    own = patches[patches[which]]
    return f"{len(own)} of {len(patches)} patches, the first at {own['left'].iloc[0]} px"
