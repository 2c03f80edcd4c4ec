"""A report folder becomes a batch of the review: its strips, its patches, its identity."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from inspection.pipeline.policy import NORMAL
from inspection.review.database import Database
from inspection.review.errors import RegistrationError
from inspection.review.originals import place
from inspection.review.queries import batch_by_fingerprint, strips_of
from inspection.review.schema import batches, patches, strips
from inspection.store import folder
from inspection.store.frames import records
from inspection.store.reading import NOT_FINITE, OpenedReport
from inspection.store.record_types import RegisteredRecord, read_record
from inspection.store.tables import content_key
from severstal_prep.files import file_sha256
from severstal_prep.parquet import read_table
from severstal_prep.training_crops import CROP_SIDE

_STRIPS = "strips.parquet"
_PATCHES = "results.parquet"
_STRIP_COLUMNS = {"strip_id", "coil", "strip_sha256", "status", "disposition"}
_PATCH_COLUMNS = {"strip_id", "left", "patch_key", "steel", "flagged", "indicated", "score"}
_SETTINGS = ("thresholds", "stride", "black_threshold")
_LATER_SETTINGS = ("any_defect_threshold",)
"""Which reports of earlier versions lack; their settings keep their key."""


def read_report(root: Path) -> OpenedReport:
    """Read a report folder. Raises RegistrationError if it is none, or not finished."""
    path = root / folder.RECORD
    try:
        record = read_record(root, RegisteredRecord)
        names = (_STRIPS, _PATCHES)
        tables = [read_table(root / name) for name in names]
    except OSError as error:
        raise RegistrationError(
            f"{root}: no finished report here ({error.filename or path}: {error.strerror}); "
            "run defect-inspect run to its end"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise RegistrationError(f"{root}: damaged or of another version ({error})") from error
    for name, table, needed in zip(names, tables, (_STRIP_COLUMNS, _PATCH_COLUMNS), strict=True):
        if missing := needed - set(table.columns):
            raise RegistrationError(
                f"{root / name}: made by another version, {min(missing)!r} is missing; "
                "inspect the batch again"
            )
    if not np.isfinite(tables[1]["score"].to_numpy(np.float64, na_value=np.nan)).all():
        raise RegistrationError(f"{root}: {NOT_FINITE}")
    return OpenedReport(root.resolve(), record, strips=tables[0], patches=tables[1])


def register(database: Database, report: OpenedReport, strips_folder: Path | None = None) -> bool:
    """Register a report; tell whether it is new. One that was moved gets its new place, one
    that an older version registered what that did not keep.

    `strips_folder` is where the batch's strips lie now; where they were inspected unless
    given. Raises RegistrationError if a batch of the same fingerprint has other results.
    """
    record = report.record
    renewed = {
        "report_folder": str(report.root),
        "strips_folder": str(strips_folder.resolve() if strips_folder else record["batch_folder"]),
        "settings": _settings(record),
    }
    tables = (_STRIPS, _PATCHES)
    sha256 = content_key(**{name: file_sha256(report.root / name) for name in tables})
    with database.writing() as connection:
        known = batch_by_fingerprint(connection, record["fingerprint"])
        if known is not None:
            if known.report_sha256 != sha256:
                raise RegistrationError(
                    f"{report.root}: {known.report_folder} is registered for the same batch and "
                    "settings, but with other figures; keep one of the two"
                )
            connection.execute(batches.update().where(batches.c.id == known.id).values(renewed))
            return False
        row = connection.execute(
            batches.insert()
            .values(
                name=record["batch"],
                fingerprint=record["fingerprint"],
                report_sha256=sha256,
                bundle_sha256=record["bundle"]["sha256"],
                architecture=record["bundle"]["architecture"],
                classes=record["bundle"]["classes"],
                patch_size=(record.get("config") or {}).get("patch", CROP_SIDE),
                inspected=datetime.fromisoformat(record["ended"]),
                registered=datetime.now(UTC),
                **renewed,
            )
            .returning(batches.c.id)
        ).one()
        _insert_rows(connection, row.id, report)
    return True


def _settings(record: Mapping[str, Any]) -> str:
    """Equal for reports whose rates of flagged patches can be compared, given the model."""
    config = record.get("config") or {}
    parts = {name: config.get(name) for name in _SETTINGS}
    later = {name: config[name] for name in _LATER_SETTINGS if name in config}
    return content_key(**parts, **later)


def _insert_rows(connection: sa.Connection, batch_id: int, report: OpenedReport) -> None:
    connection.execute(
        strips.insert(),
        [
            {
                "batch_id": batch_id,
                "strip": row["strip_id"],
                "coil": row["coil"],
                "sha256": row["strip_sha256"],
                "inspected": row["status"] == "inspected",
                "proposed": row["disposition"],
            }
            for row in records(report.strips)
        ],
    )
    numbers = {row.strip: row.id for row in strips_of(connection, batch_id)}
    rows = [
        {
            "strip_id": numbers[row["strip_id"]],
            "left": place(row),
            "patch_key": row["patch_key"],
            "steel": bool(row["steel"]),
            "flagged": bool(row["flagged"]),
            "verdict": row["indicated"] if row["flagged"] else NORMAL,
            "score": float(row["score"]),
        }
        for row in records(report.patches)
    ]
    if rows:
        connection.execute(patches.insert(), rows)
