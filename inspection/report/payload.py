"""The report's data for the page's scripts: columns of plain values, as compact JSON.

Columns, not objects, so that ten thousand cards stay a file that a browser reads in no time.
The scripts that read it are in `assets/`; `assets/data.js` turns columns into cards.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from inspection.pipeline.policy import DISPOSITIONS
from inspection.report.model import BatchReport, IndicationCard, Strip

DIGITS = 4


def payload(report: BatchReport) -> dict[str, Any]:
    """What the scripts get; numbers are rounded to four digits, missing ones are None."""
    return {
        "batch": {"name": report.batch, "fingerprint": report.fingerprint},
        "mmPerPx": report.mm_per_px,
        "widest": report.widest,
        "dispositions": list(DISPOSITIONS),
        "classes": [
            {
                "name": mark.name,
                "symbol": mark.symbol,
                "style": mark.style,
                "threshold": _number(mark.threshold),
            }
            for mark in report.marks
        ],
        "strips": _columns(report.strips, _STRIP),
        "cards": _columns(report.cards, _CARD),
    }


def as_script(report: BatchReport) -> str:
    """The payload as a script that sets the global `REPORT`.

    It reads the same inside a page's <script>: no `<`, no line separators of JavaScript.
    """
    text = json.dumps(payload(report), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    literal = json.dumps(text).replace("<", "\\u003c")
    # Browsers parse JSON in a string several times faster than the same as a literal.
    return f"const REPORT = JSON.parse({literal});\n"


_STRIP: dict[str, Callable[[Strip], Any]] = {
    "id": lambda strip: strip.strip_id,
    "coil": lambda strip: strip.coil,
    "inspected": lambda strip: strip.inspected,
    "reason": lambda strip: strip.reason,
    "width": lambda strip: strip.width,
    "height": lambda strip: strip.height,
    "patches": lambda strip: strip.patches,
    "flagged": lambda strip: strip.flagged,
    "disposition": lambda strip: strip.disposition,
    "rule": lambda strip: strip.rule,
    "thumb": lambda strip: strip.thumb,
    "raw": lambda strip: strip.raw,
    "overlay": lambda strip: strip.overlay,
}

_CARD: dict[str, Callable[[IndicationCard], Any]] = {
    "number": lambda card: card.number,
    "strip": lambda card: card.strip,
    "left": lambda card: card.left,
    "top": lambda card: card.top,
    "size": lambda card: card.size,
    "class": lambda card: card.mark.index,
    "score": lambda card: _number(card.score),
    "flagged": lambda card: card.flagged,
    "p": lambda card: [_number(value) for value in card.probabilities],
    "raw": lambda card: card.raw,
    "map": lambda card: card.heat,
    "noMap": lambda card: card.no_map,
    "weak": lambda card: card.weak,
    "weakBecause": lambda card: card.weak_because,
    "trust": lambda card: _trust(card),
    "region": lambda card: _region(card),
    "runnerUp": lambda card: _runner_up(card),
    "truth": lambda card: _truth(card),
}


def _columns(rows: Sequence[Any], columns: dict[str, Callable[[Any], Any]]) -> dict[str, list[Any]]:
    return {name: [value(row) for row in rows] for name, value in columns.items()}


def _trust(card: IndicationCard) -> list[float | None] | None:
    trust = card.trust
    if trust is None:
        return None
    values = (
        trust.kept,
        trust.drop,
        trust.drop_percentile,
        trust.removed,
        trust.removed_share,
        trust.removed_percentile,
        trust.agreement,
        trust.agreement_percentile,
    )
    return [_number(value) for value in values]


def _region(card: IndicationCard) -> list[Any] | None:
    region = card.region
    if region is None:
        return None
    return [region.area, region.left, region.top, region.width, region.height, region.contour]


def _runner_up(card: IndicationCard) -> list[Any] | None:
    other = card.runner_up
    if other is None:
        return None
    return [other.mark.index, _number(other.score), other.image, _number(other.similarity)]


def _truth(card: IndicationCard) -> list[Any] | None:
    truth = card.truth
    if truth is None:
        return None
    return [
        truth.true_class,
        truth.outcome,
        truth.contour,
        _number(truth.ebpg),
        _number(truth.bbox),
    ]


def _number(value: float | None) -> float | None:
    return None if value is None else round(float(value), DIGITS)
