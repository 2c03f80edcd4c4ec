"""MS COCO, in a tree laid out as the public archives."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from sise.datasets.coco import Coco
from sise.datasets.dataset import Item
from sise.datasets.opening import open_dataset
from sise.datasets.outlines import check_outline
from sise.errors import DatasetError

FILE = "annotations/instances_val2014.json"
CAT, STOP_SIGN, DOG = 17, 13, 18


def content() -> dict[str, Any]:
    """Two labelled images of 10×8 px and one without objects.

    Image 42: two dogs, whose outlines fill a part of their boxes, and a cat. Image 7: a crowd of
    cats, outlined by run lengths down the columns: columns 2 and 3, and two pixels of column 5.
    """
    images = [
        {"id": 42, "file_name": "COCO_val2014_000000000042.jpg", "height": 8, "width": 10},
        {"id": 7, "file_name": "COCO_val2014_000000000007.jpg", "height": 8, "width": 10},
        {"id": 9, "file_name": "COCO_val2014_000000000009.jpg", "height": 8, "width": 10},
    ]
    crowd = {"size": [8, 10], "counts": [16, 16, 8, 2, 38]}
    l_shape = [[0, 0, 4, 0, 4, 2, 2, 2, 2, 4, 0, 4]]
    two_parts = [[6, 0, 8, 0, 8, 2, 6, 2], [6, 6, 8, 6, 8, 8, 6, 8]]
    annotations = [
        annotation(1, 42, DOG, [6, 0, 2, 8], two_parts),
        annotation(2, 42, CAT, [4, 5, 2.6, 2.2], [[4, 5, 6, 5, 6, 7, 4, 7]]),
        annotation(3, 42, DOG, [0, 0, 4, 4], l_shape),
        annotation(4, 7, CAT, [2, 0, 4, 8], crowd) | {"iscrowd": 1},
    ]
    categories = [
        {"id": DOG, "name": "dog", "supercategory": "animal"},
        {"id": STOP_SIGN, "name": "stop sign", "supercategory": "outdoor"},
        {"id": CAT, "name": "cat", "supercategory": "animal"},
    ]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def annotation(
    number: int, image: int, category: int, bbox: list[float], segmentation: Any
) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": bbox,
        "segmentation": segmentation,
        "area": 1.0,
        "iscrowd": 0,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pytest.importorskip("pycocotools", reason='needs the extra "coco"')
    root = tmp_path / "тест dir"
    (root / "annotations").mkdir(parents=True)
    (root / "val2014").mkdir()
    for image in content()["images"]:
        Image.new("L", (10, 8), image["id"]).save(root / "val2014" / image["file_name"])
    (root / FILE).write_text(json.dumps(content()))
    return root


def spoilt(root: Path, change: dict[str, Any], kind: str = "annotations", place: int = 1) -> Path:
    """Change one entry of the JSON; a value of None removes the key."""
    new = content()
    entry = {**new[kind][place], **change}
    new[kind][place] = {key: value for key, value in entry.items() if value is not None}
    (root / FILE).write_text(json.dumps(new))
    return root


def pixels(*places: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros((8, 10), bool)
    for place in places:
        mask[place] = True
    return mask


def test_every_class_of_an_image_is_an_item(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = open_dataset(root)
    assert dataset.name == "COCO val2014"
    assert dataset.classes == ("stop sign", "cat", "dog")  # by number
    assert dataset.items == (
        Item("COCO_val2014_000000000007-cat", "COCO_val2014_000000000007", 1),
        Item("COCO_val2014_000000000042-cat", "COCO_val2014_000000000042", 1),
        Item("COCO_val2014_000000000042-dog", "COCO_val2014_000000000042", 2),
    )
    assert dataset.pixels(dataset.items[0]).shape == (8, 10, 3)
    assert np.unique(dataset.pixels(dataset.items[1])).tolist() == [42]
    assert capsys.readouterr().out == ""  # pycocotools prints what it does


def test_truth_is_the_union_of_outlines(root: Path) -> None:
    dataset = open_dataset(root, "coco", "val2014")
    crowd, cat, dogs = (dataset.truth(item) for item in dataset.items)
    assert crowd.dtype == np.bool_
    np.testing.assert_array_equal(
        crowd, pixels((slice(0, 8), slice(2, 4)), (slice(0, 2), slice(5, 6)))
    )
    np.testing.assert_array_equal(cat, pixels((slice(5, 7), slice(4, 6))))
    np.testing.assert_array_equal(
        dogs,
        pixels(
            (slice(0, 2), slice(0, 4)),
            (slice(2, 4), slice(0, 2)),
            (slice(0, 2), slice(6, 8)),
            (slice(6, 8), slice(6, 8)),
        ),
    )


def test_truth_by_boxes(root: Path) -> None:
    dataset = Coco(root, regions="boxes")
    assert dataset.name == "COCO val2014, boxes"
    crowd, cat, dogs = (dataset.truth(item) for item in dataset.items)
    np.testing.assert_array_equal(crowd, pixels((slice(0, 8), slice(2, 6))))
    np.testing.assert_array_equal(cat, pixels((slice(5, 7), slice(4, 7))))  # to 6.6 and 7.2
    np.testing.assert_array_equal(
        dogs, pixels((slice(0, 4), slice(0, 4)), (slice(0, 8), slice(6, 8)))
    )


def test_another_split(root: Path) -> None:
    (root / FILE).rename(root / "annotations" / "instances_minival.json")
    (root / "val2014").rename(root / "minival")
    dataset = open_dataset(root, split="minival")
    assert dataset.name == "COCO minival"
    assert dataset.truth(dataset.items[1]).sum() == 4
    with pytest.raises(DatasetError, match=r"no such file; splits in this folder: minival"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("annotations", {"category_id": 99}, "annotation 2: unknown class 99"),
        ("annotations", {"category_id": None}, "not readable annotations of COCO"),
        ("annotations", {"id": None}, "not readable annotations of COCO"),
        ("categories", {"name": None}, "not readable annotations of COCO"),
        ("images", {"width": None}, "image 7: no width"),
        ("images", {"file_name": "../a.jpg"}, "image 7: the path '../a.jpg' leads out of"),
        ("images", {"file_name": 3}, "image 7: 3 is not the path of a file"),
        (
            "images",
            {"file_name": "COCO_val2014_000000000042.png"},
            "image 42: a second one named COCO_val2014_000000000042",
        ),
    ],
)
def test_damaged_entries_are_named(
    root: Path, kind: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DatasetError, match=rf"instances_val2014\.json.*{message}"):
        open_dataset(spoilt(root, change, kind))


@pytest.mark.parametrize("text", ["{", "[]", '{"images": 3}', "{}", ""])
def test_damaged_json_is_named(root: Path, text: str) -> None:
    (root / FILE).write_text(text)
    with pytest.raises(DatasetError, match=r"instances_val2014\.json: not readable") as raised:
        open_dataset(root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "annotation 2: not a readable segmentation"),
        ([], "annotation 2: not a readable segmentation"),
        ("abc", "annotation 2: not a readable segmentation"),
        ([[0, 0, 4, 0, None, 2]], "a coordinate that is no number"),
        ([[0, 0, 4, 0, True, 2]], "a coordinate that is no number"),
        ([[0, 0, 4, 0, float("nan"), 2]], "a polygon that reaches to nan"),
        ([[0, 0, 4, 0, 1e9, 2]], r"a polygon that reaches to 1e\+09"),
        ([[0, 0, 4, 0]], "a polygon without three points"),
        ([[0, 0, 4, 0, 4, 2, 4]], "a polygon without three points"),
        ([{"size": [8, 10], "counts": [80]}], "a polygon without three points"),
        ({"size": [9, 10], "counts": [90]}, r"of size \[9, 10\], not \[8, 10\]"),
        ({"size": [8, 10], "counts": [81]}, "run lengths of 81 pixels, not 80"),
        ({"size": [8, 10], "counts": [-1, 81]}, "run lengths that are no whole numbers"),
        ({"size": [8, 10], "counts": [2**40, 80]}, "run lengths that are no whole numbers"),
        ({"size": [8, 10], "counts": [80.0]}, "run lengths that are no whole numbers"),
        ({"size": [8, 10]}, "run lengths that are no whole numbers"),
        ({"size": [8, 10], "counts": "0"}, "run lengths of 0 pixels, not 80"),
        ({"size": [8, 10], "counts": "O"}, "run lengths that are no whole numbers"),
        ({"size": [8, 10], "counts": "ooooooooo"}, "a letter that is none of theirs"),
        ({"size": [8, 10], "counts": "é"}, "a letter that is none of theirs"),
        ({"size": [8, 10], "counts": "o"}, "packed run lengths that are cut off"),
    ],
)
def test_outlines_that_cannot_be_drawn(root: Path, segmentation: Any, message: str) -> None:
    dataset = open_dataset(spoilt(root, {"segmentation": segmentation}))
    with pytest.raises(DatasetError, match=message):
        dataset.truth(dataset.items[1])


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=60)))
def test_run_lengths_are_those_of_pycocotools(mask: np.ndarray) -> None:
    """Packed by it, and not packed."""
    packer = pytest.importorskip("pycocotools.mask")
    packed = packer.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    size = mask.shape
    check_outline({"size": list(size), "counts": packed}, size)
    column_by_column = mask.ravel(order="F")
    changes = np.flatnonzero(
        np.diff(column_by_column, prepend=False, append=~column_by_column[-1:])
    )
    check_outline({"size": list(size), "counts": np.diff(changes, prepend=0).tolist()}, size)
    with pytest.raises(ValueError, match=f"not {mask.size + 1}"):
        check_outline({"size": [1, mask.size + 1], "counts": packed}, (1, mask.size + 1))


@pytest.mark.parametrize("bbox", [None, [1, 2, 3], [1, 2, -3, 4], [1, 2, float("nan"), 4], "abcd"])
def test_boxes_that_are_none(root: Path, bbox: Any) -> None:
    spoilt(root, {"bbox": bbox})
    dataset = Coco(root, regions="boxes")
    with pytest.raises(DatasetError, match="annotation 2: not a readable box"):
        dataset.truth(dataset.items[1])


def test_images_that_do_not_fit(root: Path) -> None:
    (root / "val2014" / "COCO_val2014_000000000007.jpg").unlink()
    dataset = open_dataset(spoilt(root, {"height": 9}, "images", place=0))
    crowd, cat, _ = dataset.items
    with pytest.raises(DatasetError, match=r"7\.jpg: no such file \(named by .*json, image 7\)"):
        dataset.pixels(crowd)
    with pytest.raises(DatasetError, match="image 42: of 10×9 px, but its image has 10×8 px"):
        dataset.truth(cat)


def test_without_pycocotools_the_cure_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / FILE).write_text(json.dumps(content()))
    for name in ("pycocotools", "pycocotools.coco"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DatasetError, match=r'pip install "steel-sise\[coco\]"'):
        open_dataset(tmp_path)


@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_real_coco_against_its_json(steel_data: Path, split: str) -> None:
    pytest.importorskip("pycocotools", reason='needs the extra "coco"')
    dataset = open_dataset(steel_data / "coco_mini", split=split)
    text = (steel_data / "coco_mini" / "annotations" / f"instances_{split}.json").read_text()
    entries = json.loads(text)["annotations"]
    categories = sorted(json.loads(text)["categories"], key=lambda one: one["id"])
    names = {one["id"]: one["name"] for one in categories}
    files = {one["id"]: Path(one["file_name"]).stem for one in json.loads(text)["images"]}
    assert list(dataset.classes) == [one["name"] for one in categories]
    by_item: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        name = f"{files[entry['image_id']]}-{names[entry['category_id']]}"
        by_item.setdefault(name, []).append(entry)
    assert {item.id for item in dataset.items} == by_item.keys()
    assert len(dataset.items) == {"train2017": 302, "val2017": 284}[split]

    crowds = 0
    for item in dataset.items:
        entry = by_item[item.id][-1]
        if entry["iscrowd"]:  # run lengths down the columns, outside and inside by turns
            crowds += 1
            runs = entry["segmentation"]["counts"]
            truth = dataset.truth(item)
            crowd = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(truth.shape, order="F")
            assert crowd.any()
            assert truth[crowd].all()
        elif len(by_item[item.id]) == 1 and entry["area"] > 40_000:  # the polygons' own area
            assert dataset.truth(item).sum() == pytest.approx(entry["area"], rel=0.02)
    assert crowds == {"train2017": 8, "val2017": 5}[split]
