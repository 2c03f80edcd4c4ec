"""A finished report, opened again: its record, its tables, its maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from inspection.errors import ReportFolderError
from inspection.pipeline.judged import finite
from inspection.store.record_types import ComparedRecord, read_record
from severstal_prep.errors import UnreadableImageError
from severstal_prep.images import read_image
from severstal_prep.parquet import read_table

FEATURES = "features"
"""The column that only the search for similar patches reads: it is larger than all others."""

NOT_FINITE = (
    "holds probabilities that are not finite, so that its proposals mean nothing; inspect the "
    "batch again, with a bundle whose weights are finite"
)


@dataclass(frozen=True)
class OpenedReport:
    """A report folder with its batch.json (`record`) and its rows of patches and strips."""

    root: Path
    record: Mapping[str, Any]
    patches: pd.DataFrame
    strips: pd.DataFrame

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the model's outputs; one is "normal"."""
        return tuple(self.record["bundle"]["classes"])


def open_report(root: Path) -> OpenedReport:
    """Read a report folder's record and tables, but for the features of patches.

    Raises ReportFolderError for a folder without a finished report, for one that is damaged, and
    for one in which the model's answers are not finite, as earlier versions made them.
    """
    try:
        record = read_record(root, ComparedRecord)
        names = ("results.parquet", "strips.parquet")
        tables = [read_table(root / name, lambda column: column != FEATURES) for name in names]
        tables[0][["strip_id", "coil", "steel", "flagged"]]
        known = finite(tables[0], record["bundle"]["classes"])
    except NotADirectoryError as error:
        raise ReportFolderError(
            f"{root}: a file; name the folder that defect-inspect run has written"
        ) from error
    except FileNotFoundError as error:
        raise ReportFolderError(
            f"{root}: no finished report here ({Path(str(error.filename)).name} is missing); "
            "name a folder that defect-inspect run has written"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowInvalid) as error:
        missing = "no entry " if isinstance(error, KeyError) else ""
        reason = missing + " ".join(str(error).split())
        raise ReportFolderError(
            f"{root}: a damaged report ({reason}); make it again with defect-inspect run"
        ) from error
    if not known.all():
        raise ReportFolderError(f"{root}: {NOT_FINITE}")
    return OpenedReport(root, record, *tables)


def read_map(report: Path, name: str) -> npt.NDArray[np.uint8]:
    """The map (H, W) uint8, 255 being 1, that results.parquet calls `name`.

    Raises ReportFolderError for a map that is missing, damaged or outside the report.
    """
    path = report / name
    if not path.resolve().is_relative_to(report.resolve()):
        raise ReportFolderError(f"{report}: results.parquet names a map outside it, {name}")
    try:
        return np.ascontiguousarray(read_image(path)[:, :, 0])
    except UnreadableImageError as error:
        raise ReportFolderError(f"{error}; make the report again") from error
