"""Folders of images and masks, by hand and for real."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sise.datasets.dataset import Item
from sise.datasets.neu_det import NeuDet
from sise.datasets.opening import open_dataset
from sise.errors import DatasetError


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def mask(*pixels: tuple[int, int], level: int = 255) -> np.ndarray:
    """(4, 6), black but for these pixels (row, column)."""
    drawn = np.zeros((4, 6), np.uint8)
    for pixel in pixels:
        drawn[pixel] = level
    return drawn


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two scratches and a dent; a scratch with a black mask, a good one without any."""
    root = tmp_path / "тест steel"
    grey = np.full((4, 6), 90, np.uint8)
    for name in ("scratch/a 1.png", "scratch/b.png", "scratch/c.jpg", "dent/a 1.JPG", "good/d.png"):
        save(root / "images" / name, grey)
    save(root / "masks" / "scratch" / "a 1.png", mask((0, 1), (3, 5)))
    save(root / "masks" / "scratch" / "b.tif", mask((2, 2), level=1))  # 0 and 1, not 0 and 255
    save(root / "masks" / "scratch" / "c.png", mask())
    red = np.zeros((4, 6, 3), np.uint8)
    red[1, :, 2] = 128
    save(root / "masks" / "dent" / "a 1.bmp", red)
    (root / "images" / "dent" / ".DS_Store").touch()
    return root


def test_items_are_the_images_whose_mask_shows_something(root: Path) -> None:
    dataset = open_dataset(root)
    assert dataset.name == "тест steel, 3 of 5 images"
    assert dataset.classes == ("dent", "good", "scratch")
    assert dataset.items == (
        Item("dent/a 1", "dent/a 1", 0),
        Item("scratch/a 1", "scratch/a 1", 2),
        Item("scratch/b", "scratch/b", 2),
    )
    dent, first, second = (dataset.truth(item) for item in dataset.items)
    assert np.argwhere(dent).tolist() == [[1, column] for column in range(6)]
    assert np.argwhere(first).tolist() == [[0, 1], [3, 5]]
    assert np.argwhere(second).tolist() == [[2, 2]]
    assert (first.dtype, first.shape) == (np.bool_, (4, 6))
    assert dataset.pixels(dataset.items[1]).tolist() == np.full((4, 6, 3), 90).tolist()


@pytest.mark.parametrize(
    "heading", ["class,file,group,note", "class,file,tile_group,note", "\ufeffclass,file,group,x"]
)
def test_groups_are_read_where_they_are(root: Path, heading: str) -> None:
    rows = [heading, "dent,a 1.JPG,7,x", "scratch,a 1.png,7,x", "scratch,gone.png,9,x"]
    (root / "groups.csv").write_text("\r\n".join(rows), "utf-8")
    groups = {item.id: item.group for item in open_dataset(root).items}
    assert groups == {"dent/a 1": "7", "scratch/a 1": "7", "scratch/b": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('class,"a\nb"\na,b\n', r"the columns are 'class, a\\nb'; name them class, file, group"),
        ("class,file\na,b\n", r"the columns are class, file; name them class, file, group"),
        ("", r"the columns are none; name them"),
        ("class,file,a_group,b_group\n", r"name them class, file, group"),
        ("class,file,group\nscratch,b.png,\n", r"line 2: no group; fill it in"),
        ("class,file,group\nscratch,b.png\n", r"line 2: no group; fill it in"),
    ],
)
def test_groups_that_cannot_be_used(root: Path, text: str, message: str) -> None:
    (root / "groups.csv").write_text(text)
    with pytest.raises(DatasetError, match=rf"groups\.csv.*{message}"):
        open_dataset(root)


