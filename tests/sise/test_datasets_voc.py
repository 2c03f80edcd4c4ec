"""PASCAL VOC 2007, in a tree laid out as the public archive."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sise.datasets.dataset import Item
from sise.datasets.opening import open_dataset
from sise.datasets.voc import CLASSES, Voc
from sise.errors import DatasetError

Labelled = tuple[str, int, tuple[int, int, int, int]]

IMAGES: dict[str, list[Labelled]] = {
    "000001": [
        ("person", 0, (8, 12, 32, 30)),
        ("dog", 0, (1, 1, 10, 5)),
        ("dog", 1, (5, 1, 20, 5)),
    ],
    "000002": [("train", 1, (30, 20, 40, 30))],
    "000003": [],
}
"""Name, difficult and box (counted from 1, edges included) of the objects on 40×30 px."""


def annotation(name: str, objects: list[Labelled], width: int = 40, height: int = 30) -> str:
    """As in the public archive, with a part of the first object."""
    texts = [
        f"<object><name>{label}</name><pose>Left</pose><truncated>1</truncated>"
        f"<difficult>{difficult}</difficult><bndbox><xmin>{edges[0]}</xmin><ymin>{edges[1]}</ymin>"
        f"<xmax>{edges[2]}</xmax><ymax>{edges[3]}</ymax></bndbox>"
        "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>40</xmax>"
        "<ymax>30</ymax></bndbox></part></object>"
        for label, difficult, edges in objects
    ]
    return (
        f"<annotation><folder>VOC2007</folder><filename>../{name}.jpg</filename><size>"
        f"<width>{width}</width><height>{height}</height><depth>3</depth></size>"
        f"<segmented>0</segmented>{''.join(texts)}</annotation>"
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "тест dir"
    folder = root / "VOCdevkit" / "VOC2007"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for name, objects in IMAGES.items():
        (folder / "Annotations" / f"{name}.xml").write_text(annotation(name, objects))
        Image.new("RGB", (40, 30), (10, 20, int(name))).save(
            folder / "JPEGImages" / f"{name}.jpg", quality=100
        )
    (folder / "ImageSets" / "Main" / "test.txt").write_text("000001\n000003\n000002\n\n")
    (folder / "ImageSets" / "Main" / "train.txt").write_text("000002\n")
    return root


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """A box counted from 1, edges included, pixel by pixel."""
    return np.array(
        [[left <= x <= right and top <= y <= bottom for x in range(1, 41)] for y in range(1, 31)]
    )


def test_every_class_of_an_image_is_an_item(root: Path) -> None:
    dataset = open_dataset(root)
    assert dataset.name == "PASCAL VOC 2007, test"
    assert dataset.classes == CLASSES == tuple(sorted(CLASSES))
    assert len(CLASSES) == 20
    assert dataset.items == (
        Item("000001-dog", "000001", 11, truth="boxes"),
        Item("000001-person", "000001", 14, truth="boxes"),
        Item("000002-train", "000002", 18, truth="boxes"),
    )
    assert [item.id for item in open_dataset(root, split="train").items] == ["000002-train"]


def test_truth_is_the_boxes_of_the_class(root: Path) -> None:
    dataset = open_dataset(root, "voc")
    dog, person, train = dataset.items
    truth = dataset.truth(dog)
    assert truth.dtype == np.bool_
    np.testing.assert_array_equal(truth, box(1, 1, 10, 5) | box(5, 1, 20, 5))
    np.testing.assert_array_equal(dataset.truth(person), box(8, 12, 32, 30))
    np.testing.assert_array_equal(dataset.truth(train), box(30, 20, 40, 30))
    assert dataset.pixels(dog).shape == (30, 40, 3)
    assert np.abs(dataset.pixels(dog).mean(axis=(0, 1)) - (10, 20, 1)).max() < 2


def test_without_difficult_boxes(root: Path) -> None:
    dataset = Voc(root, difficult=False)
    assert dataset.name == "PASCAL VOC 2007, test, without difficult boxes"
    assert [item.id for item in dataset.items] == ["000001-dog", "000001-person"]
    np.testing.assert_array_equal(dataset.truth(dataset.items[0]), box(1, 1, 10, 5))


def test_an_image_that_is_listed_stands_for_its_items(root: Path, tmp_path: Path) -> None:
    listed = tmp_path / "some.txt"
    listed.write_text("000002-train\n000001\n")
    assert len(open_dataset(root, listed=listed).items) == 3
    listed.write_text("000001-person\n")
    assert [item.id for item in open_dataset(root, listed=listed).items] == ["000001-person"]
    listed.write_text("000003\n")
    with pytest.raises(DatasetError, match=r"some\.txt, line 1: .* no item or image '000003'"):
        open_dataset(root, listed=listed)


def test_splits_that_do_not_exist(root: Path) -> None:
    with pytest.raises(DatasetError, match="no split 'val2014'; one of train, val, trainval, test"):
        open_dataset(root, split="val2014")
    with pytest.raises(DatasetError, match=r"Main/val\.txt: cannot be read .*unpack PASCAL VOC"):
        open_dataset(root, split="val")
    with pytest.raises(DatasetError, match="voc has no subsets"):
        open_dataset(root, subset="paper")


@pytest.mark.parametrize("line", ["../../../secret", "/etc/secret", "a/b"])
def test_a_split_that_leads_out_of_the_folder(root: Path, line: str) -> None:
    path = root / "VOCdevkit/VOC2007/ImageSets/Main/test.txt"
    path.write_text(f"000001\n{line}\n")
    with pytest.raises(DatasetError, match=r"test\.txt, line 2: leads out of .*JPEGImages"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", "not a readable annotation"),
        (annotation("a", [("robot", 0, (1, 1, 2, 2))]), "unknown class 'robot'"),
        (annotation("a", [("", 0, (1, 1, 2, 2))]), "unknown class ''"),
        (None, "no such file"),
    ],
)
def test_damaged_annotations_are_named(root: Path, text: str | None, message: str) -> None:
    path = root / "VOCdevkit/VOC2007/Annotations/000002.xml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(DatasetError, match=rf"000002\.xml: {message}"):
        open_dataset(root)


def test_images_that_do_not_fit_their_annotation(root: Path) -> None:
    images = root / "VOCdevkit/VOC2007/JPEGImages"
    (images / "000001.jpg").unlink()
    Image.new("RGB", (30, 40)).save(images / "000002.jpg")
    dataset = open_dataset(root)
    with pytest.raises(DatasetError, match=r"000001\.jpg: no such file \(named by .*test\.txt\)"):
        dataset.pixels(dataset.items[0])
    with pytest.raises(DatasetError, match=r"000002\.xml: of 40×30 px, but its image has 30×40 px"):
        dataset.truth(dataset.items[2])
