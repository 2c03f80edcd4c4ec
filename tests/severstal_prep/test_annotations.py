from pathlib import Path

import pytest

from severstal_prep.annotations import read_annotations
from severstal_prep.errors import AnnotationError

NEW = "ImageId,ClassId,EncodedPixels"
OLD = "ImageId_ClassId,EncodedPixels"


@pytest.fixture
def write_csv(tmp_path: Path):
    def write(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "тест dir.csv"
        path.write_bytes("\n".join(lines).encode(encoding))
        return path

    return write


def test_both_layouts_say_the_same(write_csv) -> None:
    new = read_annotations(write_csv(NEW, "a.jpg,1,1 3", "b_2.jpg,4,9 9", "a.jpg,3,5 1 7 2"))
    lines = [f"{name}_{c}," for name in ("a.jpg", "b_2.jpg") for c in (1, 2, 3, 4)]
    lines[0] += "1 3"
    lines[2] += "5 1 7 2"
    lines[7] += "9 9"
    old = read_annotations(write_csv(OLD, *lines))
    for annotations in (new, old):
        assert list(annotations.strips) == ["a.jpg", "b_2.jpg"]
        a = annotations.strips["a.jpg"].labels
        assert sorted(a) == [1, 3]
        assert a[3].starts.tolist() == [4, 6]
        assert a[3].lengths.tolist() == [1, 2]
        assert sorted(annotations.strips["b_2.jpg"].labels) == [4]
        assert annotations.rejections == ()
    assert [a.row for a in new.strips.values()] == [2, 3]
    assert [a.row for a in old.strips.values()] == [2, 6]


def test_strips_listed_without_defect_have_no_labels(write_csv) -> None:
    annotations = read_annotations(write_csv(OLD, *(f"a.jpg_{c}," for c in (1, 2, 3, 4))))
    assert annotations.strips["a.jpg"].labels == {}


def test_byte_order_mark_and_windows_line_ends(write_csv) -> None:
    annotations = read_annotations(write_csv(NEW + "\r", "a.jpg,2,1 3\r", encoding="utf-8-sig"))
    assert list(annotations.strips["a.jpg"].labels) == [2]


BAD_ROWS = [
    ("x.jpg,1,1 2 3", "odd count of numbers (3)"),
    ("x.jpg,1,1 a", "holds 'a'"),
    ("x.jpg,1,409600 2", "past the last pixel (409600)"),
    ("x.jpg,1,1 5 3 5", "overlap"),
    ("x.jpg,1,9 1 3 1", "ascending"),
    ("x.jpg,1,0 4", "starts at 0"),
    ("x.jpg,1,4 0", "length 0"),
    ("x.jpg,0,1 1", "class '0'"),
    ("x.jpg,5,1 1", "class '5'"),
    ("x.jpg,one,1 1", "class 'one'"),
    ("x.jpg,,1 1", "class ''"),
    ("x.jpg,1.0,1 1", "class '1.0'"),
    (",1,1 1", "names no image"),
    ("../x.jpg,1,1 1", "not a plain file name"),
    ("..,1,1 1", "not a plain file name"),
    ("/etc/x.jpg,1,1 1", "not a plain file name"),
    ("sub/x.jpg,1,1 1", "not a plain file name"),
    ("sub\\x.jpg,1,1 1", "not a plain file name"),
    ("C:x.jpg,1,1 1", "not a plain file name"),
    ("x\x1b[0m.jpg,1,1 1", "not a plain file name"),
    ("good.jpg,1,5 1", "good.jpg has class 1 in row 2 already"),
]


@pytest.mark.parametrize(("row", "complaint"), BAD_ROWS)
def test_stops_at_the_first_bad_row(write_csv, row: str, complaint: str) -> None:
    path = write_csv(NEW, "good.jpg,1,1 1", "good.jpg,2,1 1", row, "z.jpg,9,1 1")
    with pytest.raises(AnnotationError) as caught:
        read_annotations(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, row 4: ")
    assert complaint in message
    assert "\n" not in message
    assert message.isprintable()


@pytest.mark.parametrize(("row", "complaint"), BAD_ROWS)
def test_quarantine_lists_the_row_and_goes_on(write_csv, row: str, complaint: str) -> None:
    path = write_csv(NEW, "good.jpg,1,1 1", "z.jpg,2,1 1", row, "last.jpg,3,1 1")
    annotations = read_annotations(path, on_error="quarantine")
    (rejection,) = annotations.rejections
    assert rejection.row == 4
    assert complaint in rejection.reason
    usable = {"good.jpg", "z.jpg", "last.jpg"} - {rejection.image}
    assert set(annotations.strips) == usable


@pytest.mark.parametrize("bad_first", [True, False])
def test_a_strip_with_one_bad_row_is_left_out_whole(write_csv, bad_first: bool) -> None:
    rows = ["a.jpg,1,1 1 1", "a.jpg,2,1 1"]
    path = write_csv(NEW, *(rows if bad_first else rows[::-1]), "b.jpg,3,1 1")
    annotations = read_annotations(path, on_error="quarantine")
    assert list(annotations.strips) == ["b.jpg"]


def test_quarantine_lists_every_problem(write_csv) -> None:
    path = write_csv(NEW, "a.jpg,1,1", "a.jpg,7,1 1", "", "b.jpg,1,0 1", "c.jpg,1,1 1")
    annotations = read_annotations(path, on_error="quarantine")
    assert [(r.row, r.image, r.class_id) for r in annotations.rejections] == [
        (2, "a.jpg", "1"),
        (3, "a.jpg", "7"),
        (4, "", ""),
        (5, "b.jpg", "1"),
    ]
    assert list(annotations.strips) == ["c.jpg"]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ((), "the file is empty"),
        (("",), "the file is empty"),
        ((NEW,), "no row below the heading"),
        (("id,label", "a.jpg,1"), "columns id,label"),
        (("ImageId,EncodedPixels", "a.jpg,1 1"), "columns ImageId,EncodedPixels"),
        ((NEW, "a.jpg,1,1 1,more"), "more fields than the heading"),
        ((NEW, "a.jpg,1,1 1,", "b.jpg,1,1 1,"), "more fields than the heading"),
        ((NEW, "a.jpg,1,1 1", "b.jpg,1,1 1,more"), "line 3"),
    ],
)
def test_files_that_are_no_label_file(write_csv, lines: tuple[str, ...], complaint: str) -> None:
    path = write_csv(*lines)
    for on_error in ("stop", "quarantine"):
        with pytest.raises(AnnotationError) as caught:
            read_annotations(path, on_error)
        assert str(path) in str(caught.value)
        assert complaint in str(caught.value)
        assert "\n" not in str(caught.value)


def test_missing_file_folder_and_other_bytes(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="no such file"):
        read_annotations(tmp_path / "none.csv")
    with pytest.raises(AnnotationError, match="a folder"):
        read_annotations(tmp_path)
    (tmp_path / "image.csv").write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)))
    with pytest.raises(AnnotationError, match=r"image\.csv"):
        read_annotations(tmp_path / "image.csv")
