"""What the readers share, NEU-DET, and opening a folder."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sise.datasets.dataset import Item, mask_of_boxes
from sise.datasets.files import inside
from sise.datasets.neu_det import NeuDet
from sise.datasets.opening import open_dataset
from sise.datasets.pascal import Box, read_annotation
from sise.errors import DatasetError

OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>
<xmin>{edges[0]}</xmin><ymin>{edges[1]}</ymin><xmax>{edges[2]}</xmax><ymax>{edges[3]}</ymax>
</bndbox></object>"""


def write_neu_det(root: Path) -> Path:
    """Two images of 200×200 px in each pair of folders, boxes of their class and a crazing."""
    boxes = {
        ("IMAGES", "ANNOTATIONS", "rolled-in_scale_7"): [(11, 21, 30, 50)],
        ("IMAGES", "ANNOTATIONS", "crazing_1"): [(1, 1, 200, 100)],
        ("Validation_Images", "Validation_Annotations", "crazing_12"): [(5, 5, 6, 6)],
        ("Validation_Images", "Validation_Annotations", "scratches_2"): [
            (1, 1, 10, 10),
            (6, 1, 15, 10),
        ],
    }
    for (images, annotations, name), edges in boxes.items():
        for folder in (images, annotations):
            (root / folder).mkdir(parents=True, exist_ok=True)
        Image.new("L", (200, 200), len(name)).save(root / images / f"{name}.jpg")
        own = name.rpartition("_")[0]
        found = [(own, box) for box in edges] + [("crazing", (90, 90, 99, 99))]
        objects = [OBJECT.format(name=label, difficult=0, edges=box) for label, box in found]
        text = f"<annotation>{''.join(objects)}</annotation>"
        (root / annotations / f"{name}.xml").write_text(text)
    return root


@pytest.fixture
def neu_det(tmp_path: Path) -> Path:
    return write_neu_det(tmp_path / "тест dir" / "neu")


def test_mask_of_boxes_by_hand() -> None:
    mask = mask_of_boxes([(1, 0, 3, 1), (2.6, 1.2, 3.9, 2.1)], (3, 5))
    np.testing.assert_array_equal(mask, [[0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])


@given(
    st.lists(st.tuples(*[st.integers(-3, 9)] * 4), max_size=3), st.integers(1, 6), st.integers(1, 6)
)
def test_mask_of_boxes_is_every_pixel_inside_one(
    corners: list[tuple[int, int, int, int]], height: int, width: int
) -> None:
    boxes = [(min(a, b), min(c, d), max(a, b) + 1, max(c, d) + 1) for a, b, c, d in corners]
    boxes = [box for box in boxes if box[2] > 0 and box[3] > 0]
    inside_of = [
        [any(x0 <= x < x1 and y0 <= y < y1 for x0, y0, x1, y1 in boxes) for x in range(width)]
        for y in range(height)
    ]
    np.testing.assert_array_equal(mask_of_boxes(boxes, (height, width)), inside_of)


@pytest.mark.parametrize(
    ("box", "pixel"),
    [
        ((2.2, 1.1, 2.4, 1.3), (1, 2)),
        ((4.8, 2.7, 5.0, 3.0), (2, 4)),
        ((-9.0, 0.0, 0.0, 0.0), (0, 0)),
    ],
)
def test_a_sliver_of_a_box_holds_a_pixel(box, pixel) -> None:
    assert np.argwhere(mask_of_boxes([box], (3, 5))).tolist() == [list(pixel)]


@pytest.mark.parametrize("box", [(-9, 0, -1, 3), (5, 0, 9, 3), (0, -9, 5, -1), (0, 3, 5, 9)])
def test_a_box_outside_the_image_holds_none(box) -> None:
    assert not mask_of_boxes([box], (3, 5)).any()


@pytest.mark.parametrize("path", ["../a.png", "b/../../a.png", "/etc/passwd", "..", "c/.."])
def test_paths_from_data_stay_in_their_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(DatasetError, match=r"row 3: the path .* leads out of"):
        inside(tmp_path, path, "row 3")


@pytest.mark.parametrize("path", ["", ".", None, float("nan"), 7])
def test_what_is_no_path(tmp_path: Path, path: object) -> None:
    with pytest.raises(DatasetError, match=r"row 3: .* is not the path of a file"):
        inside(tmp_path, path, "row 3")


def test_names_with_dots_are_paths(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/..b.png", "") == tmp_path / "a" / "..b.png"


def test_annotation_leaves_out_parts_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        "<annotation><size><width>500</width><height>375</height></size><object>"
        "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
        "</bndbox></part><name>person</name><difficult>1</difficult><bndbox><xmax>30.5</xmax>"
        "<xmin>10</xmin><ymin>20</ymin><ymax>40</ymax></bndbox></object></annotation>"
    )
    annotation = read_annotation(path)
    assert annotation.size == (375, 500)
    assert annotation.boxes == (Box("person", (10, 20, 30.5, 40), True),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", "not a readable annotation"),
        ("", "not a readable annotation"),
        (OBJECT.format(name="a", difficult=0, edges=(1, "", 3, 4)), "object 1: no box of xmin"),
        (OBJECT.format(name="a", difficult=0, edges=(5, 1, 3, 4)), "object 1: not a box from left"),
        (OBJECT.format(name="a", difficult=0, edges=(1, 1, "nan", 4)), "object 1: not a box"),
        (OBJECT.format(name="a", difficult=0, edges=(1, "-inf", 3, 4)), "object 1: not a box"),
        ("<size><width>wide</width><height>3</height></size>", "invalid literal"),
    ],
)
def test_damaged_annotation_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "тест.xml"
    closed = text if text in ("", "<annotation><object>") else f"<annotation>{text}</annotation>"
    path.write_text(closed, "utf-8")
    with pytest.raises(DatasetError, match=f"тест.xml.*{message}") as raised:
        read_annotation(path)
    assert "\n" not in str(raised.value)