def test_groups_in_another_encoding(root: Path) -> None:
    (root / "groups.csv").write_bytes(b"class,file,group\nscr\xe4tch,b.png,1\n")
    with pytest.raises(DatasetError, match=r"groups\.csv: not a readable CSV file in UTF-8"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "images/scratch/b.png").unlink(), r"b\.tif: a mask without image"),
        (lambda root: save(root / "masks/good/d.jpg", mask()), r"d\.jpg: \.jpg blurs a mask's"),
        (lambda root: save(root / "masks/god/d.png", mask()), "god: no class of images/ is so nam"),
        (lambda root: (root / "images/good/d.txt").touch(), r"d\.txt: not known as an image \(\.b"),
        (
            lambda root: save(root / "images/good/d.bmp", mask()),
            r"d\.png: d\.bmp has the same name",
        ),
        (lambda root: (root / "masks").rename(root / "mask"), r"masks: no folders here; sort the"),
        (
            lambda root: [path.unlink() for path in root.glob("masks/*/*")],
            "steel, 0 of 5 images: nothing with a class to explain",
        ),
    ],
)
def test_what_is_in_the_wrong_place_is_named(root: Path, change, message: str) -> None:
    change(root)
    with pytest.raises(DatasetError, match=message) as raised:
        open_dataset(root)
    assert "\n" not in str(raised.value)


def test_masks_that_do_not_fit_are_told_with_their_image(root: Path) -> None:
    save(root / "masks" / "scratch" / "a 1.png", np.ones((6, 4), np.uint8))
    (root / "masks" / "scratch" / "b.tif").write_bytes(b"x")
    dataset = open_dataset(root)
    dent, first, second = dataset.items
    assert dataset.truth(dent).any()
    with pytest.raises(DatasetError, match=r"a 1\.png: of 4×6 px, but its image has 6×4 px"):
        dataset.truth(first)
    with pytest.raises(DatasetError, match=r"b\.tif: not an image"):
        dataset.truth(second)


def test_a_folder_of_masks_has_no_parts(root: Path) -> None:
    with pytest.raises(DatasetError, match="masks has no splits; leave out 'test'"):
        open_dataset(root, split="test")
    with pytest.raises(DatasetError, match="masks has no subsets; leave out 'paper'"):
        open_dataset(root, subset="paper")


def test_real_magnetic_tiles(steel_data: Path) -> None:
    dataset = open_dataset(steel_data / "magnetic_tile")
    assert dataset.name == "magnetic_tile, 388 of 1344 images"
    labels = np.bincount([item.label for item in dataset.items], minlength=6)
    # Its README: 4 of the 103 masks of uneven tiles are empty, and those of all that are free.
    assert dict(zip(dataset.classes, labels.tolist(), strict=True)) == {
        "blowhole": 115, "break": 85, "crack": 57, "fray": 32, "free": 0, "uneven": 99
    }  # fmt: skip
    first = dataset.items[0]
    assert first == Item("blowhole/exp1_num_108719", "blowhole/exp1_num_108719", 0, group="66")
    assert dataset.truth(first).mean() == pytest.approx(0.00118, abs=5e-6)  # its groups.csv


def test_real_masks_of_neu_det(steel_data: Path) -> None:
    whole = NeuDet(steel_data / "neu_det")
    some = NeuDet(steel_data / "neu_det", "pixel-truth")
    boxes = NeuDet(steel_data / "neu_det", "boxes")
    assert (whole.name, some.name, boxes.name) == ("NEU-DET", "NEU-DET, pixel truth", "NEU-DET")
    assert [len(one.items) for one in (whole, some, boxes)] == [1800, 900, 1800]
    assert {item.truth for item in boxes.items} == {"boxes"}
    assert [item for item in whole.items if item.truth == "pixels"] == list(some.items)
    (item,) = (item for item in some.items if item.id == "inclusion_1")
    with Image.open(steel_data / "neu_det" / "masks" / "inclusion_1.png") as image:
        expected = np.array(image) == 255
    np.testing.assert_array_equal(some.truth(item), expected)
    assert boxes.truth(item).sum() > expected.sum()
