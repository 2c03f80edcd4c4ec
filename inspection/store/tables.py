"""The results store: work in progress keyed by content, and the tables of the report."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from inspection.pipeline.policy import NORMAL, probability_column
from severstal_prep.files import replacing

FLAGGED_CSV_COLUMNS = (
    "strip_id",
    "coil",
    "left",
    "top",
    "size",
    "indicated",
    "score",
    "map_status",
    "drop",
    "region_area",
    "region_left",
    "region_top",
    "region_width",
    "region_height",
    "patch_key",
    "strip_sha256",
)


def patch_key(strip_sha256: str, left: int, top: int, size: int) -> str:
    """The identity of a patch by content and place: SHA-256 of "sha256 left top size", hex."""
    return hashlib.sha256(f"{strip_sha256} {left} {top} {size}".encode()).hexdigest()


def content_key(**parts: Any) -> str:
    """SHA-256 (hex) of named values in canonical JSON: equal parts, equal key."""
    text = json.dumps(
        parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


class Shards:
    """Small tables on disk, each under a content key: what is there need not be done again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> pd.DataFrame | None:
        """The table stored under `key`; None if there is none or it is damaged."""
        try:
            return pd.read_parquet(self.folder / f"{key}.parquet")
        except (OSError, pa.ArrowInvalid):
            return None

    def put(self, key: str, frame: pd.DataFrame) -> None:
        """Store a table under `key`: all of it or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / f"{key}.parquet") as temporary:
            frame.to_parquet(temporary, index=False, compression="zstd")


def patch_schema(classes: Sequence[str]) -> pa.Schema:
    """The columns of results.parquet: a row per patch of every inspected strip."""
    probabilities = [
        _field(probability_column(name), pa.float32(), f"calibrated probability of {name!r}")
        for name in classes
    ]
    return pa.schema(
        [
            _field("strip_id", pa.string(), "path of the strip inside the batch folder"),
            _field("coil", pa.string(), "folder part of strip_id; empty at the top"),
            _field("strip_sha256", pa.string(), "SHA-256 of the strip's file"),
            _field("width", pa.int32(), "width of the strip, px"),
            _field("left", pa.int32(), "left edge of the patch on the strip, px"),
            _field("top", pa.int32(), "top edge of the patch on the strip, px"),
            _field("size", pa.int32(), "side of the square patch, px"),
            _field("patch_key", pa.string(), "SHA-256 of 'strip_sha256 left top size'"),
            _field("black_fraction", pa.float32(), "share of pixels darker than grey 15"),
            *probabilities,
            _field("steel", pa.bool_(), "false where the patch is too black to be judged"),
            _field("predicted", pa.string(), "most probable class"),
            _field("flagged", pa.bool_(), "whether a defect class reaches its threshold"),
            _field("indicated", pa.string(), "most probable class that reaches it, else empty"),
            _field("score", pa.float32(), "probability of indicated, else of predicted"),
            _field("explained", pa.bool_(), "whether SISE was asked for a map"),
            _field("target", pa.string(), "class the map explains"),
            _field("map_status", pa.string(), "ok, or why there is no map"),
            _field("forwards", pa.int32(), "forward passes spent on the map"),
            _field("whole_score", pa.float32(), "target's probability on the whole patch"),
            _field("kept_score", pa.float32(), "… on the map's top 15 %, the rest filled"),
            _field("removed_score", pa.float32(), "… with the map's top 15 % filled"),
            _field("drop", pa.float32(), "max(0, whole - kept) / whole, in [0, 1]"),
            _field("region_area", pa.int32(), "pixels where the map exceeds its Otsu threshold"),
            _field("region_left", pa.int32(), "their bounding box inside the patch, px"),
            _field("region_top", pa.int32(), "… top edge"),
            _field("region_width", pa.int32(), "… width"),
            _field("region_height", pa.int32(), "… height"),
            _field("region_contour", pa.string(), "their outlines inside the patch, SVG path data"),
            _field("agreement", pa.float32(), "correlation with Grad-CAM's map, in [-1, 1]"),
            _field("removed_share", pa.float32(), "removed_score / whole_score"),
            _field("weak", pa.bool_(), "whether the explanation is weak by the policy's rule"),
            _field("weak_because", pa.string(), "the tests that failed, or no map; else empty"),
            _field("drop_percentile", pa.float32(), "share of the batch's maps that do worse, %"),
            _field("removed_percentile", pa.float32(), "… by removed_share"),
            _field("agreement_percentile", pa.float32(), "… by agreement"),
            _field("runner_up", pa.string(), "most probable class but target"),
            _field("runner_up_score", pa.float32(), "its calibrated probability"),
            _field("runner_up_status", pa.string(), "ok, or why it has no map"),
            _field("runner_up_forwards", pa.int32(), "forward passes spent on its map"),
            _field("runner_up_similarity", pa.float32(), "correlation of both maps, in [-1, 1]"),
            _field("runner_up_map_path", pa.string(), "its map, 8-bit grey PNG"),
            _field("true_class", pa.string(), "by the label file; normal or a defect class"),
            _field("outcome", pa.string(), "found, misnamed, escape, overkill, passed or unknown"),
            _field("ebpg", pa.float32(), "share of the map's energy on target's true mask"),
            _field("bbox", pa.float32(), "share of that mask's pixels among the map's top ones"),
            _field("true_contour", pa.string(), "outlines of that mask, SVG path data"),
            _field("raw_path", pa.string(), "the patch, JPEG"),
            _field("overlay_path", pa.string(), "the map over the patch, JPEG"),
            _field("map_path", pa.string(), "the map, 8-bit grey PNG: 255 is 1"),
        ]
    )


def strip_schema(classes: Sequence[str]) -> pa.Schema:
    """The columns of strips.parquet: a row per strip found, inspected or not."""
    counts = [
        _field(flagged_column(name), pa.int32(), f"patches that indicate {name!r}")
        for name in classes
        if name != NORMAL
    ]
    return pa.schema(
        [
            _field("strip_id", pa.string(), "path of the strip inside the batch folder"),
            _field("coil", pa.string(), "folder part of strip_id; empty at the top"),
            _field("strip_sha256", pa.string(), "SHA-256 of the file; empty if it cannot be read"),
            _field("bytes", pa.int64(), "size of the file"),
            _field("width", pa.int32(), "px; null if not inspected"),
            _field("height", pa.int32(), "px; null if not inspected"),
            _field("status", pa.string(), "inspected, unreadable or not judged"),
            _field("reason", pa.string(), "why it was not inspected, else empty"),
            _field("patches", pa.int32(), "patches classified"),
            _field("flagged", pa.int32(), "patches flagged"),
            *counts,
            _field("disposition", pa.string(), "proposed by the policy"),
            _field("rule", pa.string(), "the rule that fired"),
            _field("thumb_path", pa.string(), "the strip, reduced"),
            _field("raw_path", pa.string(), "the strip, JPEG; only if a patch is explained"),
            _field("overlay_path", pa.string(), "maps of its explained patches over the strip"),
        ]
    )


def flagged_column(class_name: str) -> str:
    """The column of strips.parquet that counts a class's flagged patches."""
    return "flagged_" + probability_column(class_name).removeprefix("p_")


