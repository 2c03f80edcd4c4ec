import csv
import hashlib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.store.fields import patch_schema
from inspection.store.tables import (
    Shards,
    content_key,
    guard_cell,
    patch_key,
    write_flagged_csv,
    write_table,
)

CLASSES = ("normal", "class 1")


def test_patch_key_is_what_its_docstring_says() -> None:
    assert patch_key("ff", 224, 0, 256) == hashlib.sha256(b"ff 224 0 256").hexdigest()


def test_content_keys_ignore_order_and_nothing_else() -> None:
    assert content_key(a=1, b="x") == content_key(b="x", a=1)
    assert len({content_key(a=1), content_key(a=2), content_key(b=1), content_key(a="1")}) == 4
    assert content_key(seed=0) != content_key(seed=None)


def unit(*keys: str) -> pd.DataFrame:
    """Two rows a key, of which the second lacks a number."""
    rows = [(key, left, bytes([left, 1]), drop) for key in keys for left, drop in TWO]
    return pd.DataFrame(rows, columns=["key", "left", "heat", "drop"])


TWO = ((0, 0.5), (224, None))


def test_shards_give_back_what_was_put(tmp_path: Path) -> None:
    folder = tmp_path / "тест dir" / "shards"
    shards = Shards(folder)
    assert "a" not in shards
    assert shards.read(["a"]).empty
    shards.put(unit("a", "b"))
    shards.put(unit("c"))
    shards.put(unit())
    assert len(list(folder.iterdir())) == 2
    for known in (shards, Shards(folder)):
        assert [key in known for key in "abcd"] == [True, True, True, False]
        pd.testing.assert_frame_equal(known.read(["a"]), unit("a"))
        pd.testing.assert_frame_equal(known.read("bac", without="heat"),
                                      unit("a", "b", "c").drop(columns="heat"))  # fmt: skip


def test_rows_of_two_kinds_lie_in_one_shard_and_come_back_from_several(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.put(pd.DataFrame([{"key": "a", "map_status": "ok"}, {"key": "b", "similarity": 0.5}]))
    shards.put(pd.DataFrame([{"key": "c", "map_status": "ok"}]))
    rows = shards.read("abc").set_index("key")
    assert rows["map_status"].fillna("").to_dict() == {"a": "ok", "b": "", "c": "ok"}
    assert rows.loc["b", "similarity"] == 0.5


def test_what_is_damaged_counts_as_absent(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.put(unit("a"))
    shards.put(unit("b"))
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "old.parquet").write_bytes(b"")
    first = sorted(path for path in tmp_path.iterdir() if path.stat().st_size > 99)[0]
    content = bytearray(first.read_bytes())
    content[len(content) // 4] ^= 1  # in a page of values: the file opens
    first.write_bytes(content)
    again = Shards(tmp_path)
    found = set(again.read("ab")["key"])
    assert len(found) == 1
    assert {key for key in "ab" if key in again} == found
    assert shards.read("ab")["key"].nunique() == 1
    lost = ({"a", "b"} - found).pop()
    again.put(unit(lost))
    pd.testing.assert_frame_equal(Shards(tmp_path).read([lost]), unit(lost))


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("=cmd()", "'=cmd()"),
        ("+1+cmd", "'+1+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("-0.5", "-0.5"),
        ("+1e3", "+1e3"),
        ("strip.jpg", "strip.jpg"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_formulas_are_guarded_and_numbers_are_not(text: str, guarded: str) -> None:
    assert guard_cell(text) == guarded


@given(st.text())
def test_a_guarded_cell_is_no_formula(text: str) -> None:
    guarded = guard_cell(text)
    assert guarded.removeprefix("'") == text.removeprefix("'") or guarded == text
    if guarded.startswith(("=", "@", "+", "-", "\t", "\r")):
        float(guarded)


def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "strip_id": ["=cmd().jpg", "Рулон/б.jpg", "c.jpg"],
            "coil": ["", "Рулон", ""],
            "left": [0, 224, 448],
            "flagged": [True, True, False],
            "indicated": ["class 1", "class 1", ""],
            "score": [0.75, 0.5, 0.9],
            "drop": [0.25, float("nan"), float("nan")],
            "region_area": [100.0, float("nan"), float("nan")],
            "ignored": [1, 2, 3],
        }
    )


def test_flagged_csv_holds_the_flagged_patches_guarded(tmp_path: Path) -> None:
    write_flagged_csv(tmp_path / "flagged.csv", rows())
    assert (tmp_path / "flagged.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "flagged.csv").open(encoding="utf-8-sig", newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [row["strip_id"] for row in read] == ["'=cmd().jpg", "Рулон/б.jpg"]
    assert [row["score"] for row in read] == ["0.75", "0.5"]
    assert [row["drop"] for row in read] == ["0.25", ""]


def test_tables_have_the_schemas_columns_with_descriptions(tmp_path: Path) -> None:
    schema = patch_schema(CLASSES)
    write_table(tmp_path / "results.parquet", rows(), schema)
    table = pq.read_table(tmp_path / "results.parquet")
    assert table.schema.names == schema.names
    assert "p_class_1" in table.schema.names
    assert "ignored" not in table.schema.names
    assert all(field.metadata[b"description"] for field in table.schema)
    assert table["strip_id"].to_pylist() == ["=cmd().jpg", "Рулон/б.jpg", "c.jpg"]
    assert table["region_area"].to_pylist() == [100, None, None]
    assert table["drop"].to_pylist() == [0.25, None, None]
