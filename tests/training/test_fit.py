"""Whole runs of `defect-train fit`, on small crops with a small net."""

import json
import shutil
import signal
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from severstal_prep.alone import LOCK, alone
from sise import bundle
from training import configuration
from training.checkpoint import read_checkpoint
from training.classifier import DefectClassifier
from training.cli import main
from training.finish import metrics_line
from training.runs import RunFolder

NET = "shufflenet_v2_x0_5"
RECIPE = {
    "seed_everything": 0,
    "model": {
        "architecture": NET,
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.003}},
        "schedule": {"class_path": "training.schedule.WarmupCosine", "init_args": {"warmup": 1}},
        "logit_adjustment": 1.0,
    },
    "data": {
        "batch_size": 8,
        "num_workers": 0,
        "cache": True,
        "normalization": "dataset",
        "augment": {"horizontal_flip": 0.5, "vertical_flip": 0.5},
    },
    "trainer": {"max_epochs": 3, "precision": "32-true"},
}
EMA = {
    "class_path": "pytorch_lightning.callbacks.EMAWeightAveraging",
    "init_args": {"decay": 0.9},
}


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE), "utf-8")
    return path


@pytest.fixture(scope="session")
def fit_args(recipe: Path, recast_root: Path) -> list[str]:
    return ["fit", "--config", str(recipe), "--data.root", str(recast_root)]


