"""From a row of results.parquet to the card of its patch."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from inspection.pipeline.policy import probability_column
from inspection.report.model import ClassMark, IndicationCard, Region, RunnerUp, Trust, Truth
from sise.status import CONSTANT_MAP, NO_POSITIVE_GRADIENT, NOT_FINITE, OK

_NO_MAP = {
    NO_POSITIVE_GRADIENT: (
        "No map: no feature map of the model raises this class here, so there is nothing to show."
    ),
    CONSTANT_MAP: "No map: every pixel counts alike, so no place stands out.",
    NOT_FINITE: "No map: the calculation left the range of numbers; treat the score with care.",
}


def make_card(
    patch: Mapping[str, Any], number: int, strip: int, marks: Sequence[ClassMark]
) -> IndicationCard:
    """The card of an explained patch; `strip` is the place of its strip in the report."""
    status = patch["map_status"]
    has_map = status == OK
    by_name = {mark.name: mark for mark in marks}
    return IndicationCard(
        number=number,
        strip=strip,
        left=patch["left"],
        size=patch["size"],
        mark=by_name[patch["target"]],
        score=patch["score"],
        flagged=patch["flagged"],
        probabilities=tuple(float(patch[probability_column(mark.name)]) for mark in marks),
        raw=patch["raw_path"],
        overlay=patch["overlay_path"],
        heat=patch["map_path"],
        no_map="" if has_map else _NO_MAP.get(status, f"No map: {status}."),
        trust=_trust(patch) if has_map and known(patch["drop"]) is not None else None,
        weak=patch["weak"],
        weak_because=patch["weak_because"],
        region=_region(patch) if has_map else None,
        runner_up=_runner_up(patch, by_name),
        truth=_truth(patch),
        patch_key=patch["patch_key"],
        top=patch["top"],
    )


def _trust(patch: Mapping[str, Any]) -> Trust:
    return Trust(
        whole=patch["whole_score"],
        kept=patch["kept_score"],
        removed=patch["removed_score"],
        drop=patch["drop"],
        removed_share=patch["removed_share"],
        agreement=known(patch["agreement"]),
        drop_percentile=patch["drop_percentile"],
        removed_percentile=patch["removed_percentile"],
        agreement_percentile=known(patch["agreement_percentile"]),
    )


def _region(patch: Mapping[str, Any]) -> Region:
    return Region(
        area=int(patch["region_area"]),
        left=int(patch["region_left"]),
        top=int(patch["region_top"]),
        width=int(patch["region_width"]),
        height=int(patch["region_height"]),
        contour=patch["region_contour"],
    )


def _runner_up(patch: Mapping[str, Any], marks: Mapping[str, ClassMark]) -> RunnerUp | None:
    if not patch["runner_up"]:
        return None
    return RunnerUp(
        mark=marks[patch["runner_up"]],
        score=patch["runner_up_score"],
        image=patch["runner_up_map_path"],
        similarity=known(patch["runner_up_similarity"]),
    )


def _truth(patch: Mapping[str, Any]) -> Truth | None:
    if not patch["outcome"]:
        return None
    return Truth(
        true_class=patch["true_class"],
        outcome=patch["outcome"],
        contour=patch["true_contour"],
        ebpg=known(patch["ebpg"]),
        bbox=known(patch["bbox"]),
    )


def known(value: Any) -> float | None:
    """A number of a table; None where it is missing."""
    return None if pd.isna(value) else float(value)
