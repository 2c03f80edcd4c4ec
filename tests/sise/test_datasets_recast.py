"""The recast dataset: one made by severstal-prep, and manifests with something wrong."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import severstal_prep.cli
from severstal_prep.dataset import CLASS_NAMES
from severstal_prep.images import write_jpeg
from sise.datasets import recast
from sise.datasets.dataset import Item
from sise.datasets.opening import open_dataset
from sise.errors import DatasetError


def runs(left: int, top: int, width: int, height: int) -> str:
    """Run lengths of a box on a strip 256 px high."""
    return " ".join(f"{(left + x) * 256 + top + 1} {height}" for x in range(width))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of one strip with a box of class 2 across its first two crops, 32–287 and 288–543."""
    folder = tmp_path_factory.mktemp("тест dir")
    (folder / "images").mkdir()
    noise = np.random.default_rng(0).integers(90, 160, (256, 1600, 1), dtype=np.uint8)
    write_jpeg(folder / "images" / "a.jpg", np.repeat(noise, 3, axis=2))
    (folder / "train.csv").write_text(
        f"ImageId,ClassId,EncodedPixels\na.jpg,2,{runs(278, 10, 20, 5)}\n"
    )
    arguments = ["build", "--csv", folder / "train.csv", "--images", folder / "images"]
    arguments += ["--out", folder / "dataset", "--jobs", "1"]
    assert severstal_prep.cli.main([str(argument) for argument in arguments]) == 0
    return folder / "dataset"


def test_items_pixels_and_truth_of_a_built_dataset(built: Path) -> None:
    split = pd.read_parquet(built / "manifest.parquet")["split"].iloc[0]  # all crops of one strip
    dataset = open_dataset(built, split=split)
    assert dataset.name == f"recast Severstal, {split}"
    assert dataset.classes == CLASS_NAMES == ("normal", "class 1", "class 2", "class 3", "class 4")
    # Six crops; the four without a defect are no items.
    assert dataset.items == (
        Item("a_x288", "a_x288", 2, "a"),  # of the strip "a"
        Item("a_x32", "a_x32", 2, "a"),
    )
    for item, columns in zip(dataset.items, (slice(0, 10), slice(246, 256)), strict=True):
        expected = np.zeros((256, 256), bool)
        expected[10:15, columns] = True
        np.testing.assert_array_equal(dataset.truth(item), expected)
        left = int(item.id.partition("x")[2])
        strip = np.asarray(Image.open(built.parent / "images" / "a.jpg").convert("RGB"))
        np.testing.assert_array_equal(dataset.pixels(item), strip[:, left : left + 256])


def row(name: str, label: int, part: str = "test", **changes: object) -> dict[str, object]:
    place = f"{part}/{label}/{name}.png"
    mask = f"masks/{place}" if label else ""
    return {
        "crop_id": name,
        "split": part,
        "class_id": label,
        "crop_path": f"crops/{place}",
        "mask_path": mask,
    } | changes


def write(root: Path, rows: list[dict[str, object]]) -> Path:
    root.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_parquet(root / "manifest.parquet")
    card = {"format": "recast severstal 1", "classes": list(CLASS_NAMES)}
    (root / "dataset.json").write_text(json.dumps(card))
    return root


def write_files(root: Path, rows: list[dict[str, object]]) -> None:
    for entry in rows:
        for column in ("crop_path", "mask_path"):
            path = root / str(entry[column])
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 255).save(path)


def names(count: int) -> list[str]:
    return [f"{number:04d}" for number in range(count)]


def test_items_are_the_defect_crops_of_the_split(tmp_path: Path) -> None:
    rows = [row("c", 4), row("a", 1), row("b", 0), row("d", 3, "train"), row("e", 2, "val")]
    root = write(tmp_path, rows)
    assert [(item.id, item.label) for item in open_dataset(root).items] == [("a", 1), ("c", 4)]
    assert [item.id for item in open_dataset(root, split="train").items] == ["d"]
    assert [item.id for item in open_dataset(root, "recast", "val").items] == ["e"]


def test_crops_of_one_group_are_of_one_group(tmp_path: Path) -> None:
    rows = [row("a", 1, group_id=4), row("b", 2, group_id=4), row("c", 2, group_id=11)]
    assert [item.group for item in open_dataset(write(tmp_path, rows)).items] == ["4", "4", "11"]
    older = write(tmp_path / "older", [row("a", 1)])
    assert [item.group for item in open_dataset(older).items] == [""]


def test_the_papers_subset(tmp_path: Path) -> None:
    """Every test crop of classes 1, 2 and 4 and 500 of 3: as in table 3's test set, smaller."""
    counts = {0: 30, 1: 401, 2: 63, 3: 700, 4: 417}
    labels = [label for label, count in counts.items() for _ in range(count)]
    rows = [row(name, label) for name, label in zip(names(len(labels)), labels, strict=True)]
    root = write(tmp_path, [*rows, row("t", 1, "train")])
    everything = open_dataset(root)
    dataset = open_dataset(root, subset="paper", seed=0)
    assert len(dataset.items) == 1381  # the paper's number
    assert np.bincount([item.label for item in dataset.items]).tolist() == [0, 401, 63, 500, 417]
    kept = {item.id for item in dataset.items}
    assert [item for item in everything.items if item.id in kept] == list(dataset.items)
    assert dataset.name == (
        "recast Severstal, test, the paper's subset (500 of 700 crops of class 3, seed 0)"
    )
    assert open_dataset(root, subset="paper", seed=0).items == dataset.items
    other = {item.id for item in open_dataset(root, subset="paper", seed=1).items}
    assert 250 < len({name for name in kept & other if 494 <= int(name) < 1194}) < 450


