"""How far each map can be trusted, and which explanations are weak, by a rule in writing.

Three tests, each of which a sound map may fail for a good reason: what is explained may need its
surroundings (kept alone, it scores low), be larger than the part removed (without that part, the
rest still scores high), or be seen by shallow layers alone (Grad-CAM, on the last, disagrees). So
one failure says little, and two make an explanation weak. The limits are fixed numbers, not
percentiles: a batch of bad maps must not pass because all are equally bad. docs/quality.md has
the measurements behind them.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from inspection.pipeline.policy import WeakRule
from inspection.words import word
from sise.status import OK

Floats = npt.NDArray[np.float64]


def judge(patches: pd.DataFrame, rule: WeakRule) -> pd.DataFrame:
    """Stage: add removed_share, weak and weak_because to rows of patches.

    Rows have explained, map_status, whole_score, removed_score, drop and agreement.
    `removed_share` is removed_score / whole_score, from 0; NaN without a map. An explanation whose
    scores are not finite is weak. `weak_because` lists the tests that failed, weak or not; the
    page says them in its language. Both are False and "" for patches that were not to be explained.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        removed = _numbers(patches, "removed_score") / _numbers(patches, "whole_score")
    explained = patches["explained"].to_numpy(bool)
    mapped = explained & (patches["map_status"] == OK).to_numpy(bool)
    failed = {
        word("marked area only: the class is lost"): _numbers(patches, "drop") > rule.max_drop,
        word("marked area hidden: the class stays"): removed > rule.max_removed,
        word("Grad-CAM points elsewhere"): _numbers(patches, "agreement") < rule.min_agreement,
    }
    tests = np.stack(list(failed.values()), axis=1).reshape(len(patches), len(failed))
    tests &= mapped[:, None]
    reasons = ["; ".join(np.array(list(failed), object)[row]) for row in tests]
    unmeasured = mapped & ~np.isfinite(_numbers(patches, "drop"))
    why = np.where(unmeasured, word("its scores are not finite"), np.array(reasons, object))
    return patches.assign(
        removed_share=removed,
        weak=(explained & ~mapped) | unmeasured | (tests.sum(axis=1) >= rule.failures),
        weak_because=np.where(explained & ~mapped, word("no map"), why),
    )


def rank(patches: pd.DataFrame) -> pd.DataFrame:
    """Add each measure's percentile among all rows that have it: for a whole batch, not a stage.

    `drop_percentile`, `removed_percentile` and `agreement_percentile`, in (0, 100): the share of
    the batch that is worse, half of the equals (itself too) counted as worse; so 50 for a single
    patch. Little drop, little left after removal, and much agreement are good. Takes rows of
    `judge`.
    """
    return patches.assign(
        drop_percentile=_percentiles(-_numbers(patches, "drop")),
        removed_percentile=_percentiles(-_numbers(patches, "removed_share")),
        agreement_percentile=_percentiles(_numbers(patches, "agreement")),
    )


def _numbers(patches: pd.DataFrame, name: str) -> Floats:
    return patches[name].to_numpy(np.float64, na_value=np.nan)


def _percentiles(goodness: Floats) -> Floats:
    percentiles = np.full(len(goodness), np.nan)
    measured = ~np.isnan(goodness)
    if measured.any():
        percentiles[measured] = (rankdata(goodness[measured]) - 0.5) / measured.sum() * 100
    return percentiles
