"""How far each map can be trusted, and which explanations are weak, by a rule in writing.

Three tests, each of which a sound map may fail for a good reason: what is explained may need its
surroundings (kept alone, it scores low), be larger than the part removed (without that part, the
rest still scores high), or be seen by shallow layers alone (Grad-CAM, on the last, disagrees). So
one failure says little, and two make an explanation weak. The limits are fixed numbers, not
percentiles: a batch of bad maps must not pass because all are equally bad. docs/quality.md has
the measurements behind them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from inspection.errors import PolicyError
from sise.status import OK

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WeakRule:
    """Limits of the three tests, and how many failures make an explanation weak (1 to 3).

    `max_drop`: share of the score that is lost when the map's top 15 % alone are kept.
    `max_removed`: share of the score that is left without them. `min_agreement`: correlation
    with the second method's map. A test that could not be made is not failed.
    """

    max_drop: float = 0.5
    max_removed: float = 0.5
    min_agreement: float = 0.2
    failures: int = 2

    def __str__(self) -> str:
        return (
            f"An explanation is weak if there is no map, or if at least {self.failures} of these "
            f"hold: the explained pixels alone lose more than {self.max_drop:.0%} of the score; "
            f"without them more than {self.max_removed:.0%} of the score is left; the second "
            f"method's map correlates with this one by less than {self.min_agreement:g}."
        )


def parse_weak_rule(content: Any, where: str) -> WeakRule:
    """The policy's `weak_explanation` entry; the default for None.

    Raises PolicyError, naming `where` and the entry at fault.
    """
    if content is None:
        return WeakRule()
    if not isinstance(content, Mapping):
        raise PolicyError(f"{where}: expected `name: value` entries")
    names = [field.name for field in fields(WeakRule)]
    unknown = [str(name) for name in content if name not in names]
    if unknown:
        raise PolicyError(f"{where}: unknown entry {', '.join(unknown)}; one of {', '.join(names)}")
    for name, value in content.items():
        low, high = {"min_agreement": (-1, 1), "failures": (1, 3)}.get(name, (0, 1))
        kinds = int if name == "failures" else int | float
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            whole = "a whole number" if name == "failures" else "a number"
            raise PolicyError(f"{where}: {name} must be {whole} from {low} to {high}, not {value}")
    return WeakRule(**content)


def judge(patches: pd.DataFrame, rule: WeakRule) -> pd.DataFrame:
    """Stage: add removed_share, weak and weak_because to rows of patches.

    Rows have explained, map_status, whole_score, removed_score, drop and agreement.
    `removed_share` is removed_score / whole_score, from 0; NaN without a map. An explanation whose
    scores are not finite is weak. `weak_because`
    lists the tests that failed, weak or not; both are False and "" for patches that were not to
    be explained.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        removed = _numbers(patches, "removed_score") / _numbers(patches, "whole_score")
    explained = patches["explained"].to_numpy(bool)
    mapped = explained & (patches["map_status"] == OK).to_numpy(bool)
    failed = {
        "kept alone, it loses the score": _numbers(patches, "drop") > rule.max_drop,
        "without it, the score stays": removed > rule.max_removed,
        "another method points elsewhere": _numbers(patches, "agreement") < rule.min_agreement,
    }
    tests = np.stack(list(failed.values()), axis=1).reshape(len(patches), len(failed))
    tests &= mapped[:, None]
    reasons = ["; ".join(np.array(list(failed), object)[row]) for row in tests]
    unmeasured = mapped & ~np.isfinite(_numbers(patches, "drop"))
    why = np.where(unmeasured, "its scores are not finite", np.array(reasons, object))
    return patches.assign(
        removed_share=removed,
        weak=(explained & ~mapped) | unmeasured | (tests.sum(axis=1) >= rule.failures),
        weak_because=np.where(explained & ~mapped, "no map", why),
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
