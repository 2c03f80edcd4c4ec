"""`sise evaluate` and `sise ablate` as typed, on a tiny NEU-DET and a tiny network."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sise import bundle
from sise.cli import main
from sise.datasets.neu_det import CLASSES

BOX = "<object><name>{name}</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>{edge}</xmax><ymax>24</ymax></bndbox></object>"  # noqa: E501


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = bundle.build_network("squeezenet1_1", len(CLASSES))
    card = bundle.ModelCard(
        "squeezenet1_1", CLASSES, (33, 33), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
    )
    folder = tmp_path_factory.mktemp("bundle")
    bundle.save(folder, card, network)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("тест") / "neu det"
    for folder in ("IMAGES", "ANNOTATIONS"):
        (root / folder).mkdir(parents=True)
    for number in range(7):
        for place, name in enumerate(CLASSES[:2]):
            noise = np.random.default_rng(10 * number + place).integers(0, 99, (32, 32), np.uint8)
            noise[8:24, 8 : 20 + number] += 120
            Image.fromarray(noise).save(root / "IMAGES" / f"{name}_{number}.jpg", quality=95)
            text = f"<annotation>{BOX.format(name=name, edge=20 + number)}</annotation>"
            (root / "ANNOTATIONS" / f"{name}_{number}.xml").write_text(text)
    return root


def evaluate(model: Path, data: Path, out: Path, *more: str) -> int:
    return main(
        ["evaluate", "--bundle", str(model), "--data", str(data), "--out", str(out),
         "--precision", "fp32", "--steps", "3", *more]
    )  # fmt: skip


def test_evaluate_writes_all_that_it_promises(
    tmp_path: Path,
    model: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/sise", "evaluate", "--out", "out dir"])
    out = tmp_path / "out dir"
    methods = ["sise:budget=8", "gradcam", "noise", "truth"]
    pairs = ("--pairs", "gradcam", "noise")
    assert evaluate(model, data, out, "--methods", *methods, *pairs) == 0
    assert capsys.readouterr().out.strip() == str(out / "summary.html")
    rows = pd.read_parquet(out / "per_image.parquet")
    assert rows.groupby("method", sort=False).size().to_dict() == dict.fromkeys(methods, 14)
    assert {"ebpg", "miou", "bbox", "pointing", "drop", "increase", "left", "insertion", "deletion",
            "border", "sparsity", "drop@blur", "left@blur"} <= set(rows.columns)  # fmt: skip

    table = pd.read_csv(out / "summary.csv").set_index(["method", "metric"])
    mean = rows.loc[rows["method"] == "gradcam", "ebpg"].mean()
    assert table.loc[("gradcam", "ebpg"), "mean"] == pytest.approx(mean)
    pair = pd.read_csv(out / "pairs.csv").set_index(["class", "metric"])
    values = rows.pivot(index="item", columns="method", values="ebpg")
    difference = (values["gradcam"] - values["noise"]).mean()  # of items that both define
    assert pair.loc[(np.nan, "ebpg"), "difference"] == pytest.approx(difference)
    text, page = (out / "summary.md").read_text(), (out / "summary.html").read_text()
    assert "Grad-CAM" in text
    assert "Grad-CAM" in page
    assert "Grad-CAM less noise" in page
    assert "grid.jpg" in page
    with Image.open(out / "grid.jpg") as picture:
        picture.load()
        assert picture.width > 500
    card = json.loads((out / "evaluation.json").read_text())
    assert card["dataset"]["per_class"] == {"crazing": 7, "inclusion": 7}
    assert card["dataset"]["groups"] == card["dataset"]["truth"]["boxes"] == 14
    assert card["pairs"] == [["gradcam", "noise"]]
    assert card["command"] == "sise evaluate --out 'out dir'"
    assert card["unreadable"] == []


def test_limit_and_only_choose_items(tmp_path: Path, model: Path, data: Path) -> None:
    names = tmp_path / "held out.txt"
    names.write_text("# these\ncrazing_3\ninclusion_1\ncrazing_5\n")
    options = ("--methods", "noise", "--only", str(names), "--limit", "2", "--metrics", "ebpg")
    assert evaluate(model, data, tmp_path / "out", *options) == 0
    rows = pd.read_parquet(tmp_path / "out" / "per_image.parquet")
    assert rows["item"].tolist() == ["crazing_3", "inclusion_1"]
    assert "drop" not in rows.columns


def test_a_damaged_image_is_left_out_and_told(
    tmp_path: Path, model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "neu"
    for folder in ("IMAGES", "ANNOTATIONS"):
        (copy / folder).mkdir(parents=True)
        for path in (data / folder).glob("crazing_*"):
            (copy / folder / path.name).write_bytes(path.read_bytes())
    (copy / "IMAGES" / "crazing_2.jpg").write_bytes(b"no image")
    out = tmp_path / "out"
    assert evaluate(model, copy, out, "--methods", "noise", "--metrics", "ebpg") == 4
    assert "crazing_2.jpg: not an image" in capsys.readouterr().err
    assert len(pd.read_parquet(out / "per_image.parquet")) == 6
    assert len(json.loads((out / "evaluation.json").read_text())["unreadable"]) == 1


def test_classes_that_the_model_does_not_know_are_left_out_if_asked(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own steel"
    for name in ("inclusion", "scale", "scratches"):
        for folder in ("images", "masks"):
            (own / folder / name).mkdir(parents=True)
            drawn = np.zeros((32, 32), np.uint8)
            drawn[9:12, 9:20] = 200
            Image.fromarray(drawn).save(own / folder / name / "1.png")
    (own / "masks" / "scratches" / "1.png").unlink()  # as a class without defects
    options = ("--methods", "noise", "--metrics", "ebpg")
    assert evaluate(model, own, tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert "has the classes scale, which the bundle does not know (--classes known" in error
    assert evaluate(model, own, tmp_path / "out", *options, "--classes", "known") == 0
    rows = pd.read_parquet(tmp_path / "out" / "per_image.parquet")
    assert rows[["item", "group", "label", "truth"]].to_numpy().tolist() == [
        ["inclusion/1", "inclusion/1", "inclusion", "pixels"]
    ]
    card = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert card["dataset"]["name"] == "own steel, 2 of 3 images, 2 of 3 classes"
    for path in own.glob("*/inclusion/1.png"):
        path.unlink()
    assert evaluate(model, own, tmp_path / "out", *options, "--classes", "known") == 2
    assert "has no item of a class that the bundle knows: crazing" in capsys.readouterr().err


def test_real_photographs_and_a_model_of_a_few_of_their_classes(
    tmp_path: Path, steel_data: Path
) -> None:
    pytest.importorskip("pycocotools", reason='needs the extra "coco"')
    names = ("tabby", "zebra", "banana", "maillot")
    card = bundle.ModelCard("squeezenet1_1", names, (33, 33), (0.5,) * 3, (0.2,) * 3)
    bundle.save(tmp_path / "bundle", card, bundle.build_network("squeezenet1_1", len(names)))
    options = (
        "--methods",
        "noise",
        "--metrics",
        "ebpg",
        "--split",
        "val2017",
        "--classes",
        "known",
    )
    coco = steel_data / "coco_mini"
    assert evaluate(tmp_path / "bundle", coco, tmp_path / "out", *options) == 0
    rows = pd.read_parquet(tmp_path / "out" / "per_image.parquet")
    entries = json.loads((coco / "annotations" / "instances_val2017.json").read_text())
    number = {one["id"]: one["name"] for one in entries["categories"]}
    expected = {
        (one["image_id"], number[one["category_id"]])
        for one in entries["annotations"]
        if number[one["category_id"]] in names
    }
    assert {(int(row.image), row.label) for row in rows.itertuples()} == expected


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--methods", "lime"), "method 'lime': one of sise"),
        (("--methods", "noise", "noise"), "are the same"),
        (("--methods", "noise", "--metrics", "auc"), "no metric auc; there are ebpg"),
        (("--methods", "noise", "--split", "test"), "has no splits"),
        (("--methods", "noise", "--pairs", "noise", "rise"), "--pairs rise: not one of --methods"),
        (("--methods", "noise", "--pairs", "noise"), "--pairs: noise has no second method; name"),
        (("--methods", "noise", "--layout", "voc"), "no dataset of the layout voc here"),
    ],
)
def test_wrong_options_are_one_line(
    tmp_path: Path,
    model: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    complaint: str,
) -> None:
    assert evaluate(model, data, tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out" / "summary.md").exists()


@pytest.mark.slow
def test_ablate_writes_table_curves_and_maps(
    tmp_path: Path, model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ablation"
    arguments = ["ablate", "--bundle", str(model), "--data", str(data), "--out", str(out),
                 "--precision", "fp32", "--mu", "0.5", "--budget", "8", "--limit", "8"]  # fmt: skip
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip() == str(out / "ablation.md")
    table = pd.read_csv(out / "ablation.csv").set_index(["setting", "measure"])
    assert table.loc[("sise", "agreement"), "mean"] == pytest.approx(1)
    assert table.loc[("sise:budget=8", "agreement"), "mean"] < 1
    assert table.loc[("sise:budget=8", "ebpg"), "forwards"] == 8
    rows = (out / "rows.jsonl").read_text().splitlines()
    assert len(rows) == 3 * 8
    text = (out / "ablation.md").read_text()
    assert "| budget 8 | 8 |" in text
    assert {"curves.png", "grid.jpg", "evaluation.json"} <= {path.name for path in out.iterdir()}
