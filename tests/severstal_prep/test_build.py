"""What a build writes: crops, masks, splits, card, overview."""

import csv
import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built import contents
from PIL import Image

from severstal_prep.build import Request, build
from severstal_prep.dataset import COLUMNS, read_card, read_manifest
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


@pytest.mark.usefixtures("quick_overview")
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
