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
    ("x.jpg,1.5,1 1", "class '1.5'"),
    (",1,1 1", "names no image"),
    ("../x.jpg,1,1 1", "not a plain file name"),
    ("..,1,1 1", "not a plain file name"),
    ("/etc/x.jpg,1,1 1", "not a plain file name"),
    ("sub/../x.jpg,1,1 1", "not a plain file name"),
    ("sub\\..\\x.jpg,1,1 1", "not a plain file name"),
    ("sub/,1,1 1", "not a plain file name"),
    ("C:\\sub\\x.jpg,1,1 1", "not a plain file name"),
    ("C:x.jpg,1,1 1", "not a plain file name"),
    ("x\x1b[0m.jpg,1,1 1", "not a plain file name"),
    ("good.jpg,1,1 2", "good.jpg has class 1 in row 2 already, and the masks overlap"),
    ("good.jpg,1,", "good.jpg has class 1 in row 2 already, once with a mask and once without"),
    ("good.jpg,0,", "has no defect, row 2 has one"),
    ("sub/good.jpg,3,1 1", "'sub/good.jpg' and 'good.jpg' in row 2 may be two images"),
    ("x.jpg,1,1.23E+05 4", "holds '1.23E+05': a spreadsheet has changed the number"),
    ("x.jpg,1,29.090 24", "holds '29.090': a spreadsheet has changed the number"),
    ('x.jpg,1,"29,090 24"', "holds '29,090': a spreadsheet has changed the number"),
    ("x.jpg,-1,1 1", "class '-1' has a mask"),
    ("x.jpg,7,", "class '7'"),
    ("x.jpg,1", "the row has 2 fields, the heading 3"),
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
        (
            (NEW, "a.jpg,1,1 1", "b.jpg,1,1 1,more"),
            "row 3: more fields than the heading (4",
        ),
        ((NEW, 'a.jpg,1,"1 1', "b.jpg,1,1 1"), "row 2: a field goes on in the next line"),
        (("ImageId,ClassId,EncodedPixels,class id", "a.jpg,1,1 1,2"), "ClassId is there twice"),
        ((NEW + ",ImageId_ClassId", "a.jpg,1,1 1,a.jpg_1"), "both layouts at once"),
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


def said(path: Path) -> dict[str, dict[int, list[tuple[int, int]]]]:
    """Per image and class the runs, as start from 1 and length."""
    return {
        image: {
            class_id: list(zip((runs.starts + 1).tolist(), runs.lengths.tolist(), strict=True))
            for class_id, runs in annotation.labels.items()
        }
        for image, annotation in read_annotations(path).strips.items()
    }


KAGGLE = {"a.jpg": {1: [(1, 3)], 3: [(5, 1), (7, 2)]}, "b.jpg": {4: [(9, 9)]}}


