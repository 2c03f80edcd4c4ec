import hashlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from severstal_prep.dataset import (
    COLUMNS,
    card_sha256,
    class_counts,
    read_card,
    read_manifest,
    write_card,
    write_manifest,
)
from severstal_prep.errors import DatasetError


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    row = dict.fromkeys(COLUMNS, "x") | {"class_id": 3, "split": "val", "left": 32}
    write_manifest(tmp_path, pd.DataFrame([row])[list(COLUMNS)])
    write_card(tmp_path, {"settings": {"seed": 0}})
    return tmp_path


def test_round_trip(dataset: Path) -> None:
    assert read_card(dataset) == {"format": "recast severstal 1", "settings": {"seed": 0}}
    assert read_manifest(dataset)["class_id"].tolist() == [3]
    card = (dataset / "dataset.json").read_bytes()
    assert card_sha256(dataset) == hashlib.sha256(card).hexdigest()
    assert {path.name for path in dataset.iterdir()} == {"dataset.json", "manifest.parquet"}


@pytest.mark.parametrize("read", [read_card, read_manifest, card_sha256])
def test_folders_that_are_no_dataset(tmp_path: Path, read) -> None:
    with pytest.raises(DatasetError, match="no recast dataset here"):
        read(tmp_path)
    with pytest.raises(DatasetError, match="no recast dataset here"):
        read(tmp_path / "missing")
    for content, complaint in (
        ("{", "not JSON"),
        ("[" * 100_000, "nested deeper than 50 levels"),
        ('{"format": "recast severstal 1"}', "settings: Field required; build the dataset again"),
        (
            '{"format": "recast severstal 1", "settings": {"seed": "x"}}',
            "settings, seed: Input should be a valid integer, not 'x'",
        ),
        (
            '{"format": "recast severstal 1", "settings": {}, "counts": {"train": {"0": -1}}}',
            "counts, train, 0: Input should be greater than or equal to 0, not -1",
        ),
        (
            '{"format": "recast severstal 1", "settings": {}, "classes": "normal"}',
            "classes: Input should be a valid array, not 'normal'",
        ),
        ("[1]", "not the card"),
        ('{"format": "other"}', "not the card"),
    ):
        (tmp_path / "dataset.json").write_text(content)
        with pytest.raises(DatasetError, match=complaint):
            read(tmp_path)


def test_damaged_manifest(dataset: Path) -> None:
    path = dataset / "manifest.parquet"
    pd.DataFrame({"crop_id": ["a"]}).to_parquet(path)
    with pytest.raises(DatasetError, match="'strip_id' is missing"):
        read_manifest(dataset)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DatasetError, match="missing or damaged"):
        read_manifest(dataset)
    frame = pd.DataFrame({"crop_id": ["a"]})
    frame.to_parquet(path)
    odd = pq.read_table(path).set_column(0, "crop_id", pa.array([{"a": 1}]))
    pq.write_table(odd, path)  # pandas' notes in it speak of texts
    with pytest.raises(DatasetError, match="missing or damaged"):
        read_manifest(dataset)
    path.unlink()
    with pytest.raises(DatasetError, match="missing or damaged"):
        read_manifest(dataset)


def test_counts_have_every_class_and_split() -> None:
    manifest = pd.DataFrame({"class_id": [0, 0, 3, 0], "split": ["train", "test", "test", "train"]})
    none = {"0": 0, "1": 0, "2": 0, "3": 0, "4": 0}
    assert class_counts(manifest) == {
        "total": none | {"0": 3, "3": 1},
        "train": none | {"0": 2},
        "val": none,
        "test": none | {"0": 1, "3": 1},
    }
