"""Trainings that leave the range of numbers, end early, or run out of memory."""

import json
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pytorch_lightning.callbacks import Timer
from torch.utils.data import DataLoader

from sise import bundle
from training.calibration import Floats
from training.checkpoint import read_checkpoint
from training.classifier import DefectClassifier
from training.cli import main
from training.data import CropDataset
from training.errors import CheckpointError, DivergedError, MemoryShortError
from training.evaluate import predict
from training.losses import Loss
from training.resources import memory_explained
from training.runs import RunFolder

NET = "shufflenet_v2_x0_5"
RECIPE: dict[str, Any] = {
    "model": {
        "architecture": NET,
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.003}},
    },
    "data": {"batch_size": 16, "num_workers": 0, "cache": True},
    "trainer": {"max_epochs": 3, "precision": "32-true"},
}
EMA = {"class_path": "pytorch_lightning.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.9}}


@pytest.fixture
def fit_args(tmp_path: Path, recast_root: Path) -> list[str]:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE), "utf-8")
    return [
        "fit", "--config", str(recipe), "--data.root", str(recast_root),
        "--out", str(tmp_path / "run"),
    ]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def spoil_epoch(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of the second batch of this epoch (from 1) is NaN."""
    step = DefectClassifier.training_step

    def spoilt(self: DefectClassifier, batch: Any, index: int) -> Any:
        with monkeypatch.context() as patch:
            if self.current_epoch + 1 == number and index == 1:
                nothing = lambda *_: torch.tensor(torch.nan, requires_grad=True)  # noqa: E731
                patch.setattr(Loss, "__call__", nothing)
            return step(self, batch, index)

    monkeypatch.setattr(DefectClassifier, "training_step", spoilt)


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("defect-train: ")
    return line


def test_too_high_a_rate_ends_the_training(
    fit_args: list[str], run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*fit_args, "--model.optimizer.init_args.lr", "1e30"]) == 2
    line = error_line(capsys)
    assert "diverged at epoch 1, batch 2: the training loss is nan" in line
    assert "a lower learning rate than 1e+30, into another --out; no epoch was finished" in line
    assert not run.bundle.exists()
    assert not list(run.path.rglob("*.ckpt"))


@pytest.mark.parametrize("averaged", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_last_good_epoch_is_kept_and_the_same_command_says_what_happened(
    averaged: bool,
    fit_args: list[str],
    run: RunFolder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    args = [*fit_args, *(["--trainer.callbacks", json.dumps([EMA])] if averaged else [])]
    with monkeypatch.context() as patch:
        spoil_epoch(2, patch)
        assert main(args) == 2
    line = error_line(capsys)
    assert "diverged at epoch 2, batch 2: the training loss is nan" in line
    assert f"{run.best} is the last good one" in line
    assert not run.bundle.exists()
    assert read_checkpoint(run.best).epoch == read_checkpoint(run.last).epoch == 1
    assert main(args) == 2
    assert "this run diverged at epoch 2, batch 2" in error_line(capsys)
    out = tmp_path / "bundle"
    assert main(["export", "--checkpoint", str(run.best), "--out", str(out)]) == 0
    assert bundle.load(out).card.metrics["epoch"] == 1


def test_validation_that_is_not_finite_ends_the_training(
    fit_args: list[str],
    run: RunFolder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = DefectClassifier.forward

    def forward(self: DefectClassifier, crops: torch.Tensor) -> torch.Tensor:
        logits = answer(self, crops)
        return logits if self.training else logits - torch.inf

    monkeypatch.setattr(DefectClassifier, "forward", forward)
    assert main(fit_args) == 2
    assert "epoch 1, validation batch 1: the network's answer is not finite" in error_line(capsys)
    assert not run.best.exists()


def test_no_checkpoint_is_written_of_a_buffer_that_is_not_finite(
    fit_args: list[str],
    run: RunFolder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def spoil(self: DefectClassifier) -> None:
        self.network.conv1[1].running_var[0] = torch.inf

    monkeypatch.setattr(DefectClassifier, "on_train_epoch_end", spoil)
    assert main(fit_args) == 2
    line = error_line(capsys)
    assert "epoch 1, after its last batch: weights are not finite (network.conv1.1.run" in line
    assert not list(run.path.rglob("*.ckpt"))


def test_a_checkpoint_of_an_earlier_version_that_is_not_finite_is_refused(
    fit_args: list[str], run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*fit_args, "--trainer.max_epochs", "1"]) == 0
    content = torch.load(run.best, weights_only=True)
    content["state_dict"]["network.fc.bias"][0] = torch.nan
    torch.save(content, run.best)
    with pytest.raises(CheckpointError, match=r"best\.ckpt: .* not finite \(fc\.bias, …\)"):
        read_checkpoint(run.best)


def test_initial_weights_that_are_not_finite_are_refused(
    fit_args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = bundle.build_network(NET, 5).state_dict()
    state["fc.bias"][0] = torch.nan
    torch.save(state, tmp_path / "w.pth")
    assert main([*fit_args, "--model.weights", str(tmp_path / "w.pth")]) == 2
    assert "w.pth: weights that are not finite (fc.bias, …)" in error_line(capsys)


def test_answers_that_are_not_finite_are_no_result() -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.scale / images.mean(dim=(2, 3))

    crops = torch.zeros(3, 8, 8, 3, dtype=torch.uint8)
    crops[0] += 255
    unit = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    found: Floats = predict(Model(), *unit, [(crops[:1], torch.zeros(1, dtype=int))], "fp32")[0]
    np.testing.assert_allclose(found, 1)
    with pytest.raises(DivergedError, match="not finite for 2 of 3 crops"):
        predict(Model(), *unit, [(crops, torch.zeros(3, dtype=int))], "fp32")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ["--trainer.callbacks", json.dumps([{
                "class_path": "EarlyStopping",
                "init_args": {"monitor": "val/loss", "patience": 1, "min_delta": 100},
            }])],
            "after epoch 2 of 3: EarlyStopping on val/loss",
        ),
    ],
)  # fmt: skip
def test_a_training_that_ended_early_says_so(
    options: list[str],
    why: str,
    fit_args: list[str],
    run: RunFolder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    args = [*fit_args, *options]
    assert main(args) == 0
    captured = capsys.readouterr()
    assert f"training ended early, {why}\n" in captured.err
    assert json.loads(run.record.read_text("utf-8"))["ended_early"] == why
    assert bundle.read_card(run.bundle).metrics["ended_early"] == why
    assert captured.out.splitlines()[0].endswith(f"training ended early, {why}")


@pytest.mark.parametrize(
    ("batches", "why"),
    [
        (0, "before the first of 3 epochs: trainer.max_time was reached"),
        pytest.param(
            1,
            "in epoch 1 of 3, after 1 of its 2 batches: trainer.max_time was reached",
            marks=pytest.mark.slow,
        ),
        (4, "after epoch 2 of 3: trainer.max_time was reached"),
    ],
)
def test_time_that_is_up_is_said_again_when_the_bundle_has_to_be_written_anew(
    batches: int,
    why: str,
    fit_args: list[str],
    run: RunFolder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock that stands still until so many batches are trained, and then says 1000 s."""
    step, trained = DefectClassifier.training_step, []

    def counted(self: DefectClassifier, batch: Any, index: int) -> Any:
        trained.append(index)
        return step(self, batch, index)

    def elapsed(*_: object) -> float:
        return 0.0 if len(trained) < batches else 1000.0

    monkeypatch.setattr(DefectClassifier, "training_step", counted)
    monkeypatch.setattr(Timer, "time_elapsed", elapsed)
    args = [*fit_args, "--trainer.max_time", "00:00:05:00"]
    if not batches:
        assert main(args) == 2
        assert f"no epoch was trained and validated to its end ({why})" in error_line(capsys)
        return
    for _ in range(2):
        assert main(args) == 0
        captured = capsys.readouterr()
        assert f"training ended early, {why}\n" in captured.err
        assert json.loads(run.record.read_text("utf-8"))["ended_early"] == why
        assert bundle.read_card(run.bundle).metrics["ended_early"] == why
        assert len(trained) == batches
        shutil.rmtree(run.bundle)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to"), "smaller --data.batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "smaller --data.batch_size"),
        (MemoryError(), "smaller --data.batch_size"),
        (
            RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2_3>: No space"),
            "shared memory .* smaller --data.num_workers",
        ),
        (
            RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
            "smaller --data.num_workers",
        ),
        (OSError(24, "Too many open files"), "smaller --data.num_workers"),
    ],
)
def test_memory_that_runs_out_names_the_option(error: Exception, message: str) -> None:
    with (
        pytest.raises(MemoryShortError, match=message),
        memory_explained("--data.batch_size", "--data.num_workers"),
    ):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), OSError(28, "No space left")])
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)), memory_explained("a", "b"):
        raise error


def test_a_worker_that_dies_of_a_bus_error_is_one_line() -> None:
    class Dying(CropDataset):
        def __getitem__(self, item: Any) -> Any:
            os.kill(os.getpid(), signal.SIGBUS)

    crops: Any = SimpleNamespace(paths=(), labels=(), __len__=lambda: 2)
    dataset = Dying(crops)
    dataset.crops = [0, 0]  # type: ignore[assignment]
    with (
        pytest.raises(MemoryShortError, match=r"smaller --data\.num_workers, 0 to do without"),
        memory_explained("--data.batch_size", "--data.num_workers"),
    ):
        list(DataLoader(dataset, num_workers=1))
