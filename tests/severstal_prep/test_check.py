"""`check` on small datasets that are right, and with one thing wrong each."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from severstal_prep.check import Report, check
from severstal_prep.cli import main
from severstal_prep.dataset import COLUMNS, class_counts, write_card, write_manifest
from severstal_prep.errors import DatasetError, OptionError
from severstal_prep.images import read_image, write_png
from severstal_prep.reference import Reference, compare, read_reference

SIDE = 64
CLASSES = ("normal", "pit", "scratch")
PARTS = ("train", "train", "val", "test")
"""Of the four crops that each class has."""


def steel(seed: int) -> np.ndarray:
    """A crop unlike that of any other seed, nowhere darker than 60."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.uniform(80, 200, (16, 16)), np.ones((4, 4)))
    return (coarse + rng.normal(0, 3, (SIDE, SIDE))).clip(60, 255).astype(np.uint8)


def write(root: Path, split_rule: str = "grouped", **changes: list[Any]) -> pd.DataFrame:
    """Write a dataset of 12 crops, rows 0 to 3 normal, 4 to 7 pits, 8 to 11 scratches.

    Defects are boxes of 5×4 px. `changes` replace columns of the manifest, that of the card too.
    """
    rows = []
    for class_id in range(3):
        for part in PARTS:
            name, row = f"s{len(rows):02}", len(rows)
            place = f"{part}/{class_id}/{name}_x32.png"
            (root / "crops" / place).parent.mkdir(parents=True, exist_ok=True)
            write_png(root / "crops" / place, steel(row))
            if class_id:
                mask = np.zeros((SIDE, SIDE), np.uint8)
                mask[10:14, 20:25] = 255
                (root / "masks" / place).parent.mkdir(parents=True, exist_ok=True)
                write_png(root / "masks" / place, mask)
            mask_place, pixels = (f"masks/{place}", 20) if class_id else ("", 0)
            rows.append(
                (f"{name}_x32", name, 32, part, class_id, f"crops/{place}", mask_place, pixels, 0.0,
                 name, f"sha{row}")
            )  # fmt: skip
    manifest = pd.DataFrame(rows, columns=list(COLUMNS)).assign(**changes)
    write_manifest(root, manifest)
    settings = {"split": split_rule, "seed": 0, "black_threshold": 0.95}
    counts = class_counts(manifest, 3)
    write_card(root, {"settings": settings, "classes": list(CLASSES), "counts": counts})
    return manifest


def found(report: Report) -> dict[str, tuple[str, int, str]]:
    """Level, number and first example of each check that found something."""
    return {
        one.name: (one.level, one.found, str(one.examples[0])) for one in report.checks if one.found
    }


def quick(root: Path) -> dict[str, tuple[str, int, str]]:
    return found(check(root, True, None, 1))


def full(root: Path) -> dict[str, tuple[str, int, str]]:
    return found(check(root, False, None, 1))


