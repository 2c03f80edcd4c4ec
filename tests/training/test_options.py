"""Options that cannot work are one line, before anything is trained."""

import json
import sys
from pathlib import Path

import lightning_fabric.accelerators.cuda
import pytest
import pytorch_lightning.accelerators.cuda

from training.cli import main


def stopping(**options: object) -> str:
    return json.dumps([{"class_path": "EarlyStopping", "init_args": options}])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.max_steps", "2"], "trainer.max_steps cannot be used"),
        (["--trainer.max_epochs", "0"], "trainer.max_epochs must be 1 or more"),
        (["--trainer.limit_val_batches", "0"], "trainer.limit_val_batches cannot be 0"),
        (["--trainer.limit_val_batches", "0.0"], "trainer.limit_val_batches cannot be 0"),
        (["--trainer.limit_train_batches", "0"], "trainer.limit_train_batches cannot be 0"),
        (["--trainer.check_val_every_n_epoch", "99"], "check_val_every_n_epoch must be 1 to 2"),
        (["--trainer.val_check_interval", "100"], "val_check_interval must be a share"),
        (["--trainer.barebones", "true"], "trainer.barebones writes no checkpoint"),
        (["--trainer.fast_dev_run", "true"], "trainer.fast_dev_run writes no checkpoint"),
        (["--trainer.enable_checkpointing", "false"], "enable_checkpointing cannot be false"),
        (["--trainer.devices", "4"], "only the command defect-train fit trains on several"),
        (["--trainer.num_nodes", "2"], "only the command defect-train fit trains on several"),
        (["--trainer.use_distributed_sampler", "true"], "use_distributed_sampler cannot be true"),
        (
            ["--model.optimizer.init_args.lr", ".nan"],
            "model.optimizer.init_args.lr is nan; give a finite number",
        ),
        (["--model.logit_adjustment", ".inf"], "model.logit_adjustment is inf; give a finite"),
        (
            ["--model.optimizer.init_args.lr", "-1"],
            "model.optimizer: Invalid learning rate: -1",
        ),
        (["--trainer.accelerator", "foo"], "invalid accelerator name"),
        (
            ["--trainer.callbacks", stopping(monitor="val_loss")],
            "EarlyStopping: monitor 'val_loss' is never logged; logged are train/loss, val/loss, "
            "val/top1, val/macro_recall, learning_rate; did you mean val/loss?",
        ),
        (
            ["--trainer.callbacks", stopping(monitor="val/macro_recall")],
            "EarlyStopping: val/macro_recall is best at its maximum; set mode: max",
        ),
    ],
)
def test_options_that_cannot_work(
    options: list[str],
    message: str,
    recast_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    args = ["fit", "--config", "demo", "--data.root", str(recast_root), "--out", str(out)]
    assert main([*args, *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("gpus", "devices", "message"),
    [
        (0, "1", "give --trainer.accelerator auto or cpu\n"),
        (
            1,
            "2",
            "only has: [0]; give --trainer.accelerator auto or cpu, or other --trainer.devices",
        ),
    ],
)
def test_a_gpu_that_is_not_there(
    gpus: int,
    devices: str,
    message: str,
    recast_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (lightning_fabric.accelerators.cuda, pytorch_lightning.accelerators.cuda):
        monkeypatch.setattr(module, "num_cuda_devices", lambda: gpus)
    monkeypatch.setattr(sys, "argv", ["defect-train", "fit"])
    args = [
        "fit",
        "--config",
        "demo",
        "--data.root",
        str(recast_root),
        "--out",
        str(tmp_path / "run"),
    ]
    assert main([*args, "--trainer.accelerator", "gpu", "--trainer.devices", devices]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error, error
