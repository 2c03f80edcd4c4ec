"""The results store: work in progress keyed by content, and the tables of the report."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
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
    """Rows kept on disk under content keys: what is there need not be done again.

    A shard is a Parquet file with the rows of one unit of work, their keys in the column `key`.
    It is written whole or not at all, with checksums; a damaged one counts as not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _shard_of(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in sorted(self.folder.glob("*.parquet")):
            with suppress(OSError, ValueError, KeyError):
                keys = read_table(path, lambda name: name == "key")["key"]
                found |= dict.fromkeys(keys.unique(), path.name)
        return found

    def __contains__(self, key: str) -> bool:
        return key in self._shard_of

    def read(self, keys: Iterable[str], without: str = "") -> pd.DataFrame:
        """The rows under these keys, in order of shards; no rows of a key that is not there.

        A column `without` is left out. After this, `in` knows which keys are damaged.
        """
        wanted: dict[str, list[str]] = {}
        for key in keys:
            if key in self._shard_of:
                wanted.setdefault(self._shard_of[key], []).append(key)
        tables = []
        for name, own in wanted.items():
            try:
                rows = read_table(self.folder / name, lambda column: column != without)
                tables.append(rows[rows["key"].isin(own)])
            except (OSError, ValueError, KeyError):
                for key in own:
                    del self._shard_of[key]
        found = [rows for rows in tables if len(rows)]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame({"key": []})

    def put(self, rows: pd.DataFrame) -> None:
        """Keep rows with their `key`: all of them or none."""
        if rows.empty:
            return
        keys = list(dict.fromkeys(rows["key"]))
        name = f"{hashlib.sha256(' '.join(keys).encode()).hexdigest()}.parquet"
        self.folder.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
        with replacing(self.folder / name) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        self._shard_of.update(dict.fromkeys(keys, name))


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
