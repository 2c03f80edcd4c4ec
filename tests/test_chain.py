"""The whole chain on real strips: labels to dataset to classifier to report."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import inspection.cli
import severstal_prep.cli
import training.cli

LEFTS = range(32, 1568, 256)
STRIPS = ("0c888ecb5.jpg", "b6a257b28.jpg")  # two classes; mostly black


def crops_by_hand(sample: Path) -> Counter[int]:
    """Crops per class by the paper's rule, pixel by pixel, with nothing of ours."""
    defects: dict[str, dict[int, np.ndarray]] = {}
    with (sample / "train.csv").open() as file:
        for row in csv.DictReader(file):
            flat = np.zeros(256 * 1600, bool)
            numbers = [int(number) for number in row["EncodedPixels"].split()]
            for start, length in zip(numbers[::2], numbers[1::2], strict=True):
                flat[start - 1 : start - 1 + length] = True
            mask = flat.reshape(1600, 256).T
            defects.setdefault(row["ImageId"], {})[int(row["ClassId"])] = mask
    counts: Counter[int] = Counter()
    for name, masks in defects.items():
        pixels = grey(sample, name)
        for left in LEFTS:
            window = slice(left, left + 256)
            classes = [label for label, mask in masks.items() if mask[:, window].any()]
            if not classes:
                black = (pixels[:, window] < 15).mean() > 0.95
                counts[0] += not black
            elif len(masks) == 1:
                counts[classes[0]] += 1
    return counts


def grey(sample: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(sample / "train_images" / name).convert("L"))


@pytest.fixture(scope="module")
def sample(steel_data: Path) -> Path:
    return steel_data / "severstal_sample"


@pytest.fixture(scope="module")
def dataset(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real strips") / "dataset"
    arguments = ["build", "--csv", sample / "train.csv", "--images", sample / "train_images"]
    arguments += ["--out", out, "--jobs", "1"]
    assert severstal_prep.cli.main([str(argument) for argument in arguments]) == 0
    return out


def test_build_counts_what_the_labels_say(sample: Path, dataset: Path) -> None:
    manifest = pd.read_parquet(dataset / "manifest.parquet")
    assert Counter(manifest["class_id"]) == crops_by_hand(sample)
    # 40 rows on 34 strips, none with more than two classes.
    assert json.loads((dataset / "dataset.json").read_text())["multi_class_strips"] == 40 - 34


@pytest.mark.slow
def test_a_report_on_real_strips_covers_every_tile(
    sample: Path, dataset: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ["fit", "--config", "demo", "--data.root", str(dataset), "--out", str(run)]
    options += ["--data.epoch_crops", "128", "--trainer.max_epochs", "2"]
    assert training.cli.main(options) == 0

    batch = tmp_path / "batch"
    batch.mkdir()
    for name in STRIPS:
        shutil.copy(sample / "train_images" / name, batch)
    # Two epochs make no expert: a threshold of 0 flags every patch with steel on it.
    policy = tmp_path / "policy.yaml"
    policy.write_text('name: all\nversion: 1\nthresholds: {"class 3": 0}\n')
    report = tmp_path / "report"
    options = ["run", "--bundle", str(run / "bundle"), "--batch", str(batch), "--out", str(report)]
    options += ["--policy", str(policy)]
    assert inspection.cli.main(options) == 0

    patches = pd.read_parquet(report / "results.parquet")
    expected = {(name, left) for name in STRIPS for left in range(0, 1345, 224)}
    assert set(zip(patches["strip_id"], patches["left"], strict=True)) == expected
    assert len(patches) == len(expected) == 14
    probabilities = patches[["p_normal", "p_class_1", "p_class_2", "p_class_3", "p_class_4"]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    steel = [
        (grey(sample, str(row.strip_id))[:, row.left : row.left + 256] < 15).mean() <= 0.95
        for row in patches.itertuples()
    ]
    assert sum(steel) == 8  # of the second strip only the last patch shows steel
    assert patches["flagged"].tolist() == patches["explained"].tolist() == steel
    judged = patches[patches["flagged"]]
    assert (judged["drop"].between(0, 1) | (judged["map_status"] != "ok")).all()
    assert (judged["map_status"] == "ok").sum() >= 6
    page = (report / "index.html").read_text()
    for row in patches[patches["map_status"] == "ok"].itertuples():
        assert f'href="{row.overlay_path}"' in page
        assert (report / str(row.overlay_path)).is_file()
    for name in STRIPS:
        assert name in page
