"""Whether a method passes: one rule, on means over images with their intervals."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from sise.evaluation.statistics import FEWEST, estimates
from sise.evaluation.summary import groups_of
from sise.evaluation.summary_types import Estimate
from sise.sanity.run import OTHER_IMAGE, UNTRAINED
from sise.sanity.similarity import MEASURES

Word = Literal["passes", "fails", "undecided"]

MARGIN = 0.05
RULE = (
    "A method passes if, with all weights drawn anew, its maps are no more similar to the original "
    "ones than its original maps of different images of a class are to each other, and if "
    "similarity falls along the cascade; it must do so in SSIM and in rank correlation."
)


@dataclass(frozen=True)
class Finding:
    """What one measure says of a method.

    `excess`: similarity to the original map with all weights new (the mean over seeds), less the
    floor, the mean similarity of the original maps of other images of the class. `fall`: of the
    straight line through the cascade's similarities, from the original's 1 to the last step;
    None unless the layers cascade. Bounds are one-sided, 95 % each.
    """

    final: float
    floor: float
    excess: Estimate
    fall: Estimate | None
    word: Word


@dataclass(frozen=True)
class Verdict:
    """`word`, and why; `findings` per measure."""

    word: Word
    why: str
    findings: dict[str, Finding]


def judge(rows: pd.DataFrame, margin: float = MARGIN, seed: int = 0) -> Verdict:
    """The verdict on one method by `RULE`, from its rows; a difference up to `margin` is none.

    It passes if the bounds of the intervals say so, fails if they say the contrary in one
    measure, and is undecided otherwise.
    """
    deciding = [name for name, measure in MEASURES.items() if measure.decides]
    findings = {name: _find(rows, name, margin, seed) for name in deciding}
    words = [finding.word for finding in findings.values()]
    if "fails" in words:
        word: Word = "fails"
    else:
        word = "passes" if set(words) == {"passes"} else "undecided"
    return Verdict(word, _why(findings, word, margin), findings)


def _find(rows: pd.DataFrame, measure: str, margin: float, seed: int) -> Finding:
    images = groups_of(rows).groupby(rows["item"]).first()
    final, floor = (
        rows[rows["kind"] == kind].groupby("item")[measure].mean().reindex(images.index)
        for kind in (UNTRAINED, OTHER_IMAGE)
    )
    excess = _mean_of(final - floor, images, seed)
    answers = [_at_most(excess, margin)]
    cascade = rows[rows["kind"] == "cascading"]
    fall = None
    if len(cascade):
        falls = cascade.groupby("item")[["step", measure]].apply(_fall).reindex(images.index)
        fall = _mean_of(falls, images, seed)
        answers.append(_more_than(fall, margin))
    word: Word = "passes" if all(answers) else "fails" if False in answers else "undecided"
    return Finding(float(final.mean()), float(floor.mean()), excess, fall, word)


def _mean_of(values: pd.Series, images: pd.Series, seed: int) -> Estimate:
    """With one-sided bounds of 95 % each."""
    columns = values.to_numpy(dtype=np.float64)[:, None]
    return estimates(columns, images.to_numpy(str), seed, level=0.9)[0]


def _fall(steps: pd.DataFrame) -> float:
    """Of the least-squares line through (0, 1) and an item's steps; NaN if none is defined."""
    defined = steps.dropna()
    if defined.empty:
        return float("nan")
    x = np.concatenate([[0.0], defined["step"].to_numpy(dtype=np.float64)])
    y = np.concatenate([[1.0], defined.iloc[:, 1].to_numpy(dtype=np.float64)])
    slope = np.polyfit(x, y, 1)[0]
    return round(float(-slope * steps["step"].max()), 9) + 0.0  # no −0


def _at_most(value: Estimate, limit: float) -> bool | None:
    if np.isnan(value.low) or value.low <= limit < value.high:
        return None
    return value.high <= limit


def _more_than(value: Estimate, limit: float) -> bool | None:
    within = _at_most(value, limit)
    return None if within is None else not within


def _why(findings: dict[str, Finding], word: Word, margin: float) -> str:
    if any(finding.excess.items == 0 for finding in findings.values()):
        return "no item has both a map of an untrained net and another image of its class"
    if any(np.isnan(finding.excess.low) for finding in findings.values()):
        return f"fewer than {FEWEST} images have maps to compare"
    parts = []
    for name, finding in findings.items():
        if word != "passes" and finding.word != word:
            continue
        excess, fall = finding.excess, finding.fall
        parts.append(
            f"{MEASURES[name].title} ends at {finding.final:.2f}, {finding.floor:.2f} between "
            f"different images (by {excess.mean:+.2f}, bounds {excess.low:+.2f} and "
            f"{excess.high:+.2f})" + ("" if fall is None else f"; it falls by {fall.mean:.2f}")
        )
    return ". ".join(parts)