def _field(name: str, kind: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": description})


def write_table(path: Path, frame: pd.DataFrame, schema: pa.Schema) -> pd.DataFrame:
    """Write a frame as Parquet with exactly the schema's columns; absent columns are null.

    Returns the rows as a reader of the file gets them, so that whatever else is made of them
    can be made again from the file.
    """
    complete = frame.reindex(columns=schema.names)
    table = pa.Table.from_pandas(complete, schema=schema, preserve_index=False)
    with replacing(path) as temporary:
        # Pandas' own metadata would only repeat the schema, and differs between versions.
        pq.write_table(table.replace_schema_metadata(None), temporary, compression="zstd")
    return pd.read_parquet(path)


def write_flagged_csv(path: Path, patches: pd.DataFrame) -> None:
    """Write the flagged patches for a spreadsheet."""
    flagged = patches[patches["flagged"]]
    write_csv(path, flagged.reindex(columns=list(FLAGGED_CSV_COLUMNS)))


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table for a spreadsheet (UTF-8 with a byte-order mark, for Excel).

    A text cell that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    guarded = table.map(lambda cell: guard_cell(cell) if isinstance(cell, str) else cell)
    with replacing(path) as temporary:
        guarded.to_csv(temporary, index=False, encoding="utf-8-sig", float_format="%.6g")


def guard_cell(text: str) -> str:
    """Put an apostrophe before text that starts like a formula and is no number."""
    if not text.startswith(("=", "+", "-", "@", "\t", "\r")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, indented: the whole file or none. Raises ValueError for NaN, which JSON lacks."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")
