"""What the flags are worth where the truth is known: escapes, overkill, confusion.

An escape is a defective patch that was not flagged, whatever the reason; overkill is a normal
patch that was. All functions take rows of `labels.add_truth` and use those whose truth is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from inspection.pipeline.policy import NORMAL
from inspection.quality.labels import MIN_PIXELS, true_column
from sise.statistics import Rate

Outcome = Literal["found", "misnamed", "escape", "overkill", "passed", "unknown"]


@dataclass(frozen=True)
class Rates:
    """`escape`: of the defective, those not flagged. `overkill`: of the normal, those flagged."""

    escape: Rate
    overkill: Rate


@dataclass(frozen=True)
class ClassRates:
    """One class, over patches. A patch that shows two classes counts for both.

    `escape`: of the patches that show the class, those not flagged at all. `misnamed`: of the
    same, those flagged for a class that they do not show. `overkill`: of the normal patches,
    those that indicate the class; these sum to the overkill of all patches.
    """

    name: str
    escape: Rate
    misnamed: Rate
    overkill: Rate


@dataclass(frozen=True)
class StripOutcome:
    """A strip whose truth is known: patches per outcome, and the outcome of the whole strip.

    The strip is defective, and flagged, if one of its patches is; `outcome` is "found",
    "escape", "overkill" or "passed".
    """

    strip_id: str
    outcome: Outcome
    found: int
    misnamed: int
    escapes: int
    overkill: int
    passed: int


@dataclass(frozen=True)
class Outcomes:
    """All of it. `confusion` counts patches by true class (row) and decision (column), both in
    the order of `classes`; the decision is the class indicated, normal where none is. A patch
    that shows several classes counts for the one indicated if that is among them."""

    classes: tuple[str, ...]
    patches: Rates
    strips: Rates
    per_class: tuple[ClassRates, ...]
    per_strip: tuple[StripOutcome, ...]
    confusion: tuple[tuple[int, ...], ...]
    patches_unknown: int


def add_outcome(patches: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Stage: add `outcome` (see `Outcome`) to rows of `labels.add_truth`.

    "found": flagged for a class that the patch shows; "misnamed": flagged for another;
    "passed": normal and not flagged; "unknown": without truth.
    """
    shown = np.zeros(len(patches), bool)
    for name in classes:
        if name != NORMAL:
            has = patches[true_column(name)].to_numpy() >= MIN_PIXELS
            shown |= has & (patches["indicated"] == name).to_numpy()
    defective = (patches["true_class"] != NORMAL).to_numpy()
    flagged = patches["flagged"].to_numpy(bool)
    known = patches["truth_known"].to_numpy(bool)
    outcome = np.select(
        [~known, defective & shown, defective & flagged, defective, flagged],
        ["unknown", "found", "misnamed", "escape", "overkill"],
        "passed",
    )
    return patches.assign(outcome=outcome.astype(object))


def outcomes(patches: pd.DataFrame, classes: Sequence[str]) -> Outcomes:
    """Count rows of `add_outcome`; `classes` in the order of the model's outputs."""
    known = patches[patches["outcome"] != "unknown"]
    per_strip = tuple(
        _strip_outcome(str(strip_id), own)
        for strip_id, own in known.groupby("strip_id", sort=False)
    )
    return Outcomes(
        classes=tuple(classes),
        patches=_rates(list(known["outcome"])),
        strips=_rates([strip.outcome for strip in per_strip]),
        per_class=tuple(_class_rates(known, name) for name in classes if name != NORMAL),
        per_strip=per_strip,
        confusion=_confusion(known, classes),
        patches_unknown=len(patches) - len(known),
    )


def _rates(results: Sequence[str]) -> Rates:
    number = {name: results.count(name) for name in ("found", "misnamed", "escape", "overkill")}
    defective = number["found"] + number["misnamed"] + number["escape"]
    return Rates(
        escape=Rate(number["escape"], defective),
        overkill=Rate(number["overkill"], len(results) - defective),
    )


def _class_rates(known: pd.DataFrame, name: str) -> ClassRates:
    own = known[known[true_column(name)] >= MIN_PIXELS]
    normal = known[known["true_class"] == NORMAL]
    return ClassRates(
        name=name,
        escape=Rate(int((own["outcome"] == "escape").sum()), len(own)),
        misnamed=Rate(int((own["outcome"] == "misnamed").sum()), len(own)),
        overkill=Rate(int((normal["indicated"] == name).sum()), len(normal)),
    )


def _strip_outcome(strip_id: str, own: pd.DataFrame) -> StripOutcome:
    results = list(own["outcome"])
    flagged = bool(own["flagged"].any())
    defective = bool((own["true_class"] != NORMAL).any())
    outcome: Outcome
    if defective:
        outcome = "found" if flagged else "escape"
    else:
        outcome = "overkill" if flagged else "passed"
    return StripOutcome(
        strip_id=strip_id,
        outcome=outcome,
        found=results.count("found"),
        misnamed=results.count("misnamed"),
        escapes=results.count("escape"),
        overkill=results.count("overkill"),
        passed=results.count("passed"),
    )


def _confusion(known: pd.DataFrame, classes: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    decided = known["indicated"].where(known["flagged"], NORMAL)
    true = known["true_class"].where(known["outcome"] != "found", known["indicated"])
    pairs = pd.Series(list(zip(true, decided, strict=True)), dtype=object)
    counts = pairs.value_counts().to_dict()
    return tuple(tuple(int(counts.get((row, column), 0)) for column in classes) for row in classes)