@pytest.mark.parametrize(
    ("lines", "notes"),
    [
        (["EncodedPixels,ImageId,ClassId", "1 3,a.jpg,1", "5 1 7 2,a.jpg,3", "9 9,b.jpg,4"], []),
        (
            [",ImageId,ClassId,EncodedPixels,by", "0,a.jpg,1,1 3,me", "1,a.jpg,3,5 1 7 2,",
             "2,b.jpg,4,9 9,"],
            ["passed over: column without a name, by"],
        ),
        (
            ["ImageId;ClassId;EncodedPixels", "a.jpg;1;1 3", "a.jpg;3;5 1 7 2", "b.jpg;4;9 9"],
            ["its columns are separated by a semicolon"],
        ),
        (
            ["sep=;", "ImageId;ClassId;EncodedPixels", "a.jpg;1;1 3", "a.jpg;3;5 1 7 2",
             "b.jpg;4;9 9"],
            ["its columns are separated by a semicolon"],
        ),
        (
            ["image_id\tclass id\tENCODEDPIXELS", "a.jpg\t1\t1 3", "a.jpg\t3\t5 1 7 2",
             "b.jpg\t4\t9 9"],
            ["its columns are separated by a tab"],
        ),
        ([NEW, "a.jpg,1.0,1.0 3.0", "a.jpg, 3.0 ,5 1  7 2 ", ' "b.jpg" ,04,"9 9"'], []),
        (
            [NEW, "a.jpg,1,1 3", "", "a.jpg,3,5 1 7 2", ",,", "b.jpg,4,9 9", "", "", ""],
            ["passed over: 2 blank rows"],
        ),
        ([NEW, "a.jpg,1,1 3,,", "a.jpg,3,5 1 7 2,,", "b.jpg,4,9 9,,"], []),
        (
            [NEW, "x/a.jpg,1,1 3", "x/a.jpg,3,5 1 7 2", "train\\images\\b.jpg,4,9 9"],
            ["rows that name the image with its folder, which is left out: 3"],
        ),
        (
            [NEW, "a.jpg,3,7 2", "a.jpg,1,1 3", "a.jpg,3,5 1", "b.jpg,4,9 9", "b.jpg,4,9 9"],
            ["rows that add to the mask that an earlier row gives a class: 1",
             "rows that repeat an earlier one: 1"],
        ),
        (
            ["encodedpixels,imageid_classid", "1 3,a.jpg_1", "nan,a.jpg_2", "5 1 7 2,a.jpg_3",
             "-1,b.jpg_1", "9 9,b.jpg_4"],
            [],
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_other_programs_files_say_the_same(
    tmp_path: Path, lines: list[str], notes: list[str], end: str, encoding: str
) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes((end.join(lines) + end).encode(encoding))
    assert said(path) == KAGGLE
    expected = ["read as UTF-16"] if "16" in encoding else []
    assert list(read_annotations(path).notes) == expected + notes


@pytest.mark.parametrize("class_text", ["", "0", "-1", "nan", "NaN", "None"])
@pytest.mark.parametrize("mask", ["", " ", "-1", "nan", "NaN", "0", "<NA>", "null", "-1.0"])
def test_a_row_without_class_and_mask_is_a_strip_without_defect(
    write_csv, class_text: str, mask: str
) -> None:
    path = write_csv(NEW, f"a.jpg,{class_text},{mask}", "b.jpg,2,4 4")
    assert said(path) == {"a.jpg": {}, "b.jpg": {2: [(4, 4)]}}
    assert said(write_csv(NEW, f"a.jpg,3,{mask}")) == {"a.jpg": {}}


def test_a_strip_with_and_without_defect_is_refused_in_either_order(write_csv) -> None:
    with pytest.raises(AnnotationError, match="row 3: the row gives a"):
        read_annotations(write_csv(NEW, "a.jpg,0,", "a.jpg,2,1 1"))


def test_rows_are_numbered_as_in_a_spreadsheet(write_csv) -> None:
    path = write_csv("", "sep=,", NEW, "", "a.jpg,1,1 1", "", "b.jpg,9,1 1")
    with pytest.raises(AnnotationError, match="row 7: class '9'"):
        read_annotations(path)


def test_latin_letters_of_old_programs(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(f"{NEW}\nbände.jpg,1,1 3\n".encode("latin-1"))
    assert said(path) == {"bände.jpg": {1: [(1, 3)]}}
    assert read_annotations(path).notes == ("read as Latin-1, as it is not UTF-8",)


def long_mask(characters: int) -> str:
    """Valid runs of exactly that many characters."""
    runs = " ".join(f"{start} 1" for start in range(10_001, 99_999, 2))
    cut = runs[: characters - 1].rpartition(" ")[0]
    cut = cut if len(cut.split()) % 2 == 0 else cut.rpartition(" ")[0]
    last = cut.rpartition(" ")[0]
    return last + " " + "0" * (characters - len(last) - 2) + "1"


@pytest.mark.parametrize(("characters", "refused"), [(32_765, 0), (32_767, 1), (32_768, 0)])
def test_a_cell_that_a_spreadsheet_cut_off_is_refused(
    write_csv, characters: int, refused: int
) -> None:
    mask = long_mask(characters)
    assert len(mask) == characters
    assert len(mask.split()) % 2 == 0
    annotations = read_annotations(write_csv(NEW, f"a.jpg,1,{mask}"), on_error="quarantine")
    assert len(annotations.rejections) == refused
    for rejection in annotations.rejections:
        assert rejection.reason == (
            "EncodedPixels has 32,767 characters, and spreadsheets cut a cell off there: take "
            "the row from the original file, or split it in two if it is whole"
        )
