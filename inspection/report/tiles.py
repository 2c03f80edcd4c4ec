"""The probabilities of every patch, for the page's strip viewer: files that it loads when asked.

They are scripts, because a page from disk can load no other data. Each is of `STRIPS_PER_FILE`
strips, so that a batch of 100,000 strips opens one as fast as a batch of ten.
"""

import json
from collections.abc import Iterator
from typing import Literal

from inspection.report.model import BatchReport
from inspection.report.payload import DIGITS, STRIPS_PER_FILE, as_literal
from inspection.store.fields import PATCH, columns

_TOLD = ("left", "top", "size", "steel", "flagged", "class_unsure", "near")


def tile_files(report: BatchReport) -> Iterator[tuple[str, bytes]]:
    """The files by name inside the report: each calls `takeTiles(number, columns)`.

    Columns are those of results.parquet by the same names, and `strip`, the strip's place among the
    strips, from 0; probabilities are rounded to four digits.
    """
    names = [mark.name for mark in report.marks]
    shares = [one.name for one in columns(PATCH, names) if one.name.startswith("p_")]
    places = {strip.strip_id: place for place, strip in enumerate(report.strips)}
    own = report.patches["strip_id"].map(places).astype(int)
    told = report.patches[[*_TOLD, *shares]].assign(strip=own)
    told[shares] = told[shares].astype(float).round(DIGITS)
    for number, rows in told.groupby(told["strip"] // STRIPS_PER_FILE, sort=True):
        text = json.dumps(rows.to_dict("list"), separators=(",", ":"), allow_nan=False)
        script = f"takeTiles({number}, {as_literal(text)});\n"
        yield tile_name(int(str(number))), script.encode()


def tile_name(number: int | Literal["*"]) -> str:
    """The name of a file inside the report, or of all."""
    return f"data/tiles-{number}.js"
