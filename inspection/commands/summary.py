"""What a run prints at its end: one screen, the page to open last."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from inspection.pipeline.policy import DISPOSITIONS

TOLD_AT_MOST = 20
"""Strips named on the terminal."""


def summarise(record: Mapping[str, Any], index: Path, seconds: float, up_to_date: bool) -> str:
    """The summary of a finished run from its record (batch.json)."""
    counts = record["counts"]
    by_class = _listed(counts["flagged_by_class"])
    dispositions = {
        name: counts["dispositions"][name]
        for name in DISPOSITIONS
        if name in counts["dispositions"]
    }
    lines = [
        f"batch         {record['batch']}{' (up to date)' if up_to_date else ''}",
        f"strips        {counts['strips']} found: {counts['inspected']} inspected, "
        f"{counts['unreadable']} unreadable"
        + (f", {counts['not_judged']} not judged" if counts["not_judged"] else "")
        + f"; {counts['skipped']} other files skipped"
        + (f", {counts['passed_over']} of them images" if counts["passed_over"] else ""),
        f"patches       {counts['patches']}, {counts['without_steel']} of them without steel; "
        f"{counts['flagged']} flagged"
        + (f": {by_class}" if by_class else "")
        + (f"; {counts['near']} not flagged, but unsure" if counts.get("near") else ""),
        f"dispositions  {_listed(dispositions)} (proposed)",
        f"explained     {counts['explained']} patches, {counts['without_map']} without a map; "
        f"{counts['forwards']} forward passes ({record['config']['sise']['budget_in_words']})",
        f"time          {seconds:.1f} s on {record['device']}, {record['config']['precision']}",
        str(index),
    ]
    return "\n".join(lines)


def not_inspected(strips: pd.DataFrame) -> Iterator[str]:
    """A line for each strip that could not be read or judged, of rows of strips.parquet."""
    missing = strips[strips["status"] != "inspected"]
    for strip in missing.head(TOLD_AT_MOST).itertuples():
        name = str(strip.strip_id)
        yield f"{name if name.isprintable() else ascii(name)}: {strip.status}: {strip.reason}"
    if len(missing) > TOLD_AT_MOST:
        yield f"and {len(missing) - TOLD_AT_MOST} more: all are in the report"


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())