@pytest.fixture(scope="session")
def finished(fit_args: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("запуск 1") / "run"
    assert main([*fit_args, "--out", str(out)]) == 0
    return RunFolder(out)


def weights(file: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(file).network.state_dict()


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_second_training_into_a_run_folder_is_refused(
    fit_args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with alone(out):
        assert main([*fit_args, "--out", str(out)]) == 2
        assert [path.name for path in out.iterdir()] == [LOCK]
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"defect-train: {out}: process ")


def test_a_training_that_another_finished_meanwhile_changes_nothing(
    fit_args: list[str],
    finished: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"

    def late(folder: Path) -> AbstractContextManager[None]:
        shutil.copytree(finished.path, folder)
        return alone(folder)

    monkeypatch.setattr(configuration, "alone", late)
    assert main([*fit_args, "--out", str(out)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.endswith("was at work here just now; run the same command again")
    assert main([*fit_args, "--out", str(out)]) == 0


def test_run_folder_holds_what_it_promises(finished: RunFolder, recast_root: Path) -> None:
    config = yaml.safe_load(finished.config.read_text("utf-8"))
    assert config["model"]["architecture"] == NET
    assert config["data"]["batch_size"] == 8
    record = json.loads(finished.record.read_text("utf-8"))
    assert record["precision"] == "32-true"
    log = pd.read_csv(finished.path / "logs" / "version_0" / "metrics.csv")
    by_epoch = log.groupby("epoch").max()
    assert by_epoch.index.tolist() == [0, 1, 2]
    assert by_epoch[["train/loss", "val/loss", "val/top1", "val/macro_recall"]].notna().all(None)
    assert any((finished.path / "logs" / "version_0").glob("events.out.tfevents.*"))
    assert read_checkpoint(finished.last).epoch == 3


def test_bundle_is_the_best_epoch_calibrated(finished: RunFolder) -> None:
    model = bundle.load(finished.bundle)
    best = read_checkpoint(finished.best)
    assert equal(model.model.network.state_dict(), best.network.state_dict())
    card = model.card
    assert card.input_size == (64, 64)
    assert card.thresholds == {f"class {i}": 0.5 for i in range(1, 5)}
    assert card.metrics["epoch"] == best.epoch
    assert card.metrics["crops"] == 11
    log = pd.read_csv(finished.path / "logs" / "version_0" / "metrics.csv")
    assert card.metrics["macro_recall"] == pytest.approx(log["val/macro_recall"].max())
    assert card.dataset["counts"]["test"] == [4, 2, 2, 3, 2]
    assert card.temperature > 0
    recipe = card.metrics["recipe"]
    assert recipe["model"]["optimizer"]["init_args"]["lr"] == 0.003
    assert recipe["trainer"]["max_epochs"] == 3
    assert "root" not in recipe["data"]
    assert "devices" not in recipe["trainer"]
    assert "`model.logit_adjustment` | `1.0`" in (finished.bundle / "MODEL_CARD.md").read_text()
    assert card.metrics["risk_coverage"]["target_risk"] == 0.02
    assert card.metrics["decision"] is None
    assert "macro recall" in metrics_line(card)


def test_learns(finished: RunFolder) -> None:
    log = pd.read_csv(finished.path / "logs" / "version_0" / "metrics.csv")
    losses = log["train/loss"].dropna().tolist()
    assert losses[-1] < losses[0]


def test_same_seed_same_weights(finished: RunFolder, fit_args: list[str], tmp_path: Path) -> None:
    assert main([*fit_args, "--out", str(tmp_path / "again")]) == 0
    again = RunFolder(tmp_path / "again")
    assert equal(weights(finished.last), weights(again.last))
    assert (finished.bundle / "weights.safetensors").read_bytes() == (
        again.bundle / "weights.safetensors"
    ).read_bytes()


@pytest.mark.slow
def test_other_seed_other_weights(finished: RunFolder, fit_args: list[str], tmp_path: Path) -> None:
    options = ["--seed_everything", "1", "--trainer.max_epochs", "1"]
    assert main([*fit_args, *options, "--out", str(tmp_path / "run")]) == 0
    assert not equal(
        weights(finished.best), weights(tmp_path / "run" / "checkpoints" / "best.ckpt")
    )
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text("utf-8"))
    assert config["seed_everything"] == 1


def interrupt_in_epoch(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    step = DefectClassifier.training_step

    def interrupted(self, batch, index):
        if self.current_epoch == number and index == 1:
            raise KeyboardInterrupt
        return step(self, batch, index)

    monkeypatch.setattr(DefectClassifier, "training_step", interrupted)


@pytest.mark.parametrize("averaged", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_interrupted_and_resumed_equals_uninterrupted(
    averaged: bool, finished: RunFolder, fit_args, tmp_path, monkeypatch, capsys
) -> None:
    args = list(fit_args)
    if averaged:
        # Mixup draws by torch's generator, as dropout does.
        args += ["--trainer.callbacks", json.dumps([EMA]), "--model.mixup", "0.2"]
        assert main([*args, "--out", str(tmp_path / "whole")]) == 0
        finished = RunFolder(tmp_path / "whole")
    out = tmp_path / "run"
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupt_in_epoch(2, patch)
        assert main([*args, "--out", str(out), "--data.cache", "false"]) == 130
    assert "run the same command again to continue" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (out / "bundle").exists()

    moved = out.rename(tmp_path / "moved")
    assert main([*args, "--out", str(moved)]) == 0
    assert "resuming" in capsys.readouterr().err
    resumed = RunFolder(moved)
    assert equal(weights(finished.last), weights(resumed.last))
    assert equal(weights(finished.best), weights(resumed.best))
    if averaged:
        plain = torch.load(resumed.last, weights_only=True)["current_model_state"]
        averages = weights(resumed.last)
        assert not torch.equal(plain["network.fc.weight"], averages["fc.weight"])


def test_interrupted_before_the_bundle(fit_args, tmp_path, monkeypatch, capsys) -> None:
    args = [*fit_args, "--trainer.max_epochs", "1", "--out", str(tmp_path / "run")]

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("training.fit.write_bundle", interrupted)
        assert main(args) == 130
    assert main(args) == 0
    assert bundle.load(tmp_path / "run" / "bundle").card.metrics["epoch"] == 1


def test_finished_run_is_left_alone(finished: RunFolder, fit_args, capsys) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.path.rglob("*")}
    assert main([*fit_args, "--out", str(finished.path)]) == 0
    captured = capsys.readouterr()
    assert "this run is finished; nothing to do" in captured.err
    assert captured.out.splitlines()[-1] == str(finished.bundle)
    assert {path: path.stat().st_mtime_ns for path in finished.path.rglob("*")} == before


def test_finished_run_of_other_options_is_not_overwritten(finished, fit_args, capsys) -> None:
    assert main([*fit_args, "--out", str(finished.path), "--data.batch_size", "4"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "holds a run with data.batch_size = 8, not 4; give another --out" in error


def test_last_line_names_the_bundle_and_stdout_is_short(fit_args, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    threshold = ["--thresholds", '{"class 2": 0.3}']
    assert main([*fit_args, *threshold, "--trainer.max_epochs", "1", "--out", str(out)]) == 0
    captured = capsys.readouterr()
    line, path = captured.out.splitlines()
    assert line.startswith("validation: 11 crops, top-1 ")
    assert path == str(out / "bundle")
    assert "epoch 1/1, loss " in captured.err
    assert bundle.read_card(out / "bundle").thresholds["class 2"] == 0.3


def test_determinism_is_switched_on_and_given_back(fit_args, tmp_path, monkeypatch) -> None:
    step, seen = DefectClassifier.training_step, []

    def watched(self, batch, index):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return step(self, batch, index)

    monkeypatch.setattr(DefectClassifier, "training_step", watched)
    assert not torch.are_deterministic_algorithms_enabled()
    assert main([*fit_args, "--trainer.max_epochs", "1", "--out", str(tmp_path / "run")]) == 0
    assert set(seen) == {True}
    assert not torch.are_deterministic_algorithms_enabled()


def test_recipe_strong_runs_on_generated_data(recast_root: Path, tmp_path: Path) -> None:
    args = ["fit", "--config", "strong", "--data.root", str(recast_root)]
    small = ["--model.architecture", NET, "--model.weights", "none", "--data.num_workers", "0"]
    assert main([*args, *small, "--trainer.max_epochs", "1", "--out", str(tmp_path / "run")]) == 0
    run = RunFolder(tmp_path / "run")
    assert "averaging_state" in torch.load(run.best, weights_only=True)
    assert run.bundle.is_dir()


def test_recipe_paper_runs_on_generated_data(recast_root: Path, tmp_path: Path) -> None:
    args = ["fit", "--config", "paper", "--data.root", str(recast_root)]
    small = ["--model.architecture", NET, "--data.num_workers", "0", "--trainer.max_epochs", "1"]
    assert main([*args, *small, "--out", str(tmp_path / "run")]) == 0
    log = pd.read_csv(tmp_path / "run" / "logs" / "version_0" / "metrics.csv")
    assert log["learning_rate"].dropna().tolist() == pytest.approx([0.1])


@pytest.mark.slow
def test_one_channel_from_weights_for_three_to_the_bundle(
    recast_root: Path, tmp_path: Path, monkeypatch
) -> None:
    """Interrupted and resumed, with averaged weights, it ends as an unbroken run."""
    args = ["fit", "--config", "demo", "--data.root", str(recast_root), "--model.channels", "1"]
    args += ["--data.normalization", "imagenet", "--trainer.max_epochs", "2"]
    args += ["--trainer.callbacks+", json.dumps(EMA), "--trainer.precision", "32-true"]
    assert main([*args, "--out", str(tmp_path / "whole")]) == 0
    whole = bundle.load(tmp_path / "whole" / "bundle")
    assert whole.card.channels == 1
    state = whole.model.network.state_dict()
    assert state["conv1.0.weight"].shape == state["conv1.0.shift"].shape == (24, 1, 3, 3)

    with monkeypatch.context() as patch:
        interrupt_in_epoch(1, patch)
        assert main([*args, "--out", str(tmp_path / "broken")]) == 130
    assert main([*args, "--out", str(tmp_path / "broken")]) == 0
    again = bundle.load(tmp_path / "broken" / "bundle").model.network.state_dict()
    assert equal(state, again)
