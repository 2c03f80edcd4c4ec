import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from severstal_prep import build as build_module
from severstal_prep import overview, workers
from severstal_prep.build import Request, build
from severstal_prep.dataset import COLUMNS, card_sha256, read_card, read_manifest
from severstal_prep.errors import AnnotationError, DatasetError
from severstal_prep.images import read_image, write_jpeg
from severstal_prep.recast import Rules

# The crops of `seven_strips`, by hand: class, or - where dropped; normals from labelled strips.
EXPECTED = {
    "a": "110000",
    "b": "002000",
    "c": "333333",
    "d": "000044",
    "e": "-00-00",
    "f": "300---",
}
LEFTS = (32, 288, 544, 800, 1056, 1312)


@pytest.fixture
def request_seven(seven_strips: Any, tmp_path: Path) -> Request:
    return Request(seven_strips.csv, seven_strips.images, tmp_path / "выход dir", Rules())


@pytest.fixture(autouse=True)
def quick_overview(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in for the overview, which takes a second to draw, where no test looks at it."""
    if "overview" not in request.node.name:

        def write_overview(path: Path, root: Path, manifest: object) -> None:
            path.write_bytes(b"picture")

        monkeypatch.setattr(overview, "write_overview", write_overview)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_every_crop_is_what_the_rules_say(seven_strips: Any, request_seven: Request) -> None:
    card = build(request_seven).card
    manifest = read_manifest(request_seven.out)
    assert tuple(manifest.columns) == COLUMNS
    found = {strip: ["-"] * 6 for strip in EXPECTED}
    for crop in manifest.itertuples():
        found[crop.strip_id][LEFTS.index(crop.left)] = str(crop.class_id)
        assert crop.crop_id == f"{crop.strip_id}_x{crop.left}"
        place = f"{crop.split}/{crop.class_id}/{crop.crop_id}.png"
        assert crop.crop_path == f"crops/{place}"
        assert crop.mask_path == (f"masks/{place}" if crop.class_id else "")
    assert {strip: "".join(classes) for strip, classes in found.items()} == EXPECTED
    pixels = manifest.set_index("crop_id")["defect_pixels"]
    # a: 10 of its 20 columns are left of 288, 5 px each. d: 1 of 30 columns left of 1312.
    assert pixels["a_x32"] == 50
    assert pixels["a_x288"] == 50
    assert pixels["b_x544"] == 4 * 256
    assert pixels["c_x800"] == 256 * 8
    assert pixels["d_x1056"] == 40
    assert pixels["d_x1312"] == 29 * 40
    assert card["dropped"] == {"defect on a strip of several classes": 2, "normal, but black": 3}
    assert card["counts"]["total"] == {"0": 19, "1": 2, "2": 1, "3": 7, "4": 2}
    assert card["strips"] == 6
    assert card["multi_class_strips"] == 1
    assert card["rejected_strips"] == 0


def test_crops_and_masks_hold_the_strips_pixels(seven_strips: Any, request_seven: Request) -> None:
    build(request_seven)
    manifest = read_manifest(request_seven.out)
    boxes = {"a": (278, 10, 20, 5), "b": (600, 0, 4, 256), "c": (0, 100, 1600, 8),
             "d": (1311, 50, 30, 40), "f": (100, 30, 9, 9)}  # fmt: skip
    for crop in manifest.itertuples():
        path = seven_strips.images / f"{crop.strip_id}.jpg"
        with Image.open(path) as strip:
            expected = np.asarray(strip)[:, crop.left : crop.left + 256]
        np.testing.assert_array_equal(read_image(request_seven.out / crop.crop_path), expected)
        assert crop.strip_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert crop.black_fraction == (expected[..., 0] < 15).mean()
        if crop.mask_path:
            left, top, width, height = boxes[crop.strip_id]
            mask = np.zeros((256, 1600), dtype=np.uint8)
            mask[top : top + height, left : left + width] = 255
            with Image.open(request_seven.out / crop.mask_path) as written:
                assert written.mode == "L"
                np.testing.assert_array_equal(
                    np.asarray(written), mask[:, crop.left : crop.left + 256]
                )


def test_nothing_but_the_dataset_is_left(request_seven: Request) -> None:
    build(request_seven)
    files = contents(request_seven.out)
    manifest = read_manifest(request_seven.out)
    listed = {*manifest["crop_path"], *manifest["mask_path"]} - {""}
    assert set(files) == listed | {"dataset.json", "manifest.parquet", "overview.png"}
    for split in ("train", "val", "test"):
        folders = sorted(path.name for path in (request_seven.out / "crops" / split).iterdir())
        assert folders == ["0", "1", "2", "3", "4"]


def test_overview_shows_the_classes(request_seven: Request) -> None:
    build(request_seven)
    picture = read_image(request_seven.out / "overview.png")
    height, width = picture.shape[:2]
    assert height > 500
    assert width > 900
    in_rows = np.array_split(picture[:, : width // 2].astype(int), 5)
    assert all((row.min(axis=2) < 120).mean() > 0.01 for row in in_rows)  # a crop in each
    red = (picture[..., 0] > 200) & (picture[..., 1] < 120) & (picture[..., 2] < 120)
    assert red[height // 5 :].any()  # outlines, on defect rows
    assert not red[: height // 6].any()


def test_strips_stay_on_one_side(request_seven: Request, seven_strips: Any) -> None:
    strip = read_image(seven_strips.images / "c.jpg")
    write_jpeg(seven_strips.images / "c2.jpg", np.minimum(strip, 225) + np.uint8(10), quality=60)
    seven_strips.rows.append(seven_strips.rows[2].replace("c.jpg", "c2.jpg"))
    seven_strips.write()
    build(request_seven)
    manifest = read_manifest(request_seven.out)
    assert (manifest.groupby("group_id")["split"].nunique() == 1).all()
    groups = manifest.groupby("strip_id")["group_id"].agg(["first", "nunique"])
    assert groups["first"].to_dict() == {
        "a": "a", "b": "b", "c": "c", "c2": "c", "d": "d", "e": "e", "f": "f",
    }  # fmt: skip
    assert (groups["nunique"] == 1).all()


def test_paper_split_has_the_papers_sizes(request_seven: Request) -> None:
    card = build(replace(request_seven, split="paper")).card
    # Of 19, 2, 1, 7, 2: floor(0.7 n) = 13, 1, 0, 4, 1, a fifth of which validates.
    assert card["counts"]["test"] == {"0": 6, "1": 1, "2": 1, "3": 3, "4": 1}
    assert card["counts"]["val"] == {"0": 2, "1": 0, "2": 0, "3": 0, "4": 0}
    assert card["counts"]["train"] == {"0": 11, "1": 1, "2": 0, "3": 4, "4": 1}
    assert "class 2 in train" in card["absent"]


def test_card_says_how_it_was_made(seven_strips: Any, request_seven: Request) -> None:
    rules = Rules(offset=0, black_threshold=0.5)
    build(replace(request_seven, rules=rules, seed=0))
    card = read_card(request_seven.out)
    assert card["settings"] == {
        "recipe": "paper", "offset": 0, "min_defect_pixels": 1, "normals": "annotated",
        "black_threshold": 0.5, "split": "grouped", "seed": 0,
        "csv_sha256": hashlib.sha256(seven_strips.csv.read_bytes()).hexdigest(),
    }  # fmt: skip
    assert card["differs_from_recipe"] == {"offset": 0, "black_threshold": 0.5}
    assert card["versions"]["numpy"] == np.__version__
    assert str(seven_strips.root) not in (request_seven.out / "dataset.json").read_text("utf-8")


def test_normals_from_all_strips(seven_strips: Any, request_seven: Request) -> None:
    (seven_strips.images / "Thumbs.db").write_bytes(b"no strip")
    (seven_strips.images / "._a.jpg").write_bytes(b"no strip")
    card = build(replace(request_seven, rules=Rules(normals="all"))).card
    assert card["counts"]["total"]["0"] == 19 + 6
    assert "g" in set(read_manifest(request_seven.out)["strip_id"])


def test_older_layout_gives_the_same_crops(
    seven_strips: Any, request_seven: Request, tmp_path: Path
) -> None:
    build(request_seven)
    labels = {tuple(row.split(",")[:2]): row.split(",")[2] for row in seven_strips.rows}
    seven_strips.heading = "ImageId_ClassId,EncodedPixels"
    seven_strips.rows = [
        f"{name}.jpg_{class_id},{labels.get((f'{name}.jpg', str(class_id)), '')}"
        for name in "abcdefg"
        for class_id in (1, 2, 3, 4)
    ]
    seven_strips.write()
    card = build(replace(request_seven, out=tmp_path / "old")).card
    assert read_manifest(tmp_path / "old").equals(read_manifest(request_seven.out))
    assert card["strips"] == 6


def test_coloured_strips_keep_their_colours(kaggle: Any, tmp_path: Path) -> None:
    path = kaggle.add_strip("a.jpg", [(1, "10000 5")])
    pixels = read_image(path).copy()
    pixels[..., 2] //= 2
    write_jpeg(path, pixels)
    build(Request(kaggle.csv, kaggle.images, tmp_path / "out", Rules()))
    crop = read_manifest(tmp_path / "out").iloc[0]
    expected = read_image(path)[:, crop["left"] : crop["left"] + 256]
    assert not np.array_equal(expected[..., 0], expected[..., 2])
    np.testing.assert_array_equal(read_image(tmp_path / "out" / crop["crop_path"]), expected)


def test_building_twice_changes_nothing(request_seven: Request) -> None:
    assert not build(request_seven).was_complete
    before, contents_before = times(request_seven.out), contents(request_seven.out)
    sha256 = card_sha256(request_seven.out)
    assert build(replace(request_seven, jobs=3)).was_complete
    assert times(request_seven.out) == before
    assert contents(request_seven.out) == contents_before
    assert card_sha256(request_seven.out) == sha256


def test_the_same_bytes_in_any_folder_with_any_number_of_processes(
    request_seven: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(request_seven)
    monkeypatch.setattr(workers, "TASKS_PER_WORKER", 3)
    build(replace(request_seven, out=tmp_path / "second", jobs=2))
    assert contents(tmp_path / "second") == contents(request_seven.out)


def test_seeds_change_the_split_alone(request_seven: Request, tmp_path: Path) -> None:
    by_crop = replace(request_seven, split="paper")
    build(by_crop)
    build(replace(by_crop, out=tmp_path / "other", seed=1))
    first, second = read_manifest(request_seven.out), read_manifest(tmp_path / "other")
    assert first.drop(columns=["split", "crop_path", "mask_path"]).equals(
        second.drop(columns=["split", "crop_path", "mask_path"])
    )
    assert first["split"].tolist() != second["split"].tolist()


def interrupt_after(strips: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(function: Any, tasks: Sequence[Any], jobs: int) -> Iterator[Any]:
        for task in tasks[:strips]:
            yield function(task)
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "run", run)


def test_an_interrupted_build_continues(
    request_seven: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(replace(request_seven, out=tmp_path / "whole"))
    with monkeypatch.context() as patch:
        interrupt_after(4, patch)
        with pytest.raises(KeyboardInterrupt):
            build(request_seven)
    out = request_seven.out
    assert [path.name for path in out.iterdir()] == [".build"]
    with pytest.raises(DatasetError, match="interrupted build"):
        read_manifest(out)
    crops = out / ".build" / "crops"
    cut = {path.name: path.stat().st_mtime_ns for path in crops.iterdir()}
    assert {name[0] for name in cut} == {"a", "b", "c", "d"}
    # What an interruption can leave: half a line in the journal, a damaged crop.
    with (out / ".build" / "strips.jsonl").open("a") as journal:
        journal.write('{"image": "e.jpg", "sha2')
    damaged = crops / "a_x288.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    build(request_seven)
    assert contents(out) == contents(tmp_path / "whole")
    kept = {
        path.name: path.stat().st_mtime_ns
        for path in (out / "crops").rglob("*.png")
        if path.name in cut and path.name[0] != "a"
    }
    assert len(kept) == 18
    assert kept == {name: time for name, time in cut.items() if name[0] != "a"}


def test_an_interruption_among_the_last_steps_is_undone(
    seven_strips: Any, request_seven: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(root: Path, manifest: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build_module, "write_manifest", fail)
        with pytest.raises(KeyboardInterrupt):
            build(request_seven)
    assert not (request_seven.out / "dataset.json").exists()
    # Meanwhile the strip is replaced by one whose normal crops are black.
    seven_strips.add_strip("a.jpg", black_from=500)
    build(request_seven)
    build(replace(request_seven, out=tmp_path / "whole"))
    assert contents(request_seven.out) == contents(tmp_path / "whole")


def test_ctrl_c_exits_with_130_and_can_be_continued(kaggle: Any, tmp_path: Path) -> None:
    pixels = read_image(kaggle.add_strip("s00.jpg"))
    rows = []
    for i in range(40):
        write_jpeg(kaggle.images / f"s{i:02}.jpg", np.roll(pixels, 20 * i, axis=1))
        rows.append(f"s{i:02}.jpg,3,{1000 * (i + 1)} 20")
    kaggle.rows = rows
    kaggle.write()
    out = tmp_path / "out"
    command = [sys.executable, "-m", "severstal_prep", "build", "--csv", str(kaggle.csv),
               "--images", str(kaggle.images), "--out", str(out), "--jobs", "2"]  # fmt: skip
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # The tests may run where SIGINT is ignored (nohup).
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    journal = out / ".build" / "strips.jsonl"
    deadline = time.monotonic() + 30
    while not (journal.exists() and journal.read_text().count("{") >= 2):
        assert time.monotonic() < deadline, process.communicate()
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "run the same command again to continue" in errors
    assert not (out / "dataset.json").exists()
    assert build(Request(kaggle.csv, kaggle.images, out, Rules())).card["strips"] == 40


CHANGED = {
    "offset": ({"rules": Rules(offset=0)}, "with --offset 32, not 0"),
    "threshold": ({"rules": Rules(black_threshold=1)}, "with --black-threshold 0.95, not 1"),
    "seed": ({"seed": 7}, "with --seed 0, not 7"),
    "split": ({"split": "paper"}, "with --split grouped, not paper"),
}


@pytest.mark.parametrize(("options", "complaint"), CHANGED.values(), ids=CHANGED.keys())
def test_other_options_do_not_enter_a_complete_or_begun_folder(
    request_seven: Request,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    complaint: str,
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            build(request_seven)
    with pytest.raises(DatasetError) as begun:
        build(replace(request_seven, **options))
    assert f"was begun {complaint}; name another --out" in str(begun.value)
    build(request_seven)
    before = contents(request_seven.out)
    with pytest.raises(DatasetError) as built:
        build(replace(request_seven, **options))
    assert f"was built {complaint}; name another --out" in str(built.value)
    assert contents(request_seven.out) == before


def test_a_changed_source_is_named(seven_strips: Any, request_seven: Request) -> None:
    build(request_seven)
    before = contents(request_seven.out)
    original = (seven_strips.images / "d.jpg").read_bytes()
    seven_strips.add_strip("d.jpg", black_from=10)
    with pytest.raises(DatasetError, match=r"other images .*\(strip d, for one\)"):
        build(request_seven)
    (seven_strips.images / "d.jpg").write_bytes(original)
    assert build(request_seven).was_complete
    seven_strips.rows[0] = seven_strips.rows[0].replace(",1,", ",2,")
    seven_strips.write()
    with pytest.raises(DatasetError, match="was built from another label file"):
        build(request_seven)
    assert contents(request_seven.out) == before


def test_a_damaged_dataset_is_named(request_seven: Request) -> None:
    build(request_seven)
    crop = read_manifest(request_seven.out)["crop_path"].iloc[3]
    (request_seven.out / crop).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"1 of 43 images are missing or damaged") as caught:
        build(request_seven)
    assert crop in str(caught.value)


def test_other_peoples_folders_are_left_alone(request_seven: Request) -> None:
    request_seven.out.mkdir()
    (request_seven.out / "thesis.txt").write_text("precious")
    with pytest.raises(DatasetError, match="holds other files"):
        build(request_seven)
    assert contents(request_seven.out).keys() == {"thesis.txt"}


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


def test_real_strips(steel_data: Path, tmp_path: Path) -> None:
    source = steel_data / "severstal_sample"
    csv.field_size_limit(10**8)
    masks: dict[str, dict[str, np.ndarray]] = {}
    with (source / "train.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            flat = np.zeros(256 * 1600, dtype=bool)
            numbers = [int(word) for word in row["EncodedPixels"].split()]
            for start, length in zip(numbers[::2], numbers[1::2], strict=True):
                flat[start - 1 : start - 1 + length] = True
            masks.setdefault(row["ImageId"], {})[row["ClassId"]] = flat.reshape(1600, 256).T
    expected = Counter[str]()
    for name, by_class in masks.items():
        with Image.open(source / "train_images" / name) as strip:
            grey = np.asarray(strip.convert("L"))
        for left in LEFTS:
            crop = slice(left, left + 256)
            if not any(mask[:, crop].any() for mask in by_class.values()):
                expected["0"] += (grey[:, crop] < 15).mean() <= 0.95
            elif len(by_class) == 1:
                expected[next(iter(by_class))] += 1
    request = Request(source / "train.csv", source / "train_images", tmp_path / "out", Rules())
    card = build(request).card
    assert card["counts"]["total"] == expected
    manifest = read_manifest(tmp_path / "out")
    for crop in manifest[manifest["class_id"] > 0].itertuples():
        mask = masks[f"{crop.strip_id}.jpg"][str(crop.class_id)][:, crop.left : crop.left + 256]
        with Image.open(tmp_path / "out" / crop.mask_path) as written:
            np.testing.assert_array_equal(np.asarray(written) == 255, mask)
        assert crop.defect_pixels == mask.sum()
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["strips"] == 34


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
