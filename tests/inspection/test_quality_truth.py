from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from inspection.quality.labels import (
    Truth,
    TruthError,
    add_truth,
    check_labels,
    read_labels,
    read_truth,
    true_mask,
)
from inspection.quality.localisation import Localisation, localise, summarise
from inspection.quality.outcomes import Outcomes, StripOutcome, add_outcome, outcomes
from severstal_prep.dataset import CLASS_NAMES
from severstal_prep.errors import AnnotationError
from severstal_prep.images import write_png
from severstal_prep.rle import encode
from sise.statistics import Rate

LEFTS = (0, 224, 448, 672, 896, 1120, 1344)
Box = tuple[int, int, int, int]


def runs(*boxes: Box) -> str:
    """Run lengths of boxes (left, top, width, height) on a strip."""
    mask = np.zeros((256, 1600), bool)
    for left, top, width, height in boxes:
        mask[top : top + height, left : left + width] = True
    return encode(mask)


def labels(path: Path, *rows: tuple[str, int, str]) -> Path:
    """Kaggle's three columns: image, class, run lengths."""
    lines = [f"{image},{class_id},{text}\n" for image, class_id, text in rows]
    path.write_text("".join(["ImageId,ClassId,EncodedPixels\n", *lines]))
    return path


def strip_rows(*names: str, width: int = 1600) -> pd.DataFrame:
    return pd.DataFrame({"strip_id": names, "status": "inspected", "width": width})


def patch_rows(strip_id: str, indicated: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "strip_id": strip_id,
            "left": LEFTS,
            "size": 256,
            "indicated": indicated,
            "flagged": [bool(name) for name in indicated],
        }
    )


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """a.png: class 3 at x 100 to 239 (16 px of it in the second patch), class 1 below it, smaller;
    class 4 at x 1200. b.png: class 3 at x 1590. c.png is not listed."""
    return labels(
        tmp_path / "labels.csv",
        ("a.png", 3, runs((100, 10, 140, 2))),
        ("a.png", 1, runs((100, 50, 20, 2))),
        ("a.png", 4, runs((1200, 0, 10, 10))),
        ("b.png", 3, runs((1590, 0, 10, 1))),
    )


@pytest.fixture
def truth(csv: Path) -> Truth:
    return read_truth(csv, strip_rows("a.png", "cam 1/b.png", "c.png"), CLASS_NAMES)


def decided(truth: Truth) -> pd.DataFrame:
    """a: the pair of classes found by its lesser one, its tail misnamed, class 4 missed, a false
    alarm at 448; b: missed; c: a false alarm at 0."""
    a = ["class 1", "class 4", "class 3", "", "", "", ""]
    patches = pd.concat(
        [
            patch_rows("a.png", a),
            patch_rows("cam 1/b.png", [""] * 7),
            patch_rows("c.png", ["class 3", *[""] * 6]),
        ],
        ignore_index=True,
    )
    return add_outcome(add_truth(patches, truth, CLASS_NAMES), CLASS_NAMES)


def test_pixels_decide_what_a_patch_shows(truth: Truth) -> None:
    patches = decided(truth).set_index(["strip_id", "left"])
    a = patches.loc["a.png"]
    assert list(a["true_px_class_3"]) == [280, 32, 0, 0, 0, 0, 0]
    assert list(a["true_px_class_1"]) == [40, 0, 0, 0, 0, 0, 0]
    assert list(a["true_px_class_4"]) == [0, 0, 0, 0, 0, 100, 0]
    assert list(a["true_class"]) == [
        "class 3", "class 3", "normal", "normal", "normal", "class 4", "normal"
    ]  # fmt: skip
    assert list(patches.loc["cam 1/b.png"]["true_class"]) == ["normal"] * 6 + ["class 3"]
    assert list(a["outcome"]) == [
        "found", "misnamed", "overkill", "passed", "passed", "escape", "passed"
    ]  # fmt: skip


