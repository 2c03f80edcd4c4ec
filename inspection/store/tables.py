"""The results store: work in progress keyed by content, and the tables of the report."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from inspection.store.fields import FLAGGED_CSV
from severstal_prep.files import replacing
from severstal_prep.parquet import read_table


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
            return read_table(self.folder / f"{key}.parquet")
        except (OSError, ValueError):
            return None

    def put(self, key: str, frame: pd.DataFrame) -> None:
        """Store a table under `key`: all of it or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / f"{key}.parquet") as temporary:
            frame.to_parquet(temporary, index=False, compression="zstd")


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
    write_csv(path, flagged.reindex(columns=list(FLAGGED_CSV)))


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
