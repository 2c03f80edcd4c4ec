"""The report's data for the page's scripts: columns of plain values, as compact JSON.

Columns, not objects, so that ten thousand cards stay a file that a browser reads in no time.
The scripts that read it are in `assets/`; `assets/data.js` turns columns into cards.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from inspection.pipeline.policy import DISPOSITIONS, probability_column
from inspection.report.model import BatchReport
from inspection.store.fields import FLOAT, INT, PATCH, STRIP, TEXT, Column, columns
from inspection.words import catalogue, language

DIGITS = 4
STRIPS_PER_FILE = 200
"""Strips whose patches share a file of probabilities (see `tiles`)."""
CARD = (
    Column("number", INT, "of the card, from 1", page=True),
    Column("strip", INT, "place of its strip among the strips, from 0", page=True),
    Column("no_map", TEXT, "why there is no map, else empty", page=True),
)


def payload(report: BatchReport) -> dict[str, Any]:
    """What the scripts get; numbers are rounded to four digits, missing ones are None.

    Strips and cards have the columns of strips.parquet and results.parquet that `fields` marks for
    the page, by the same names; cards those of `CARD` besides.
    """
    classes = [mark.name for mark in report.marks]
    return {
        "batch": {"name": report.batch, "fingerprint": report.fingerprint},
        "language": language(),
        "words": dict(catalogue(language()).words),
        "mmPerPx": report.mm_per_px,
        "widest": report.widest,
        "anyDefect": report.any_defect,
        "stripsPerFile": STRIPS_PER_FILE,
        "rollMarks": [
            {name: mark[name] for name in ("period", "hits", "turns")}
            for mark in report.found_marks
        ],
        "dispositions": list(DISPOSITIONS),
        "classes": [
            {
                "key": mark.name,
                "name": mark.shown,
                "colour": mark.colour,
                "symbol": mark.symbol,
                "style": mark.style,
                "column": probability_column(mark.name),
                "threshold": None if mark.threshold is None else round(mark.threshold, DIGITS),
            }
            for mark in report.marks
        ],
        "strips": _columns(report.strips, STRIP),
        "cards": _columns(report.cards, (*CARD, *columns(PATCH, classes))),
        **_similar(report),
    }


def _similar(report: BatchReport) -> dict[str, Any]:
    """What cards are alike: `similar`, pairs of this batch by their numbers; and `earlier`, of a
    card and a patch of an earlier report."""
    numbers = {(card.strip_id, card.left, card.top): card.number for card in report.cards}
    found = report.similar
    places = zip(found["strip_id"], found["left"], found["top"], strict=True)
    others = zip(
        found["similar_strip_id"], found["similar_left"], found["similar_top"], strict=True
    )
    told = found.assign(
        card=[numbers[place] for place in places],
        other=[numbers.get(place, 0) for place in others],
        similarity=found["similarity"].astype(float).round(DIGITS),
    )
    here = told["batch"] == ""
    pair = ["card", "similarity"]
    elsewhere = ["batch", "similar_strip_id", "similar_class", "raw_path"]
    return {
        "similar": told.loc[here, [*pair, "other"]].to_dict("list"),
        "earlier": told.loc[~here, [*pair, *elsewhere]].to_dict("list"),
    }


def as_script(report: BatchReport) -> str:
    """The payload as a script that sets the global `REPORT`.

    It reads the same inside a page's <script>: no `<`, no line separators of JavaScript.
    """
    text = json.dumps(payload(report), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return f"const REPORT = {as_literal(text)};\n"


def as_literal(text: str) -> str:
    """JSON in ASCII as an expression of a script; it reads the same inside a page's <script>."""
    # In single quotes, JSON's double ones, a fifth of the text, need no backslash.
    literal = text.replace("<", "\\u003c").replace("\\", "\\\\").replace("'", "\\'")
    # Browsers parse JSON in a string several times faster than the same as a literal.
    return f"JSON.parse('{literal}')"


def _columns(rows: Sequence[Any], table: Iterable[Column]) -> dict[str, list[Any]]:
    return {
        column.name: [_plain(getattr(row, column.name), column) for row in rows]
        for column in table
        if column.page
    }


def _plain(value: Any, column: Column) -> Any:
    """A cell as JSON has it; what is missing is "" among texts, else None."""
    if pd.isna(value):
        return "" if column.type == TEXT else None
    if column.type == FLOAT:
        return round(float(value), DIGITS)
    return int(value) if column.type == INT else value
