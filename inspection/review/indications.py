"""A batch's indications with what people decided, for a spreadsheet: CSV or Excel."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa
import xlsxwriter  # type: ignore[import-untyped]

from inspection.review.errors import SheetError
from inspection.review.log import read_log
from inspection.review.originals import place
from inspection.review.queries import Row, flagged_or_decided_patches, strips_of
from inspection.review.register import read_report
from inspection.review.releases import latest_releases
from inspection.review.reviewed import human_class
from inspection.review.state import OPEN, State, states
from inspection.store.checksums import CHECKSUMS
from inspection.store.frames import records
from inspection.store.reading import OpenedReport
from inspection.store.tables import write_csv
from severstal_prep.files import file_sha256, replacing

KINDS = (".csv", ".xlsx")
_WIDEST = 40


@dataclass(frozen=True)
class Sheets:
    """The tables: a row per flagged or decided patch, a row per strip, and what they are of."""

    indications: pd.DataFrame
    strips: pd.DataFrame
    about: pd.DataFrame


def sheets(connection: sa.Connection, batch: Row) -> Sheets:
    """The sheets of a batch. Raises RegistrationError if its report is not where it was."""
    report = read_report(Path(batch.report_folder))
    known = states(read_log(connection, batch.id))
    released = {
        coil: release.disposition for coil, release in latest_releases(connection, batch.id).items()
    }
    strips = {row.id: row for row in strips_of(connection, batch.id)}
    rows = {(str(row["strip_id"]), place(row)): row for row in records(report.patches)}
    per_mm = report.record["config"].get("mm_per_px")
    given = {
        number: _decided(known.get(("strip", number), OPEN), lambda decision: decision.value)
        for number in strips
    }
    indications = [
        _indication(
            rows[strips[patch.strip_id].strip, patch.left], patch, strips[patch.strip_id],
            known.get(("patch", patch.id), OPEN), per_mm,
        )
        | {
            "disposition": given[patch.strip_id]["people"],
            "release": _release(released, strips[patch.strip_id].coil),
        }
        for patch in flagged_or_decided_patches(connection, batch.id)
    ]  # fmt: skip
    own = [
        {
            "strip": row.strip, "coil": row.coil, "inspected": bool(row.inspected),
            "proposed": row.proposed, "state": given[number]["state"],
            "disposition": given[number]["people"], "reviewer": given[number]["reviewer"],
            "time": given[number]["time"], "reason": given[number]["reason"],
            "release": _release(released, row.coil),
        }
        for number, row in strips.items()
    ]  # fmt: skip
    return Sheets(
        pd.DataFrame(indications, columns=list(COLUMNS)), pd.DataFrame(own), _about(report)
    )


COLUMNS = (
    "strip", "coil", "left_px", "top_px", "size_px", "left_mm", "top_mm", "coil_m", "class",
    "probability", "class_unsure", "state", "people", "reviewer", "time", "reason", "proposed",
    "disposition", "release",
)  # fmt: skip
"""The columns of the indications, as docs/review.md describes them."""


def _indication(
    row: Mapping[str, Any], patch: Row, strip: Row, state: State, per_mm: float | None
) -> dict[str, Any]:
    left, top = int(row["left"]), int(row.get("top") or 0)
    told = _decided(state, lambda decision: human_class(decision, patch.verdict))
    return {
        "strip": strip.strip,
        "coil": strip.coil,
        "left_px": left,
        "top_px": top,
        "size_px": int(row.get("size") or 0),
        "left_mm": None if per_mm is None else round(left * per_mm, 2),
        "top_mm": None if per_mm is None else round(top * per_mm, 2),
        "coil_m": row.get("coil_m"),
        "class": patch.verdict,
        "probability": round(float(patch.score), 4),
        "class_unsure": bool(row.get("class_unsure", False)),
        **told,
        "proposed": strip.proposed,
    }


def _decided(state: State, said: Any) -> dict[str, Any]:
    """What people say, of a dispute all sides; a disputed one is not decided."""
    return {
        "state": state.status,
        "people": " / ".join(dict.fromkeys(said(one) for one in state.current)),
        "reviewer": ", ".join(dict.fromkeys(one.reviewer for one in state.current)),
        "time": max((one.decided.isoformat() for one in state.current), default=""),
        "reason": " / ".join(one.reason for one in state.current if one.reason),
    }


def _release(released: Mapping[str, str], coil: str) -> str:
    """The release of a coil, else that of the whole batch."""
    return released.get(coil) or released.get("", "")


def _about(report: OpenedReport) -> pd.DataFrame:
    seal = report.root / CHECKSUMS
    record = report.record
    lines = {
        "what": "indications of a steel-sise report, with the decisions in the review",
        "batch": record["batch"],
        "inspected": record["ended"],
        "fingerprint": record["fingerprint"],
        "seal": file_sha256(seal) if seal.is_file() else "",
        "mm per px": record["config"].get("mm_per_px"),
    }
    return pd.DataFrame({"entry": list(lines), "value": [str(value) for value in lines.values()]})


def write_sheets(made: Sheets, out: Path) -> None:
    """Write the indications as CSV, or all sheets as Excel, by the name's end.

    Raises SheetError for another one.
    """
    if out.suffix.lower() == ".csv":
        write_csv(out, made.indications)
    elif out.suffix.lower() == ".xlsx":
        with replacing(out) as temporary:
            _write_excel(made, temporary)
    else:
        raise SheetError(f"{out}: end the name with {' or '.join(KINDS)}")


def _write_excel(made: Sheets, path: Path) -> None:
    # Text stays text: no formulas, numbers or links are made of it.
    options = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(path, options | {"nan_inf_to_errors": False}) as book:
        bold = book.add_format({"bold": True})
        for name, table in (
            ("Indications", made.indications), ("Strips", made.strips), ("About", made.about),
        ):  # fmt: skip
            sheet = book.add_worksheet(name)
            cells = table.astype(object).where(table.notna(), None)
            for place_, column in enumerate(table.columns):
                values = cells[column].tolist()
                sheet.write_string(0, place_, str(column), bold)
                for row, value in enumerate(values, 1):
                    if isinstance(value, str):
                        sheet.write_string(row, place_, value)
                    elif value is not None:
                        sheet.write(row, place_, value)
                longest = max([len(str(column)), *(len(str(v)) for v in values[:500])])
                sheet.set_column(place_, place_, min(longest + 2, _WIDEST))
            sheet.freeze_panes(1, 0)
            if len(table):
                sheet.autofilter(0, 0, len(table), len(table.columns) - 1)