def test_neu_det_by_hand(neu_det: Path) -> None:
    dataset = open_dataset(neu_det)
    assert dataset.name == "NEU-DET"
    assert dataset.items == (
        Item("crazing_1", "crazing_1", 0, truth="boxes"),
        Item("crazing_12", "crazing_12", 0, truth="boxes"),
        Item("rolled-in_scale_7", "rolled-in_scale_7", 4, truth="boxes"),
        Item("scratches_2", "scratches_2", 5, truth="boxes"),
    )
    rolled, scratches = dataset.items[2], dataset.items[3]
    pixels, mask = dataset.pixels(rolled), dataset.truth(rolled)
    assert (pixels.shape, pixels.dtype, np.unique(pixels).tolist()) == (
        (200, 200, 3),
        np.uint8,
        [17],
    )
    assert (mask.shape, mask.dtype, mask.sum()) == ((200, 200), np.bool_, 20 * 30)
    assert mask[20:50, 10:30].all()
    assert dataset.truth(scratches).sum() == 10 * 15  # two boxes that overlap


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "ANNOTATIONS/crazing_1.xml").unlink(), "crazing_1.xml: no such file"),
        (
            lambda root: (root / "IMAGES/crazing_1.jpg").write_bytes(b"x"),
            "crazing_1.jpg: not an im",
        ),
    ],
)
def test_neu_det_with_a_damaged_file(neu_det: Path, spoil, message: str) -> None:
    spoil(neu_det)
    dataset = open_dataset(neu_det)
    with pytest.raises(DatasetError, match=message):
        dataset.truth(dataset.items[0])


def test_neu_det_with_an_image_of_no_class(neu_det: Path) -> None:
    (neu_det / "IMAGES" / "dent_1.jpg").touch()
    with pytest.raises(
        DatasetError, match=r"dent_1\.jpg: its name begins with no class of crazing"
    ):
        open_dataset(neu_det)


def test_real_neu_det(steel_data: Path) -> None:
    dataset = open_dataset(steel_data / "neu_det")
    labels = [item.label for item in dataset.items]
    assert np.bincount(labels).tolist() == [300] * 6
    assert len({item.id for item in dataset.items}) == 1800
    assert isinstance(dataset, NeuDet)
    item = Item("crazing_1", "crazing_1", 0, truth="boxes")
    assert item in dataset.items
    assert dataset.pixels(item).shape == (200, 200, 3)
    expected = np.zeros((200, 200), bool)
    expected[1:194, 1:193] = True  # its XML: xmin 2, ymin 2, xmax 193, ymax 194
    np.testing.assert_array_equal(dataset.truth(item), expected)