def test_the_papers_subset_of_too_few(tmp_path: Path) -> None:
    root = write(tmp_path, [row(name, 3) for name in names(500)] + [row("z", 1), row("y", 0)])
    dataset = open_dataset(root, subset="paper")
    assert dataset.items == open_dataset(root).items
    assert len(dataset.items) == 501
    assert dataset.name == "recast Severstal, test, the paper's subset (all 500 crops of class 3)"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"split": "tset"}, "no split 'tset'; one of train, val, test"),
        ({"subset": "best"}, "no subset 'best'; one of paper"),
        ({"split": "val", "subset": "paper"}, "'paper' is of the split 'test', not 'val'"),
        ({"split": "val"}, "recast Severstal, val: nothing with a class to explain"),
    ],
)
def test_parts_that_do_not_exist(tmp_path: Path, choice: dict[str, str], message: str) -> None:
    root = write(tmp_path, [row("a", 1), row("b", 0, "val")])
    with pytest.raises(DatasetError, match=message):
        open_dataset(root, **choice)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_id": 5}, "crop b: unknown class 5"),
        ({"class_id": -1}, "crop b: unknown class -1"),
        ({"class_id": None}, "crop b: unknown class nan"),
        ({"crop_id": "a"}, "crop a: there are two of it"),
        ({"crop_path": "../../b.png"}, r"crop b: the path '../../b.png' leads out of"),
        ({"mask_path": "/b.png"}, "crop b: the path '/b.png' leads out of"),
        ({"mask_path": ""}, "crop b: '' is not the path of a file"),
        ({"crop_path": None}, "crop b: (None|nan) is not the path of a file"),
    ],
)
def test_damaged_rows_are_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    root = write(tmp_path, [row("a", 1), row("b", 2, **changes)])
    with pytest.raises(DatasetError, match=rf"manifest\.parquet, {message}"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.parquet", b"PAR1 and no more", "manifest.parquet: missing or damaged"),
        ("manifest.parquet", None, "manifest.parquet: missing or damaged"),
        ("dataset.json", b"{", "dataset.json: not the card of a recast dataset"),
        ("dataset.json", b"[]", "dataset.json: not the card of a recast dataset"),
        (
            "dataset.json",
            b'{"format": "x 2"}',
            r"format: Input should be .*, not 'x 2'",
        ),
        ("dataset.json", b'{"format": "recast severstal 1"}', "dataset.json: not the card"),
    ],
)
def test_damaged_files_are_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    root = write(tmp_path, [row("a", 1)])
    (root / name).unlink()
    if content is not None:
        (root / name).write_bytes(content)
    with pytest.raises(DatasetError, match=message) as raised:
        open_dataset(root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("class_id", [[1, 2], [1]], r"crop a: unknown class \[1 2\]; build the dataset again"),
        ("class_id", [b"1", b"1"], "crop a: unknown class b'1'; build the dataset again"),
        ("crop_id", [{"a": 1}, {"a": 2}], "rows that cannot be put in order; build the dataset"),
    ],
)
def test_columns_of_another_kind_are_named(
    tmp_path: Path, column: str, values: object, message: str
) -> None:
    root = write(tmp_path, [row("a", 1), row("b", 1)])
    frame = pd.read_parquet(root / "manifest.parquet").assign(**{column: values})
    frame.to_parquet(root / "manifest.parquet")
    with pytest.raises(DatasetError, match=message):
        open_dataset(root)


@pytest.mark.parametrize("column", recast.COLUMNS)
def test_a_manifest_without_a_column(tmp_path: Path, column: str) -> None:
    entry = row("a", 1)
    del entry[column]
    with pytest.raises(DatasetError, match=f"column '{column}' is missing"):
        open_dataset(write(tmp_path, [entry]))


def test_crops_and_masks_that_cannot_be_read(tmp_path: Path) -> None:
    rows = [row(name, 1) for name in "abcd"]
    root = write(tmp_path, rows)
    write_files(root, rows)
    (root / "crops/test/1/a.png").unlink()
    (root / "masks/test/1/b.png").write_bytes(b"GIF89a")
    Image.new("L", (9, 8)).save(root / "masks/test/1/c.png")
    dataset = open_dataset(root)
    a, b, c, d = dataset.items
    with pytest.raises(DatasetError, match=r"a\.png: no such file \(named by .*parquet, crop a\)"):
        dataset.pixels(a)
    with pytest.raises(DatasetError, match=r"b\.png: .* \(named by .*parquet, crop b\)"):
        dataset.truth(b)
    with pytest.raises(
        DatasetError, match=r"masks/test/1/c\.png: of 9×8 px, but its image has 8×8"
    ):
        dataset.truth(c)
    assert dataset.truth(d).all()