def test_the_patches_pixels_are_those_of_the_mask(truth: Truth) -> None:
    mask = true_mask(truth, "a.png", "class 3")
    assert mask.shape == (256, 1600)
    own = decided(truth).query("strip_id == 'a.png'")
    assert [int(mask[:, left : left + 256].sum()) for left in LEFTS] == list(own["true_px_class_3"])
    assert not true_mask(truth, "c.png", "class 3").any()


def found(truth: Truth) -> Outcomes:
    return outcomes(decided(truth), CLASS_NAMES)


def test_escapes_and_overkill_are_counted_per_patch_strip_and_class(truth: Truth) -> None:
    counted = found(truth)
    assert counted.patches.escape == Rate(2, 4)
    assert counted.patches.overkill == Rate(2, 17)
    assert counted.strips.escape == Rate(1, 2)
    assert counted.strips.overkill == Rate(1, 1)
    by_name = {rates.name: rates for rates in counted.per_class}
    assert by_name["class 1"].escape == Rate(0, 1)
    assert by_name["class 1"].misnamed == Rate(0, 1)
    assert by_name["class 3"].escape == Rate(1, 3)
    assert by_name["class 3"].misnamed == Rate(1, 3)
    assert by_name["class 3"].overkill == Rate(2, 17)
    assert by_name["class 4"].escape == Rate(1, 1)
    assert by_name["class 2"].escape == Rate(0, 0)
    assert sum(rates.overkill.hits for rates in counted.per_class) == 2
    assert counted.per_strip == (
        StripOutcome("a.png", "found", found=1, misnamed=1, escapes=1, overkill=1, passed=3),
        StripOutcome("cam 1/b.png", "escape", found=0, misnamed=0, escapes=1, overkill=0, passed=6),
        StripOutcome("c.png", "overkill", found=0, misnamed=0, escapes=0, overkill=1, passed=6),
    )


def test_the_confusion_matrix_has_truth_in_rows_and_decisions_in_columns(truth: Truth) -> None:
    # normal, class 1, 2, 3, 4
    assert found(truth).confusion == (
        (15, 0, 0, 2, 0),
        (0, 1, 0, 0, 0),
        (0, 0, 0, 0, 0),
        (1, 0, 0, 0, 1),
        (1, 0, 0, 0, 0),
    )


def test_wilson_intervals_are_those_of_the_formula() -> None:
    z = 1.959963984540054
    for hits, trials in ((0, 10), (3, 10), (10, 10), (2, 17)):
        share = hits / trials
        centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
        reach = z / (1 + z**2 / trials)
        reach *= np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
        assert Rate(hits, trials).interval == pytest.approx((centre - reach, centre + reach))
        assert Rate(hits, trials).share == share
    assert (Rate(0, 0).share, Rate(0, 0).interval) == (None, None)


def test_a_file_of_defective_strips_says_by_silence_that_others_are_normal(truth: Truth) -> None:
    assert (truth.unlisted, truth.unlisted_is_normal) == (1, True)
    assert found(truth).patches_unknown == 0


def test_a_file_that_lists_normal_strips_knows_nothing_of_others(tmp_path: Path) -> None:
    older = tmp_path / "older.csv"
    older.write_text(f"ImageId_ClassId,EncodedPixels\na.png_3,{runs((0, 0, 1, 1))}\nb.png_3,\n")
    truth = read_truth(older, strip_rows("a.png", "b.png", "c.png"), CLASS_NAMES)
    assert (truth.unlisted, truth.unlisted_is_normal) == (1, False)
    patches = pd.concat([patch_rows(name, [""] * 7) for name in ("a.png", "b.png", "c.png")])
    patches = add_outcome(add_truth(patches, truth, CLASS_NAMES), CLASS_NAMES)
    assert set(patches.loc[patches["strip_id"] == "c.png", "outcome"]) == {"unknown"}
    counted = outcomes(patches, CLASS_NAMES)
    assert (counted.patches_unknown, counted.patches.escape) == (7, Rate(1, 1))
    assert [strip.strip_id for strip in counted.per_strip] == ["a.png", "b.png"]