def test_a_clean_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert main(["check", str(tmp_path), "--strict"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{tmp_path}: 12 crops"
    assert {line.split("  ")[-1].strip() for line in out[3:-2]} == {"ok"}
    assert out[-1] == "27 checks, nothing found"


def listed(values: list[Any], **changes: Any) -> list[Any]:
    """The list with some entries, by index "_3", changed."""
    for index, value in changes.items():
        values[int(index[1:])] = value
    return values


NAMES = [f"s{row:02}" for row in range(12)]
CASES: dict[str, tuple[dict[str, Any], tuple[str, str, int, str]]] = {
    "class off the card": (
        {"class_id": [0] * 11 + [3]},
        ("class ids", "error", 1, "manifest.parquet, row 11: class 3 is not 0 to 2"),
    ),
    "unknown split": (
        {"split": listed(list(PARTS * 3), _5="dev")},
        ("splits", "error", 1, "manifest.parquet, row 5: split 'dev' is unknown"),
    ),
    "group in two splits": (
        {"group_id": listed(list(NAMES), _7="s04")},
        ("groups in several splits", "error", 1,
         "crops/test/1/s07_x32.png, row 7: group_id s04 is in train and test"),
    ),
    "strip in three splits, and so its group": (
        {column: listed(list(NAMES), _6="s04", _7="s04") for column in ("strip_id", "group_id")},
        ("strips in several splits", "error", 1,
         "crops/test/1/s07_x32.png, row 7: strip_id s04 is in train and val and test"),
    ),
    "one file under two names": (
        {"strip_sha256": ["a", *"bcdefghijk", "a"]},
        ("files in several splits", "error", 1,
         "crops/test/2/s11_x32.png, row 11: strip_sha256 a is in train and test"),
    ),
    "defect without defect pixels": (
        {"defect_pixels": [0] * 4 + [20] * 7 + [0]},
        ("classes against defect pixels", "error", 1,
         "crops/test/2/s11_x32.png, row 11: scratch, with 0 defect pixels"),
    ),
    "normal with defect pixels": (
        {"defect_pixels": [0, 3, 0, 0] + [20] * 8},
        ("classes against defect pixels", "error", 1,
         "crops/train/0/s01_x32.png, row 1: normal, with 3 defect pixels"),
    ),
    "black by the manifest": (
        {"black_fraction": [0.95, 0.96] + [0.0] * 10},
        ("black crops", "warning", 1, "crops/train/0/s01_x32.png, row 1: 96.0 % of it is black"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_quickly_found(tmp_path: Path, case: str) -> None:
    changes, (name, level, number, example) = CASES[case]
    write(tmp_path, **changes)
    assert quick(tmp_path) == {name: (level, number, example)}


def test_a_split_by_crop_leaks_by_design(tmp_path: Path) -> None:
    write(tmp_path, "paper", strip_id=["a"] * 12)
    assert quick(tmp_path)["strips in several splits"][:2] == ("warning", 1)
    assert main(["check", str(tmp_path), "--quick"]) == 0
    assert main(["check", str(tmp_path), "--quick", "--strict"]) == 3


def test_files_and_rows_that_do_not_belong_together(tmp_path: Path) -> None:
    manifest = write(tmp_path)
    (tmp_path / manifest["crop_path"][1]).unlink()
    (tmp_path / manifest["mask_path"][6]).rename(tmp_path / "masks" / "ü.png")
    assert quick(tmp_path) == {
        "crops missing": ("error", 1, "crops/train/0/s01_x32.png, row 1: there is no such file"),
        "masks missing": ("error", 1, "masks/val/1/s06_x32.png, row 6: there is no such file"),
        "files without a row": ("warning", 1, "masks/ü.png: not in the manifest"),
    }


def test_rows_of_one_file_and_paths_outside(tmp_path: Path) -> None:
    paths = write(tmp_path)["crop_path"].tolist()
    paths[3] = paths[1]
    write(tmp_path, crop_path=paths, mask_path=["../x.png", *[""] * 11])
    assert quick(tmp_path) == {
        "paths": ("error", 1, "manifest.parquet, row 0: '../x.png' leaves the dataset's folder"),
        "rows of one file": ("error", 1, "crops/train/0/s01_x32.png, row 3: row 1 names it too"),
    }


def test_classes_that_a_split_lacks_and_counts_of_another_manifest(tmp_path: Path) -> None:
    manifest = write(tmp_path)
    write_manifest(tmp_path, manifest.drop(index=[8, 9, 10]).reset_index(drop=True))
    result = quick(tmp_path)
    assert result["classes without training crops"] == ("error", 1, "no scratch in train")
    assert result["classes without other crops"] == ("warning", 1, "no scratch in val")
    assert result["counts of the card"] == (
        "error", 3, "dataset.json: scratch, total: 4 crops, but the manifest has 1",
    )  # fmt: skip
    assert result["files without a row"][1] == 6


def redraw(root: Path, path: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    write_png(root / path, np.ascontiguousarray(change(read_image(root / path)[..., 0])))


def test_masks(tmp_path: Path) -> None:
    manifest = write(tmp_path)
    masks = manifest["mask_path"]
    redraw(tmp_path, masks[4], np.zeros_like)
    redraw(tmp_path, masks[5], lambda mask: mask[:60])
    redraw(tmp_path, masks[6], np.rot90)  # as many pixels
    redraw(tmp_path, masks[7], lambda mask: np.maximum(mask, np.eye(SIDE, dtype=np.uint8) * 255))
    broken = tmp_path / masks[8]
    broken.write_bytes(broken.read_bytes()[:50])
    stray = masks.tolist()
    stray[0], stray[1], stray[9] = masks[9], "masks/empty.png", ""
    write_png(tmp_path / "masks" / "empty.png", np.zeros((SIDE, SIDE), np.uint8))
    write_manifest(tmp_path, manifest.assign(mask_path=stray))
    result = full(tmp_path)
    # Row 7: the box has rows 10 to 13 and columns 20 to 24, which the diagonal does not meet.
    assert result == {
        "defects with an empty mask": ("error", 1, "masks/train/1/s04_x32.png, row 4: pit, but no "
                                       "pixel is set"),
        "masks of another size": ("error", 1, "masks/train/1/s05_x32.png, row 5: 64×60 px, its "
                                  "crop has 64×64 px"),
        "masks of other pixels": ("error", 1, "masks/test/1/s07_x32.png, row 7: 84 pixels are set, "
                                  "the manifest has 20"),
        "masks unreadable": ("error", 1, result["masks unreadable"][2]),
        "normal crops with a defect": ("error", 1, "masks/train/2/s09_x32.png, row 0: normal, but "
                                       "20 pixels are set"),
        "defects without a mask": ("warning", 1, "crops/train/2/s09_x32.png, row 9: scratch, "
                                   "without a mask"),
    }  # fmt: skip


def test_reviewed_patches_have_no_masks_at_all(tmp_path: Path) -> None:
    write(tmp_path, mask_path=[""] * 12, defect_pixels=[0] * 12)
    assert set(full(tmp_path)) == {"files without a row"}


def test_crops(tmp_path: Path) -> None:
    paths = write(tmp_path)["crop_path"]
    redraw(tmp_path, paths[0], lambda crop: np.full_like(crop, 128))
    redraw(tmp_path, paths[1], lambda crop: np.where(np.eye(SIDE) > 0, crop, 14).astype(np.uint8))
    redraw(tmp_path, paths[2], lambda crop: np.where(np.eye(SIDE) > 0, crop, 15).astype(np.uint8))
    redraw(tmp_path, paths[3], lambda crop: crop[:60])
    (tmp_path / paths[5]).write_bytes(b"no image")
    result = full(tmp_path)
    assert result == {
        "blank crops": ("error", 1, "crops/train/0/s00_x32.png, row 0: every pixel is 128"),
        # 14 is below the black level, 15 is not; 64 of 4,096 pixels are steel.
        "black crops": ("warning", 1, "crops/train/0/s01_x32.png, row 1: 98.4 % of it is black"),
        "crops of another size": ("error", 1, "crops/test/0/s03_x32.png, row 3: 64×60 px, most "
                                  "are 64×64 px"),
        "crops unreadable": ("error", 1, result["crops unreadable"][2]),
    }  # fmt: skip
    assert result["crops unreadable"][2].startswith("crops/train/1/s05_x32.png, row 5: ")


def test_same_pixels_of_two_classes_and_copies_across_splits(tmp_path: Path) -> None:
    paths = write(tmp_path)["crop_path"]
    (tmp_path / paths[5]).write_bytes((tmp_path / paths[1]).read_bytes())  # both train
    (tmp_path / paths[10]).write_bytes((tmp_path / paths[9]).read_bytes())  # train, val
    brighter = cv2.convertScaleAbs(read_image(tmp_path / paths[8])[..., 0], alpha=1.1, beta=3)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 60]
    copy = cv2.imdecode(cv2.imencode(".jpg", brighter, quality)[1], cv2.IMREAD_GRAYSCALE)
    redraw(tmp_path, paths[11], lambda _: copy)  # train, test
    result = full(tmp_path)
    assert result.keys() == {"same pixels, other class", "near-duplicates in several splits"}
    assert result["same pixels, other class"] == (
        "error", 1, "crops/train/1/s05_x32.png, row 5: pit, but the same pixels are normal in "
        "crops/train/0/s01_x32.png, row 1",
    )  # fmt: skip
    near = result["near-duplicates in several splits"]
    assert near == ("error", 2, "crops/val/2/s10_x32.png, row 10: 0 of 256 bits from "
                    "crops/train/2/s09_x32.png, row 9")  # fmt: skip


def test_blank_crops_are_no_copies_of_each_other(tmp_path: Path) -> None:
    paths = write(tmp_path)["crop_path"]
    for row in (0, 3, 7):
        redraw(tmp_path, paths[row], np.zeros_like)
    assert {name: number for name, (_, number, _) in full(tmp_path).items()} == {
        "blank crops": 3, "black crops": 3,
    }  # fmt: skip


PAPER_ON_REAL_LABELS = (23873, 1336, 210, 11666, 1388)
"""Crops of the competition's labels by the paper's rules, black ones too."""


def test_the_papers_counts_and_others() -> None:
    paper = read_reference("paper")
    names = list(paper.counts)
    assert sum(paper.counts.values()) == 38344
    ours = compare(names, PAPER_ON_REAL_LABELS, paper)
    assert [one.differs for one in ours] == [False] * 5
    # Class 4: 1388 of 38,344 are 3.62 %. 1,200 are 3.14 %: an eighth less, 3.6 standard errors.
    fewer = compare(names, (23744, 1336, 210, 11666, 1200), paper)
    assert [one.differs for one in fewer] == [False] * 4 + [True]
    # Class 2 of a hundredth of the data: 2 crops or 4 are chance.
    small = compare(names, (237, 13, 4, 117, 14), paper)
    assert not any(one.differs for one in small)
    other = compare(["normal", "pit"], (60, 40), Reference("x", {"normal": 60, "scratch": 40}))
    assert [(one.class_name, one.differs) for one in other] == [
        ("normal", False), ("pit", True), ("scratch", True),
    ]  # fmt: skip


def test_references_from_files(tmp_path: Path) -> None:
    write(tmp_path)
    expected = {"normal": 4, "pit": 4, "scratch": 4}
    assert read_reference(str(tmp_path)).counts == expected
    assert read_reference(str(tmp_path / "dataset.json")).counts == expected
    file = tmp_path / "counts.json"
    file.write_text('{"pit": 3, "normal": 5}')
    assert read_reference(str(file)).counts == {"pit": 3, "normal": 5}
    file.write_text('{"crops": {"0": 22, "3": 7}}')  # of severstal-prep stats --json
    assert read_reference(str(file)).counts == {
        "normal": 22, "class 1": 0, "class 2": 0, "class 3": 7, "class 4": 0,
    }  # fmt: skip
    for content in ("{}", '{"pit": -1}', "[1]", '{"pit": "many"}', "no JSON"):
        file.write_text(content)
        with pytest.raises(OptionError, match=r"counts\.json: "):
            read_reference(str(file))
    with pytest.raises(OptionError, match="--reference nowhere: neither 'paper', a recast"):
        read_reference("nowhere")


def test_json_and_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, defect_pixels=[1] * 4 + [20] * 8)
    (tmp_path / "counts.json").write_text('{"normal": 4, "pit": 4, "scratch": 4}')
    options = ["--quick", "--json", "--examples", "2", "--reference", str(tmp_path / "counts.json")]
    assert main(["check", str(tmp_path), *options]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["errors"], told["warnings"], told["crops"], told["decoded"]) == (1, 0, 12, False)
    (failed,) = [one for one in told["checks"] if one["found"]]
    assert (failed["name"], failed["found"]) == ("classes against defect pixels", 4)
    assert failed["examples"][1] == {
        "file": "crops/train/0/s01_x32.png", "row": 1, "what": "normal, with 1 defect pixels",
    }  # fmt: skip
    assert [one["crops"] for one in told["classes"]] == [4, 4, 4]
    assert main(["check", str(tmp_path), "--quick", "--examples", "1"]) == 3
    assert "and 3 more" in capsys.readouterr().out


def test_no_dataset_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)]) == 2
    assert "no recast dataset here" in capsys.readouterr().err
    with pytest.raises(DatasetError):
        check(tmp_path, True, None, 1)


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    paths = write(tmp_path)["crop_path"]
    (tmp_path / paths[0]).unlink()
    os.mkfifo(tmp_path / paths[0])  # reading it waits for ever
    process = subprocess.Popen(
        [sys.executable, "-m", "severstal_prep", "check", str(tmp_path), "--jobs", "1"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with (tmp_path / paths[0]).open("wb"):  # returns when the command has begun to read
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=20)[1]
    assert (process.returncode, error.splitlines()[-1][:26]) == (130, "severstal-prep: interrupte")


@pytest.mark.slow
def test_real_steel(steel_data: Path, tmp_path: Path) -> None:
    sample = steel_data / "severstal_sample"
    out = str(tmp_path / "out")
    assert main(["build", "--csv", str(sample / "train.csv"),
                 "--images", str(sample / "train_images"), "--out", out]) == 0  # fmt: skip
    # The only strip of class 2 trains.
    assert full(tmp_path / "out") == {
        "classes without other crops": ("warning", 2, "no class 2 in val")
    }
