"""What the truth says of each patch: the columns of results.parquet that come with `--truth`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from inspection.pipeline.outlines import svg_path
from inspection.quality.labels import Truth, add_truth, true_patch
from inspection.quality.localisation import localise
from inspection.quality.outcomes import add_outcome
from inspection.store.frames import rows

WITHOUT_TRUTH: Mapping[str, Any] = {
    "true_class": "",
    "outcome": "",
    "ebpg": np.nan,
    "bbox": np.nan,
    "true_contour": "",
}
"""The columns of patches of which no truth is known."""


@dataclass(frozen=True, eq=False)
class HeldAgainst:
    """A batch's rows of patches, held against the truth: see `hold_against`."""

    truth: Truth
    patches: pd.DataFrame


def hold_against(
    patches: pd.DataFrame, truth: Truth, classes: Sequence[str], report: Path
) -> HeldAgainst:
    """Stage: add what the truth says to rows of patches, once for the table and the figures.

    Columns of `outcomes.add_outcome`, among them true_class and outcome. `ebpg` and `bbox`, in
    [0, 1], hold the map against the true mask of `target`, `true_area` is that mask's share of the
    patch; all are NaN where the patch has no map or does not show that class. `true_contour` are
    the outlines of this mask inside the patch (see `outlines.svg_path`); of a patch without a
    target those of its true class; "" without any. Maps are those in the folder `report`; raises
    ReportFolderError for one that is missing.
    """
    judged = add_outcome(add_truth(patches, truth, classes), classes)
    measured = localise(patches[patches["explained"]], truth, report)
    columns = {
        name: measured[name].astype(float).reindex(patches.index)
        for name in ("ebpg", "bbox", "true_area")
    }
    contours = [_contour(patch, truth) for patch in rows(judged)]
    return HeldAgainst(truth, judged.assign(**columns, true_contour=contours))


def _contour(patch: Any, truth: Truth) -> str:
    return svg_path(true_patch(truth, patch, patch.target or patch.true_class))
