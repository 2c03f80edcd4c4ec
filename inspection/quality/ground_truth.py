"""What the truth says of each patch: the columns of results.parquet that come with `--truth`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from inspection.pipeline.outlines import svg_path
from inspection.quality.labels import Truth, add_truth, true_patch
from inspection.quality.localisation import localise
from inspection.quality.outcomes import add_outcome
from inspection.store.frames import rows


def add_ground_truth(
    patches: pd.DataFrame, truth: Truth | None, classes: Sequence[str], report: Path
) -> pd.DataFrame:
    """Stage: add true_class, outcome, ebpg, bbox and true_contour to rows of patches.

    `true_class` and `outcome` are as in `outcomes.add_outcome`. `ebpg` and `bbox`, in [0, 1],
    hold the map against the true mask of `target`, NaN where the patch has no map or does not
    show that class. `true_contour` are the outlines of this mask inside the patch (see
    `outlines.svg_path`); of a patch without a target those of its true class; "" without any.
    Without `truth` all are "" or NaN. Maps are those in the folder `report`; raises
    ReportFolderError for one that is missing.
    """
    if truth is None:
        return patches.assign(true_class="", outcome="", ebpg=np.nan, bbox=np.nan, true_contour="")
    judged = add_outcome(add_truth(patches, truth, classes), classes)
    measured = localise(patches[patches["explained"]], truth, report)
    return patches.assign(
        true_class=judged["true_class"],
        outcome=judged["outcome"],
        ebpg=measured["ebpg"].astype(float).reindex(patches.index),
        bbox=measured["bbox"].astype(float).reindex(patches.index),
        true_contour=[_contour(patch, truth) for patch in rows(judged)],
    )


def _contour(patch: Any, truth: Truth) -> str:
    return svg_path(true_patch(truth, patch, patch.target or patch.true_class))