def test_labels_that_do_not_fit_are_refused_with_the_cure(csv: Path) -> None:
    with pytest.raises(TruthError, match=r"names no strip of the batch, such as z\.png"):
        read_truth(csv, strip_rows("z.png"), CLASS_NAMES)
    with pytest.raises(TruthError, match=r"two strips of the batch, 1/a\.png and 2/a\.png"):
        read_truth(csv, strip_rows("1/a.png", "2/a.png"), CLASS_NAMES)
    with pytest.raises(TruthError, match=r"a\.png has 800×256 px"):
        read_truth(csv, strip_rows("a.png", width=800), CLASS_NAMES)
    with pytest.raises(TruthError, match="row 2: class 3 is no class of the model"):
        read_truth(csv, strip_rows("a.png"), CLASS_NAMES[:3])
    with pytest.raises(AnnotationError, match="no such file"):
        read_truth(csv.with_name("absent.csv"), strip_rows("a.png"), CLASS_NAMES)


def test_names_may_differ_from_the_strips_where_it_is_clear(
    csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strips = strip_rows("cam 1/A.PNG", "b.jpg", "c.png")
    found = read_truth(csv, strips, CLASS_NAMES).strips
    assert {name: strip.image for name, strip in found.items()} == {
        "cam 1/A.PNG": "a.png",
        "b.jpg": "b.png",
    }
    check_labels(read_labels(csv), list(strips["strip_id"]), CLASS_NAMES)
    assert capsys.readouterr().err == (
        f"{csv}: 1 name differs from the file in case ('a.png' is the file 'A.PNG')\n"
        f"{csv}: 1 name differs from the file in suffix ('b.png' is the file 'b.jpg')\n"
    )
    with pytest.raises(TruthError, match=r"'a\.png' can mean the file 'A\.PNG' or 'A\.png'"):
        read_truth(csv, strip_rows("A.png", "A.PNG"), CLASS_NAMES)


def test_strips_that_were_not_inspected_are_left_out(csv: Path) -> None:
    strips = strip_rows("a.png", "b.png").assign(status=["inspected", "unreadable"])
    assert list(read_truth(csv, strips, CLASS_NAMES).strips) == ["a.png"]


def test_maps_are_held_against_the_true_mask_of_the_class_they_explain(
    truth: Truth, tmp_path: Path
) -> None:
    # Class 4 lies at x 1200 to 1209, y 0 to 9: columns 80 to 89 of the patch at 1120.
    heat = np.zeros((256, 256), np.uint8)
    heat[:10, 85:95] = 255
    (tmp_path / "img").mkdir()
    write_png(tmp_path / "img" / "a.png", heat)
    patches = pd.DataFrame(
        {
            "strip_id": "a.png",
            "left": [1120, 1120, 1120, 448],
            "top": 0,
            "size": 256,
            "target": ["class 4", "class 3", "class 4", "class 4"],
            "map_status": ["ok", "ok", "constant map", "ok"],
            "map_path": ["img/a.png", "img/a.png", "", "img/a.png"],
        }
    )
    measured = localise(patches, truth, tmp_path)
    assert list(measured["ebpg"].isna()) == [False, True, True, True]
    first = measured.iloc[0]
    assert first["ebpg"] == pytest.approx(0.5)
    assert first["bbox"] == pytest.approx(0.5)
    assert first["true_area"] == pytest.approx(100 / 65536)
    assert summarise(measured) == Localisation(
        1, pytest.approx(0.5), pytest.approx(0.5), pytest.approx(100 / 65536)
    )
    assert summarise(measured.iloc[1:]) == Localisation(0, None, None, None)


def test_patches_smaller_than_a_strip_have_their_own_rows_of_the_truth(truth: Truth) -> None:
    patches = pd.DataFrame(
        {"strip_id": "a.png", "left": [1152, 1152, 1205], "top": [0, 112, 4], "size": 128}
    )
    # Class 4 lies at x 1200 to 1209, y 0 to 9.
    added = add_truth(patches, truth, CLASS_NAMES)
    assert list(added["true_px_class_4"]) == [100, 0, 5 * 6]
    assert list(added["true_class"]) == ["class 4", "normal", "class 4"]
