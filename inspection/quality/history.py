"""Earlier reports as the background of a batch's chart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from inspection.pipeline.settings import By
from inspection.quality.laney import Subgroup
from inspection.store.reading import OpenedReport, open_report
from severstal_prep.remote import named

_BY: Mapping[By, tuple[str, ...]] = {
    "strip": ("strip_id",), "coil": ("coil",), "side": ("coil", "side"), "shift": ("shift",),
}  # fmt: skip
_COLUMNS = ("strip_id", "coil", "side", "shift")
SAME_STRIPS = "the same strips"


@dataclass(frozen=True)
class History:
    """Subgroups of earlier reports, in order of time, and the reports left out with the reason."""

    subgroups: tuple[Subgroup, ...]
    left_out: tuple[tuple[str, str], ...]


def subgroups(batch: str, patches: pd.DataFrame, by: By) -> tuple[Subgroup, ...]:
    """A subgroup per strip, coil, side of a coil or shift, in the order of the rows. Patches
    without steel, which cannot be flagged, do not count. Reports of earlier versions know no side
    and no shift."""
    judged = patches[patches["steel"]].reindex(columns=[*_COLUMNS, "flagged"])
    groups = judged.fillna("").groupby(list(_BY[by]), sort=False)["flagged"]
    return tuple(
        Subgroup(batch, ", ".join(str(part) for part in name if part), int(flags.sum()), len(flags))
        for name, flags in groups
    )


def read_history(report: OpenedReport, folders: Iterable[Path], by: By) -> History:
    """`history` of the reports in these folders.

    Raises ReportFolderError for a folder without a finished report.
    """
    return history(report, [open_report(folder) for folder in folders], by)


def history(report: OpenedReport, others: Iterable[OpenedReport], by: By) -> History:
    """The subgroups of earlier reports whose rates can be compared with this report's.

    Left out are the report itself, a report of strips seen before, and reports that another
    model, other thresholds or another tiling made.
    """
    seen = {_inputs(report)}
    kept: list[Subgroup] = []
    left_out: list[tuple[str, str]] = []
    for earlier in sorted(others, key=lambda other: other.record["started"]):
        reason = _why_left_out(report.record, earlier.record)
        if _inputs(earlier) in seen:
            reason = SAME_STRIPS
        if reason:
            left_out.append((named(str(earlier.root)), reason))
            continue
        seen.add(_inputs(earlier))
        kept += subgroups(earlier.record["batch"], earlier.patches, by)
    return History(tuple(kept), tuple(left_out))


def _inputs(report: OpenedReport) -> frozenset[str]:
    return frozenset(entry["sha256"] for entry in report.record["inputs"])


def _why_left_out(ours: Any, theirs: Any) -> str:
    if theirs["started"] >= ours["started"]:
        return "not earlier"
    if theirs["bundle"]["sha256"] != ours["bundle"]["sha256"]:
        return "another model"
    names: Sequence[str] = ("thresholds", "any_defect_threshold", "stride", "black_threshold")
    if any(theirs["config"].get(name) != ours["config"].get(name) for name in names):
        return "other thresholds or tiling"
    return ""
