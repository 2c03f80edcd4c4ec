"""A dataset with class names of its own, without a class "normal": trained, tested, exported."""

import json
from pathlib import Path

import pytest

from sise import bundle
from sise.datasets.opening import open_dataset
from tests.training.conftest import write_recast
from training.cli import main
from training.crops import read_recast
from training.errors import DataError, RecipeError
from training.finish import complete_thresholds

CLASSES = ("pit", "rolled-in scale", "Kratzer")
CROPS = {"train": (6, 4, 4), "val": (2, 2, 2), "test": (3, 2, 2)}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recast(tmp_path_factory.mktemp("own") / "recast", CROPS, classes=CLASSES)


def test_it_is_trained_and_tested_by_its_own_names(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    fit = ["fit", "--config", "demo", "--data.root", str(own), "--out", str(run)]
    fit += ["--model.architecture", "squeezenet1_1", "--model.weights", "none"]
    fit += ["--trainer.max_epochs", "1", "--data.epoch_crops", "16", "--data.batch_size", "8"]
    assert main([*fit, "--thresholds", '{"class 1": 0.5}']) == 2
    assert "'class 1' is no defect class; one of pit, rolled-in" in capsys.readouterr().err
    assert main([*fit, "--thresholds", '{"Kratzer": 0.25}']) == 0
    card = bundle.read_card(run / "bundle")
    assert card.classes == CLASSES
    assert card.input_size == (64, 64)
    assert card.thresholds == {"pit": 0.5, "rolled-in scale": 0.5, "Kratzer": 0.25}
    assert list(card.metrics["recall"]) == list(CLASSES)
    assert main(["test", "--run", str(run), "--data.root", str(own)]) == 0
    assert "rolled-in scale" in capsys.readouterr().out
    results = json.loads((run / "test" / "test.json").read_text())
    assert list(results["per_class"]) == list(CLASSES)
    assert [results["per_class"][name]["crops"] for name in CLASSES] == [3, 2, 2]
    command = ["export", "--checkpoint", str(run / "checkpoints" / "best.ckpt")]
    assert main([*command, "--out", str(tmp_path / "b"), "--data.root", str(own)]) == 0
    assert bundle.read_card(tmp_path / "b").classes == CLASSES
    other = write_recast(tmp_path / "other")
    assert main([*command, "--out", str(tmp_path / "c"), "--data.root", str(other)]) == 2
    assert "a model of other classes (pit, rolled-in scale, Kratzer)" in capsys.readouterr().err


def test_sise_reads_it_by_its_own_names(tmp_path: Path) -> None:
    masks = [f"masks/{i}.png" for i in range(27)]
    dataset = open_dataset(write_recast(tmp_path, CROPS, classes=CLASSES, mask_path=masks))
    assert dataset.name == "recast dataset, test"
    assert dataset.classes == CLASSES
    # Without a class "normal" every crop shows a defect, those of class 0 too.
    assert sorted(item.label for item in dataset.items) == [0, 0, 0, 1, 1, 2, 2]


def test_thresholds_leave_normal_out() -> None:
    assert complete_thresholds({"b": 0.2}, ["a", "normal", "b"]) == {"a": 0.5, "b": 0.2}
    with pytest.raises(RecipeError, match="'normal' is no defect class; one of a, b"):
        complete_thresholds({"normal": 0.2}, ["a", "normal", "b"])


def test_class_ids_and_names_must_fit(tmp_path: Path) -> None:
    write_recast(tmp_path / "two", CROPS, classes=CLASSES[:2])
    with pytest.raises(DataError, match=r"class 2 is not 0 to 1 .*; build it again"):
        read_recast(tmp_path / "two")
    write_recast(tmp_path / "twice", CROPS, classes=("a", "b", "a"))
    with pytest.raises(DataError, match="two of one name"):
        read_recast(tmp_path / "twice")
