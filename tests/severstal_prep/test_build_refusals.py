"""Images, rows, names and folders that a build cannot use."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from built import times
from PIL import Image

from severstal_prep.build import Request, build
from severstal_prep.dataset import read_manifest
from severstal_prep.errors import AnnotationError, DatasetError
from severstal_prep.images import read_image, write_jpeg
from severstal_prep.recast import Rules


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def shrink(path: Path) -> None:
    write_jpeg(path, read_image(path)[:, :800])


BAD_IMAGES = {
    "truncated": (truncate, "truncated"),
    "wrong size": (shrink, "800x256 px"),
    "missing": (Path.unlink, "is missing"),
    "no image": (lambda path: path.write_bytes(b"hello"), "not an image of a known format"),
}


@pytest.mark.parametrize(("spoil", "reason"), BAD_IMAGES.values(), ids=BAD_IMAGES.keys())
def test_bad_image_stops_the_build_and_can_be_mended(
    seven_strips: Any, request_seven: Request, spoil: Any, reason: str
) -> None:
    path = seven_strips.images / "d.jpg"
    original = path.read_bytes()
    spoil(path)
    with pytest.raises(AnnotationError) as caught:
        build(request_seven)
    message = str(caught.value)
    assert message.startswith(f"{seven_strips.csv}, row 5: {path}")
    assert reason in message
    assert "\n" not in message
    assert not (request_seven.out / "dataset.json").exists()
    path.write_bytes(original)
    assert build(request_seven).card["counts"]["total"]["4"] == 2


@pytest.mark.parametrize(("spoil", "reason"), BAD_IMAGES.values(), ids=BAD_IMAGES.keys())
def test_bad_image_in_quarantine(
    seven_strips: Any, request_seven: Request, spoil: Any, reason: str
) -> None:
    spoil(seven_strips.images / "d.jpg")
    quarantine = replace(request_seven, on_error="quarantine")
    card = build(quarantine).card
    assert card["rejected_strips"] == 1
    assert card["counts"]["total"] == {"0": 15, "1": 2, "2": 1, "3": 7, "4": 0}
    with (request_seven.out / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        (rejected,) = csv.DictReader(stream)
    assert list(rejected) == ["row", "image", "class", "reason"]
    assert (rejected["row"], rejected["image"]) == ("5", "d.jpg")
    assert reason in rejected["reason"]
    before = times(request_seven.out)
    again = build(quarantine)
    assert again.was_complete
    assert again.card["rejected_strips"] == 1
    assert times(request_seven.out) == before


def test_one_bad_row_keeps_the_whole_strip_out(seven_strips: Any, request_seven: Request) -> None:
    # Without its bad second row, e would be a strip of the single class 1.
    seven_strips.rows[5] = "e.jpg,3,900 20 5"
    seven_strips.write()
    with pytest.raises(AnnotationError, match=r"row 7: .*odd count"):
        build(request_seven)
    assert not request_seven.out.exists()
    rules = Rules(normals="all")  # which would also take e for an unlabelled strip
    card = build(replace(request_seven, on_error="quarantine", rules=rules)).card
    assert "e" not in set(read_manifest(request_seven.out)["strip_id"])
    assert card["counts"]["total"]["1"] == 2
    assert card["rejected_strips"] == 1


def test_unlisted_bad_image_is_named_without_a_row(
    seven_strips: Any, request_seven: Request
) -> None:
    truncate(seven_strips.images / "g.jpg")
    request = replace(request_seven, rules=Rules(normals="all"))
    with pytest.raises(AnnotationError) as caught:
        build(request)
    assert str(caught.value).startswith(str(seven_strips.images / "g.jpg") + ": truncated")
    build(replace(request, on_error="quarantine"))
    with (request_seven.out / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        assert [(r["row"], r["image"]) for r in csv.DictReader(stream)] == [("", "g.jpg")]


def test_the_wrong_image_folder_is_told_at_once(request_seven: Request, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for images, complaint in ((other, "none of the 6 listed"), (tmp_path / "no", "no such")):
        with pytest.raises(DatasetError, match=complaint):
            build(replace(request_seven, images=images, on_error="quarantine"))
    assert not request_seven.out.exists()


@pytest.mark.usefixtures("quick_overview")
def test_rules_that_leave_nothing(kaggle: Any, tmp_path: Path) -> None:
    kaggle.add_strip("a.jpg", [(1, "10000 5")])
    rules = Rules(normals="none", min_defect_pixels=100)
    with pytest.raises(DatasetError, match="leave no crop"):
        build(Request(kaggle.csv, kaggle.images, tmp_path / "out", rules))
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_two_images_of_one_name(seven_strips: Any, request_seven: Request) -> None:
    (seven_strips.images / "a.png").write_bytes((seven_strips.images / "a.jpg").read_bytes())
    with pytest.raises(DatasetError, match="same name"):
        build(replace(request_seven, rules=Rules(normals="all")))


def test_names_that_differ_from_the_files_are_understood_and_said(
    seven_strips: Any, request_seven: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = seven_strips.images
    (folder / "a.jpg").rename(folder / "A.JPG")
    with Image.open(folder / "b.jpg") as strip:
        strip.save(folder / "b.png")
    (folder / "b.jpg").unlink()
    outcome = build(request_seven)
    manifest = read_manifest(outcome.out)
    assert {"A", "b"} <= set(manifest["strip_id"])
    assert set(manifest.loc[manifest["strip_id"] == "A", "class_id"]) == {0, 1}
    told = capsys.readouterr().err
    assert "1 name differs from the file in case ('a.jpg' is the file 'A.JPG')" in told
    assert "1 name differs from the file in suffix ('b.jpg' is the file 'b.png')" in told


def test_a_name_that_can_mean_two_files_stops_the_build(
    seven_strips: Any, request_seven: Request
) -> None:
    folder = seven_strips.images
    (folder / "A.jpg").write_bytes((folder / "a.jpg").read_bytes())
    (folder / "a.jpg").rename(folder / "A.JPG")
    with pytest.raises(AnnotationError, match=r"row 2: 'a\.jpg' can mean the file 'A\.JPG' or"):
        build(request_seven)
