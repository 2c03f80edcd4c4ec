"""The indications that look most alike to the network: of this batch, and of earlier reports.

Features (see `pipeline.features`) are compared by their cosine, all with all: exact, in blocks, so
that memory stays flat. Those of two networks cannot be compared.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from inspection.errors import ReportFolderError
from inspection.pipeline.features import of_length_one
from inspection.store.frames import rows
from inspection.store.reading import OpenedReport
from severstal_prep.parquet import read_table

Vectors = npt.NDArray[np.float32]
Found = tuple[npt.NDArray[np.int64], Vectors]

OF_THIS_BATCH = 5
OF_EARLIER = 3
_OVERLAPPING = 8
"""Patches of the same strip that may overlap one, and show the same."""
_BLOCK = 2**24
"""Cosines held at a time: 64 MiB."""
_EARLIER_COLUMNS = ("strip_id", "strip_sha256", "left", "top", "target", "raw_path", "features")


def nearest(of: Vectors, among: Vectors, count: int) -> Found:
    """For each of the vectors (Q, N) the `count` nearest of (M, N), all of length 1 or 0, by
    cosine: places and cosines (Q, min(count, M)), the nearest first, of equal ones the first."""
    count = min(count, len(among))
    places = np.empty((len(of), count), np.int64)
    cosines = np.empty((len(of), count), np.float32)
    step = max(1, _BLOCK // max(1, len(among)))
    for start in range(0, len(of) if count else 0, step):
        share = slice(start, start + step)
        found = of[share] @ among.T
        best = np.sort(np.argpartition(-found, count - 1, axis=1)[:, :count], axis=1)
        values = np.take_along_axis(found, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        places[share] = np.take_along_axis(best, order, axis=1)
        cosines[share] = np.take_along_axis(values, order, axis=1)
    return places, cosines


def find_similar(report: OpenedReport, earlier: Sequence[OpenedReport]) -> pd.DataFrame:
    """Rows of similar.parquet (`fields.SIMILAR`) for the explained patches of a report.

    Of its own batch, patches that overlap the patch are left out; of earlier reports those of
    another model, and patches of strips that are in this batch, too. `raw_path` is inside the
    report named by `root`, None for this one. Raises ReportFolderError for an earlier report that
    is damaged.
    """
    own = report.patches[report.patches["features"].notna()].reset_index(drop=True)
    if own.empty:
        return pd.DataFrame(columns=["raw_path", "root"])
    vectors = _vectors(own)
    found = [*_of_this_batch(own, vectors), *_of_earlier(report, earlier, own, vectors)]
    return pd.DataFrame(found, columns=None if found else ["raw_path", "root"])


def _vectors(patches: pd.DataFrame) -> Vectors:
    stored = b"".join(patches["features"])
    halves = np.frombuffer(stored, np.float16).reshape(len(patches), -1)
    return of_length_one(halves.astype(np.float32))  # again, as rounded they are not


def _of_this_batch(own: pd.DataFrame, vectors: Vectors) -> Iterator[dict[str, Any]]:
    places, cosines = nearest(vectors, vectors, OF_THIS_BATCH + 1 + _OVERLAPPING)
    strip = own["strip_id"].to_numpy()
    corners = own[["left", "top"]].to_numpy()
    sides = own["size"].to_numpy()
    listed = [*rows(own)]
    for index, row in enumerate(listed):
        apart = (abs(corners[places[index]] - corners[index]) >= sides[index]).any(axis=1)
        other = (strip[places[index]] != strip[index]) | apart
        chosen = np.flatnonzero(other)[:OF_THIS_BATCH]
        for place, cosine in zip(places[index][chosen], cosines[index][chosen], strict=True):
            yield _row(row, listed[place], cosine, "", None)


def _of_earlier(
    report: OpenedReport, earlier: Sequence[OpenedReport], own: pd.DataFrame, vectors: Vectors
) -> Iterator[dict[str, Any]]:
    """The nearest of all earlier reports together, of which one is in memory at a time."""
    nearest_yet: list[list[tuple[float, Any, OpenedReport]]] = [[] for _ in range(len(own))]
    strips = set(report.patches["strip_sha256"])
    for other in earlier:
        if other.record["bundle"]["sha256"] != report.record["bundle"]["sha256"]:
            continue
        theirs = _read(other.root)
        theirs = theirs[~theirs["strip_sha256"].isin(strips)]
        if theirs.empty:
            continue
        listed = [*rows(theirs.drop(columns="features"))]
        for known, places, cosines in zip(
            nearest_yet, *nearest(vectors, _vectors(theirs), OF_EARLIER), strict=True
        ):
            known += [
                (float(cosine), listed[place], other)
                for place, cosine in zip(places, cosines, strict=True)
            ]
            known.sort(key=lambda one: -one[0])
            del known[OF_EARLIER:]
    for row, known in zip(rows(own), nearest_yet, strict=True):
        for cosine, theirs_row, other in known:
            yield _row(row, theirs_row, cosine, other.record["batch"], other.root)


def _read(root: Path) -> pd.DataFrame:
    """The patches with features of a report; none of one that an earlier version made."""
    try:
        table = read_table(root / "results.parquet", lambda name: name in _EARLIER_COLUMNS)
    except (OSError, ValueError) as error:
        raise ReportFolderError(f"{root}: a damaged report ({error})") from error
    if set(_EARLIER_COLUMNS) - set(table.columns):
        return table.iloc[:0]
    return table[table["features"].notna()].reset_index(drop=True)


def _row(row: Any, other: Any, cosine: float, batch: str, root: Path | None) -> dict[str, Any]:
    return {
        "strip_id": row.strip_id,
        "left": row.left,
        "top": row.top,
        "similarity": cosine,
        "batch": batch,
        "similar_strip_id": other.strip_id,
        "similar_left": other.left,
        "similar_top": other.top,
        "similar_class": other.target,
        "raw_path": other.raw_path,
        "root": root,
    }
