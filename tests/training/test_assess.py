"""`defect-train test` and `export`, on a network whose answers are known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from severstal_prep.dataset import CLASS_NAMES, card_sha256
from sise import bundle
from training import paper_results
from training.blueprint import Blueprint
from training.cli import main

NET = "shufflenet_v2_x0_5"


def untrained() -> torch.nn.Module:
    """A network that says class 3 of every image."""
    torch.manual_seed(0)
    network = bundle.build_network(NET, 5)
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.tensor([2.0, 1.0, 0.0, 3.0, -1.0]))
    return network


def write_bundle(folder: Path, classes: tuple[str, ...] = CLASS_NAMES, sha256: str = "") -> Path:
    network = untrained() if len(classes) == 5 else bundle.build_network(NET, len(classes))
    card = bundle.ModelCard(
        NET, classes, (64, 64), (0.5,) * 3, (0.2,) * 3, 2.0, dataset={"card_sha256": sha256}
    )
    bundle.save(folder, card, network)
    return folder


@pytest.fixture
def model(tmp_path: Path, recast_root: Path) -> Path:
    return write_bundle(tmp_path / "run" / "bundle", sha256=card_sha256(recast_root))


def run_test(*args: object) -> int:
    return main(["test", "--num-workers", "0", "--precision", "fp32", *map(str, args)])


def test_json_holds_the_results(model, recast_root, tmp_path, capsys) -> None:
    assert run_test("--run", tmp_path / "run", "--data.root", recast_root) == 0
    out = tmp_path / "run" / "test"
    found = json.loads((out / "test.json").read_text("utf-8"))
    # 13 test crops, (4, 2, 2, 3, 2): all are called class 3, then normal, then class 1.
    assert found["crops"] == 13
    assert found["top1"] == pytest.approx(3 / 13)
    assert found["top3"] == pytest.approx((4 + 2 + 3) / 13)
    assert found["macro_recall"] == pytest.approx(1 / 5)
    assert [row[3] for row in found["confusion"]["counts"]] == [4, 2, 2, 3, 2]
    assert found["per_class"]["class 3"]["recall"] == 1.0
    confidence = np.exp(1.5) / np.exp(np.array([2.0, 1.0, 0.0, 3.0, -1.0]) / 2).sum()
    assert found["ece"] == pytest.approx(abs(confidence - 3 / 13), abs=1e-6), "temperature 2"
    assert found["bundle_sha256"] == bundle.load(model).sha256
    assert found["dataset_card_sha256"] == card_sha256(recast_root)
    assert found["trained_on_this_dataset"] is True
    assert (found["split"], found["split_rule"]) == ("test", "grouped")
    assert (found["precision"], found["device"]) == ("float32", "cpu")
    assert found["paper"] is None
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == str(out)
    assert "top-1         0.231" in captured.out
    assert "paper" not in captured.out
    assert yaml.safe_load((out / "config.yaml").read_text("utf-8"))["precision"] == "fp32"
    assert sorted(path.name for path in out.iterdir()) == [
        "config.yaml",
        "confusion.png",
        "risk-coverage.png",
        "test.json",
    ]


def test_another_split_and_folder(model, recast_root, tmp_path) -> None:
    out = tmp_path / "тест dir"
    assert (
        run_test("--bundle", model, "--data.root", recast_root, "--split", "val", "--out", out) == 0
    )
    assert json.loads((out / "test.json").read_text("utf-8"))["crops"] == 11


def test_paper_is_shown_beside_severstal(model, recast_root, monkeypatch, capsys) -> None:
    monkeypatch.setattr(paper_results, "DEFECT_CROPS", (8, 8, 11, 8))
    assert run_test("--bundle", model, "--data.root", recast_root) == 0
    found = json.loads((model.parent / "test" / "test.json").read_text("utf-8"))
    assert found["paper"]["top1"] == 0.8658
    assert found["paper"]["confusion"]["normalised"][2] == [0.095, 0.032, 0.71, 0.16, 0.0]
    assert "paper recall" in capsys.readouterr().out


def test_bundle_of_another_dataset_is_pointed_out(recast_root, tmp_path, capsys) -> None:
    model = write_bundle(tmp_path / "bundle", sha256="something else")
    assert run_test("--bundle", model, "--data.root", recast_root) == 0
    assert "was trained on another build of the data" in capsys.readouterr().err
    found = json.loads((tmp_path / "test" / "test.json").read_text("utf-8"))
    assert found["trained_on_this_dataset"] is False


def test_bundle_of_other_classes(recast_root, tmp_path, capsys) -> None:
    model = write_bundle(tmp_path / "bundle", ("good", "bad"))
    assert run_test("--bundle", model, "--data.root", recast_root) == 2
    assert "a model of other classes (good, bad)" in capsys.readouterr().err
    assert not (tmp_path / "test").exists()


@pytest.mark.parametrize("args", [[], ["--run", "a", "--bundle", "b"]])
def test_run_or_bundle(args, recast_root, capsys) -> None:
    assert run_test(*args, "--data.root", recast_root) == 2
    assert "test needs either --run or --bundle" in capsys.readouterr().err


def test_no_bundle_there(recast_root, tmp_path, capsys) -> None:
    assert run_test("--run", tmp_path, "--data.root", recast_root) == 2
    assert "no model bundle here" in capsys.readouterr().err


def write_checkpoint(path: Path) -> Path:
    state = {f"network.{name}": tensor for name, tensor in untrained().state_dict().items()}
    checkpoint: dict = {"state_dict": state, "epoch": 0}
    Blueprint(NET, CLASS_NAMES, (64, 64), (0.5,) * 3, (0.2,) * 3, {"split": "x"}).write_to(
        checkpoint
    )
    torch.save(checkpoint, path)
    return path


def test_export_without_data_is_uncalibrated(tmp_path, capsys) -> None:
    checkpoint, out = write_checkpoint(tmp_path / "a.ckpt"), tmp_path / "bundle"
    assert main(["export", "--checkpoint", str(checkpoint), "--out", str(out)]) == 0
    card = bundle.load(out).card
    assert card.temperature == 1.0
    assert card.metrics == {"epoch": 1}
    assert card.dataset == {"split": "x"}
    assert capsys.readouterr().out.splitlines() == ["not evaluated, temperature 1", str(out)]


def test_export_calibrates_on_validation_crops(recast_root, tmp_path) -> None:
    checkpoint, out = write_checkpoint(tmp_path / "a.ckpt"), tmp_path / "bundle"
    args = ["--checkpoint", str(checkpoint), "--out", str(out), "--data.root", str(recast_root)]
    thresholds = ["--thresholds", '{"class 4": 0.9}', "--num-workers", "0"]
    assert main(["export", *args, *thresholds]) == 0
    card = bundle.load(out).card
    assert card.metrics["crops"] == 11
    assert card.metrics["top1"] == pytest.approx(2 / 11)
    assert card.temperature > 3, "its certainty of class 3 is unfounded"
    assert card.metrics["ece"] < card.metrics["ece_before_temperature"]
    assert card.thresholds == {"class 1": 0.5, "class 2": 0.5, "class 3": 0.5, "class 4": 0.9}


def test_export_chooses_thresholds_by_costs_and_test_prices_them(
    recast_root, tmp_path, capsys
) -> None:
    checkpoint, out = write_checkpoint(tmp_path / "a.ckpt"), tmp_path / "run" / "bundle"
    args = ["--checkpoint", str(checkpoint), "--out", str(out), "--data.root", str(recast_root)]
    costs = ["--costs", "escape=5,overkill=1,class 4.escape=9", "--num-workers", "0"]
    assert main(["export", *args, *costs, "--thresholds", '{"class 1": 0.9}']) == 0
    card = bundle.load(out).card
    decision = card.metrics["decision"]
    assert decision["thresholds"] == card.thresholds
    assert card.thresholds["class 1"] == 0.9
    assert decision["costs"]["escape"] == {"class 1": 5, "class 2": 5, "class 3": 5, "class 4": 9}
    # The network answers all crops alike. To flag all of 3 normal ones costs 3 of 11; to flag none
    # would cost 5 × 6 + 9 × 2.
    assert decision["cost"] == pytest.approx(1000 * 3 / 11)
    assert decision["cost_of_flagging_nothing"] == pytest.approx(1000 * 48 / 11)
    assert decision["wrong"]["overkill"] == [3, 3]
    assert (out / "costs.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "risk-coverage.png").is_file()
    assert yaml.safe_load((out / "config.yaml").read_text("utf-8"))["costs"]["class 4.escape"] == 9
    assert run_test("--run", out.parent, "--data.root", recast_root) == 0
    found = json.loads((out.parent / "test" / "test.json").read_text("utf-8"))
    assert found["decision"]["cost"] == pytest.approx(1000 * 4 / 13), "4 of 13 are normal"
    assert found["risk_coverage"]["crops"] == 13
    assert found["calibration"]["per_class"].keys() == set(CLASS_NAMES)
    assert (out.parent / "test" / "costs.png").is_file()
    assert "per 1000 patches, 69.23% of them with a defect" in capsys.readouterr().out
    assert main(["export", *args, "--num-workers", "0"]) == 0, "without costs, over the same folder"
    assert not (out / "costs.png").exists()
    assert set(bundle.load(out).card.thresholds.values()) == {0.5}


def test_export_cannot_choose_without_crops(tmp_path, capsys) -> None:
    checkpoint, out = write_checkpoint(tmp_path / "a.ckpt"), tmp_path / "bundle"
    args = ["--checkpoint", str(checkpoint), "--out", str(out)]
    assert main(["export", *args, "--costs", "escape=5,overkill=1"]) == 2
    assert "need validation crops to choose on; give --data.root" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ('{"normal": 0.4}', "thresholds: 'normal' is no defect class; one of class 1, class 2"),
        ('{"class 1": 0}', "thresholds: class 1 must be above 0 and at most 1, not 0"),
    ],
)
def test_export_refuses_thresholds(tmp_path, capsys, thresholds, message) -> None:
    checkpoint, out = write_checkpoint(tmp_path / "a.ckpt"), tmp_path / "bundle"
    args = ["--checkpoint", str(checkpoint), "--out", str(out), "--thresholds", thresholds]
    assert main(["export", *args]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
