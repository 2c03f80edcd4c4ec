"""Damaged tables, and tables of another kind: an error of ours, or a table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from severstal_prep.parquet import read_table

FRAME = pd.DataFrame({"name": ["a", "b"], "left": np.array([0, 224], np.int32)})


def with_column(path: Path, values: object) -> None:
    """The table of FRAME with other values under `name`, which pandas' notes say are texts."""
    FRAME.to_parquet(path)
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "name", pa.array(values)), path)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), FRAME)


@pytest.mark.parametrize("values", [[{"a": 1}] * 2, [b"\xff", b"a"]])
def test_a_column_of_another_kind_than_pandas_noted(values: object, tmp_path: Path) -> None:
    with_column(tmp_path / "a.parquet", values)
    with pytest.raises(ValueError, match=r"^not a readable table \(\w+: .*\)$"):
        read_table(tmp_path / "a.parquet")


def test_damage_at_any_place_is_a_line_or_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    FRAME.to_parquet(path, compression=None)
    whole, refused = path.read_bytes(), list[str]()
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_table(path)
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > len(whole) // 50
    assert not any("\n" in line for line in refused)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 9, bytes(99)])
def test_what_is_no_table(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(ValueError, match="not a readable table"):
        read_table(tmp_path / "a.parquet")


def test_a_file_that_is_missing_is_the_systems_to_tell(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "a.parquet")
