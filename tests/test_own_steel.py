"""Somebody's own pictures with masks, all the way: magnetic tiles stand for them.

A network of a few steps knows little: what is tested is that each command passes on the names,
sizes and places that it was given.
"""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import inspection.cli
import severstal_prep.cli
import sise.cli
import training.cli

CLASSES = ["normal", "blowhole", "break", "uneven"]
SIDE = 112


@pytest.fixture(scope="module")
def own(steel_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles of six groups of each of four classes, at most three photographs of a group."""
    source, out = steel_data / "magnetic_tile", tmp_path_factory.mktemp("own steel") / "tiles"
    rows = list(csv.DictReader((source / "groups.csv").read_text().splitlines()))
    kept = []
    for name in ("blowhole", "break", "uneven", "free"):
        groups: dict[str, list[dict[str, str]]] = {}
        for row in rows:
            if row["class"] == name:
                groups.setdefault(row["tile_group"], []).append(row)
        for group in sorted(groups)[:6]:
            kept += groups[group][:3]
    for row in kept:
        image = Path(row["class"]) / row["file"]
        for kind, place in (("images", image), ("masks", image.with_suffix(".png"))):
            (out / kind / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / kind / place, out / kind / place)
    lines = ["class,file,group", *(f"{r['class']},{r['file']},{r['tile_group']}" for r in kept)]
    (out / "groups.csv").write_text("\n".join(lines) + "\n")
    return out


@pytest.mark.slow
def test_own_pictures_become_a_report_and_training_data_again(own: Path, tmp_path: Path) -> None:
    recast, run, report = tmp_path / "recast", tmp_path / "run", tmp_path / "report"
    build = ["build-masks", "--data", own, "--out", recast, "--crop", SIDE, "--jobs", 1]
    assert severstal_prep.cli.main(texts(*build, "--normals-per-image", 2)) == 0
    card = json.loads((recast / "dataset.json").read_text())
    assert card["classes"] == CLASSES

    fit = ["fit", "--config", "demo", "--data.root", recast, "--out", run]
    fit += ["--model.weights", "none", "--data.epoch_crops", 64, "--trainer.max_epochs", 1]
    assert training.cli.main(texts(*fit)) == 0
    model = json.loads((run / "bundle" / "model.json").read_text())
    assert (model["classes"], model["input_size"]) == (CLASSES, [SIDE, SIDE])
    assert list(model["thresholds"]) == CLASSES[1:]
    assert training.cli.main(texts("test", "--run", run, "--data.root", recast)) == 0
    assert list(json.loads((run / "test" / "test.json").read_text())["per_class"]) == CLASSES

    evaluation = ["evaluate", "--bundle", run / "bundle", "--data", recast, "--limit", 3]
    evaluation += ["--methods", "gradcam", "--metrics", "ebpg", "--out", tmp_path / "evaluation"]
    assert sise.cli.main(texts(*evaluation)) == 0

    batch = tmp_path / "batch"
    batch.mkdir()
    tiles = [min((own / "images" / name).iterdir(), key=area) for name in ("break", "free")]
    assert min(size_of(tile)[1] for tile in tiles) > SIDE
    for tile in tiles:
        shutil.copy(tile, batch)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "name: all\nversion: 1\nthresholds: {break: 0}\n"
        "rules:\n- {name: broken, disposition: scrap, classes: [break]}\n"
    )
    inspect = ["run", "--bundle", run / "bundle", "--batch", batch, "--out", report]
    inspect += ["--policy", policy, "--runner-up", "false", "--budget", 30, "--backend", "torch"]
    assert inspection.cli.main(texts(*inspect)) == 0
    assert inspection.cli.main(texts("verify", report)) == 0
    patches = pd.read_parquet(report / "results.parquet")
    for tile in tiles:
        covered = np.zeros(size_of(tile)[::-1], bool)
        for patch in patches[patches["strip_id"] == tile.name].itertuples():
            covered[patch.top : patch.top + SIDE, patch.left : patch.left + SIDE] = True
        assert covered.all()
    record = json.loads((report / "batch.json").read_text())
    assert record["bundle"]["classes"] == CLASSES
    assert record["config"]["patch"] == SIDE
    assert set(patches.loc[patches["flagged"], "indicated"]) <= set(CLASSES[1:])
    assert {"p_normal", "p_blowhole", "p_break", "p_uneven"} <= set(patches.columns)
    strips = pd.read_parquet(report / "strips.parquet")
    assert (strips["disposition"] == "scrap").any()

    check_review(report, patches, batch, tmp_path)


def check_review(report: Path, patches: pd.DataFrame, batch: Path, folder: Path) -> None:
    """Two patches of two rows are decided on, and exported as crops under their own names."""
    width = pd.read_parquet(report / "strips.parquet").set_index("strip_id")["width"]
    lowest = patches[patches["flagged"]].sort_values("top").iloc[-1]
    assert lowest["top"] > 0
    record = json.loads((report / "batch.json").read_text())
    place = int(lowest["top"] * width[lowest["strip_id"]] + lowest["left"])
    entry = {
        "id": "6f0c2d5e-0000-4000-8000-000000000001",
        "kind": "reclass",
        "class": "uneven",
        "strip": lowest["strip_id"],
        "left": place,
        "reviewer": "A. B.",
        "reason": "",
        "time": "2026-11-26T10:00:00Z",
        "in_view_of": [],
    }
    decisions = folder / "decisions.json"
    decisions.write_text(
        json.dumps(
            {
                "format": "steel-sise decisions 1",
                "batch": {"name": record["batch"], "fingerprint": record["fingerprint"]},
                "decisions": [entry],
            }
        )
    )
    database = f"sqlite:///{folder / 'review.db'}"
    review = ["review"]
    assert inspection.cli.main(texts(*review, "register", "--db", database, report)) == 0
    assert inspection.cli.main(texts(*review, "import", "--db", database, decisions)) == 0
    out = folder / "reviewed"
    assert inspection.cli.main(texts(*review, "export", "--db", database, "--out", out)) == 0
    assert json.loads((out / "dataset.json").read_text())["classes"] == CLASSES
    row = pd.read_parquet(out / "manifest.parquet").iloc[0]
    assert (row["class_id"], row["left"]) == (CLASSES.index("uneven"), lowest["left"])
    crop, image = grey(out / row["crop_path"]), grey(batch / lowest["strip_id"])
    top, left = int(lowest["top"]), int(lowest["left"])
    np.testing.assert_array_equal(crop, image[top : top + SIDE, left : left + SIDE])


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def area(path: Path) -> int:
    width, height = size_of(path)
    return width * height


def grey(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def texts(*arguments: object) -> list[str]:
    return [str(argument) for argument in arguments]