def test_only_listed_items(neu_det: Path, tmp_path: Path) -> None:
    listed = tmp_path / "held out.txt"
    listed.write_text("\ufeff# test\n\n scratches_2 \r\ncrazing_1\ncrazing_1\n", "utf-8")
    dataset = open_dataset(neu_det, listed=listed)
    assert [item.id for item in dataset.items] == ["crazing_1", "scratches_2"]
    assert dataset.name == "NEU-DET, 2 items of held out.txt"
    assert dataset.classes == NeuDet(neu_det).classes
    assert dataset.truth(dataset.items[1]).sum() == 150
    assert np.unique(dataset.pixels(dataset.items[1])).tolist() == [11]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"crazing_1\n\n# x\ncrazing_2\n", "list.txt, line 4: NEU-DET has no .* 'crazing_2'"),
        (b"# nothing\n", "NEU-DET, 0 items of list.txt: nothing with a class to explain"),
        (b"crazing_\xff", "list.txt: not a readable text file"),
        (None, "list.txt: no such file"),
    ],
)
def test_lists_that_cannot_be_followed(
    neu_det: Path, tmp_path: Path, content: bytes | None, message: str
) -> None:
    listed = tmp_path / "list.txt"
    if content is not None:
        listed.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        open_dataset(neu_det, listed=listed)


def test_folders_that_hold_no_dataset(neu_det: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="absent: no such folder"):
        open_dataset(tmp_path / "absent")
    with pytest.raises(DatasetError) as raised:
        open_dataset(tmp_path)
    assert str(raised.value) == (
        f"{tmp_path}: no dataset that is known here; looked for dataset.json (recast), "
        "IMAGES/*.jpg (neu-det), VOCdevkit/VOC2007 (voc), annotations/instances_*.json (coco), "
        "images/*/* (masks)"
    )
    with pytest.raises(DatasetError, match="no dataset of the layout voc here: no VOCdevkit/VOC2"):
        open_dataset(neu_det, "voc")


def test_what_neu_det_does_not_have(neu_det: Path) -> None:
    with pytest.raises(DatasetError, match="neu-det has no splits; leave out 'test'"):
        open_dataset(neu_det, split="test")
    with pytest.raises(DatasetError, match="no subset 'paper'; one of pixel-truth, boxes"):
        open_dataset(neu_det, subset="paper")
    with pytest.raises(DatasetError, match="masks: no masks here, so no subset 'pixel-truth'"):
        open_dataset(neu_det, subset="pixel-truth")


def test_neu_det_takes_masks_where_they_are(neu_det: Path) -> None:
    (neu_det / "masks").mkdir()
    drawn = np.zeros((200, 200), np.uint8)
    drawn[7, 3:5] = 255
    Image.fromarray(drawn).save(neu_det / "masks" / "scratches_2.png")
    dataset = open_dataset(neu_det)
    assert [item.truth for item in dataset.items] == ["boxes", "boxes", "boxes", "pixels"]
    assert np.argwhere(dataset.truth(dataset.items[3])).tolist() == [[7, 3], [7, 4]]
    assert dataset.truth(dataset.items[2]).sum() == 20 * 30
    some = open_dataset(neu_det, subset="pixel-truth")
    assert (some.name, some.items) == ("NEU-DET, pixel truth", dataset.items[3:])
    boxes = open_dataset(neu_det, subset="boxes")
    assert boxes.truth(boxes.items[3]).sum() == 10 * 15
    Image.new("L", (200, 100)).save(neu_det / "masks" / "scratches_2.png")
    with pytest.raises(DatasetError, match=r"scratches_2\.png: of 200×100 px, but its image has"):
        some.truth(some.items[0])
    Image.new("L", (200, 200)).save(neu_det / "masks" / "scratches_3.png")
    with pytest.raises(DatasetError, match=r"scratches_3\.png: a mask without image"):
        open_dataset(neu_det)
