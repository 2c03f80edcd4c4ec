"""Two processes train together, on the processor; slow, but for the arithmetic of their shares."""

import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy.special import log_softmax

from sise.bundle import read_card
from training import classifier as classifier_module
from training.checkpoint import read_checkpoint
from training.classifier import DefectClassifier
from training.crops import read_recast
from training.data import CropDataset, RecastDataModule, crop_loader
from training.errors import DivergedError, RecipeError
from training.evaluate import evaluate, predict
from training.options import check_shares, on_several_devices
from training.processes import is_first, lost_another, started
from training.runs import RunFolder

NET = "shufflenet_v2_x0_5"
PROGRAM = str(Path(__file__).parent / "spoilt_fit.py")
RECIPE: dict[str, Any] = {
    "model": {
        "architecture": NET,
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.003}},
    },
    "data": {"batch_size": 8, "num_workers": 0, "cache": True},
    "trainer": {
        "max_epochs": 2,
        "precision": "32-true",
        "accelerator": "cpu",
        "devices": 2,
        "callbacks": [
            {
                "class_path": "pytorch_lightning.callbacks.EMAWeightAveraging",
                "init_args": {"decay": 0.5},
            }
        ],
    },
}

slow = pytest.mark.slow(minutes=2)


def run(
    root: Path, out: Path, spoil: dict[str, Any] | None = None, *launcher: str
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a training with something in it."""
    recipe = out.with_suffix(".yaml")
    recipe.write_text(yaml.safe_dump(RECIPE), "utf-8")
    seen = out.with_name("seen")
    seen.mkdir(exist_ok=True)
    args = ["fit", "--config", str(recipe), "--data.root", str(root), "--out", str(out)]
    environment = {**os.environ, "SPOIL": json.dumps(spoil or {}), "SEEN": str(seen)}
    done = subprocess.run(
        [sys.executable, *launcher, PROGRAM, *args],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def state(file: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(file).network.state_dict()


def same_weights(one: RunFolder, two: RunFolder) -> bool:
    left, right = state(one.last), state(two.last)
    return all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, recast_root: Path) -> SimpleNamespace:
    """An unbroken training on two devices, what it said, and which crops each process read."""
    out = tmp_path_factory.mktemp("two devices") / "run"
    code, said, noted = run(recast_root, out)
    assert code == 0, noted
    seen = []
    for process in (0, 1):
        text = (out.parent / "seen" / f"{process}.txt").read_text("utf-8")
        rows = [line.split() for line in text.splitlines()]
        seen.append(
            [[int(i) for _, i in group] for _, group in groupby(rows, key=lambda row: row[0])]
        )
    return SimpleNamespace(run=RunFolder(out), said=said, noted=noted, seen=seen)


@slow
def test_every_crop_is_shown_once_an_epoch_over_both_processes(whole: SimpleNamespace) -> None:
    first, second = whole.seen
    for epoch in (0, 1):
        assert sorted(first[2 * epoch] + second[2 * epoch]) == list(range(26))
        mine = first[2 * epoch + 1][:6]  # after the last epoch, the first reads all to calibrate
        assert sorted(mine + second[2 * epoch + 1]) == list(range(11))
    assert first[0] + second[0] != first[2] + second[2], "another order in each epoch"


@slow
def test_metrics_are_those_of_one_process(whole: SimpleNamespace, recast_root: Path) -> None:
    """The last epoch's, by the library's plain evaluation of what was saved after it."""
    log = pd.read_csv(whole.run.path / "logs" / "version_0" / "metrics.csv")
    last = log.groupby("epoch").max().loc[1]
    checkpoint, recast = read_checkpoint(whole.run.last), read_recast(recast_root)
    plan = checkpoint.blueprint
    batches = crop_loader(CropDataset(recast.crops("val")), 11, 0)
    logits, labels = predict(checkpoint.network, plan.mean, plan.std, batches, "fp32")
    expected = evaluate(logits, labels, plan.classes)
    assert last["val/top1"] == pytest.approx(expected.top1)
    assert last["val/macro_recall"] == pytest.approx(expected.macro_recall)
    loss = -log_softmax(logits, axis=1)[np.arange(11), labels].mean()
    assert last["val/loss"] == pytest.approx(loss, rel=1e-4)
    best = log["val/macro_recall"].max()
    assert read_card(whole.run.bundle).metrics["macro_recall"] == pytest.approx(best)


@slow
def test_one_process_writes_and_speaks(whole: SimpleNamespace) -> None:
    lines = whole.noted.splitlines()
    said = [line.split(",")[0] for line in lines if line.startswith("epoch ")]
    assert said == ["epoch 1/2", "epoch 2/2"]
    assert sum("M parameters) on 2 × cpu, 32-true; 26 training" in line for line in lines) == 1
    assert len(lines) == len(set(lines)), whole.noted
    assert "Warning" not in whole.noted
    assert whole.said.splitlines()[-1] == str(whole.run.bundle)
    assert whole.said.count("validation: ") == 1
    assert [path.name for path in (whole.run.path / "logs").iterdir()] == ["version_0"]
    assert json.loads(whole.run.record.read_text("utf-8"))["processes"] == 2


@slow
@pytest.mark.parametrize(("how", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGKILL", -9)])
def test_broken_off_and_resumed_equals_unbroken(
    how: str, code: int, whole: SimpleNamespace, recast_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    spoil = {"how": how, "epoch": 1, "batch": 1, "process": 0}
    found, _, noted = run(recast_root, out, spoil)
    assert found == code, noted
    assert "Traceback" not in noted
    found, _, noted = run(recast_root, out)
    assert found == 0, noted
    assert "resuming" in noted
    assert same_weights(whole.run, RunFolder(out))


@slow
def test_a_loss_that_is_lost_in_one_process_ends_both_and_is_said_once(
    recast_root: Path, tmp_path: Path
) -> None:
    spoil = {"how": "nan", "epoch": 1, "batch": 1, "process": 1}
    code, _, noted = run(recast_root, tmp_path / "run", spoil)
    assert code == 2
    assert noted.count("diverged at epoch 2, batch 2 of process 2: the training loss is nan") == 1
    assert "Traceback" not in noted
    kept = RunFolder(tmp_path / "run")
    assert read_checkpoint(kept.last).epoch == 1


@slow
def test_what_ends_one_process_is_said_and_ends_the_other(
    recast_root: Path, tmp_path: Path
) -> None:
    spoil = {"how": "error", "epoch": 0, "batch": 1, "process": 1}
    code, _, noted = run(recast_root, tmp_path / "run", spoil)
    assert code == 2
    assert noted.count("defect-train: crops/7.png: cannot be read\n") == 1
    assert noted.count("defect-train: another process of this training ended, so all did") == 1
    assert "Traceback" not in noted


@slow
def test_torchrun_starts_the_same_training(
    whole: SimpleNamespace, recast_root: Path, tmp_path: Path
) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    code, _, noted = run(recast_root, tmp_path / "run", None, *torchrun)
    assert code == 0, noted
    assert same_weights(whole.run, RunFolder(tmp_path / "run"))


def loaders(root: Path, processes: int, **options: Any) -> list[Any]:
    """A data module for each of the processes."""
    modules = []
    for rank in range(processes):
        data = RecastDataModule(root, num_workers=0, cache=True, **options)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=processes)  # type: ignore[assignment]
        data.setup("fit")
        modules.append(data)
    return modules


def test_classes_keep_their_balance_over_processes(recast_root: Path) -> None:
    one, *_ = loaders(recast_root, 1, batch_size=8, sampler="balanced", epoch_crops=25)
    both = loaders(recast_root, 2, batch_size=8, sampler="balanced", epoch_crops=25)
    whole = list(one.train_dataloader())
    shares = [list(data.train_dataloader()) for data in both]
    assert [len(batches) for batches in shares] == [3, 3], "the 25th crop joins the batch before"
    shown = torch.cat([labels for batches in shares for _, labels in batches])
    assert torch.bincount(shown).tolist() == [5] * 5
    for (_, labels), (_, left), (_, right) in zip(whole[:2], *shares, strict=False):
        assert torch.equal(labels[0::2], left)
        assert torch.equal(labels[1::2], right)
    images = [
        torch.cat([crops for crops, _ in batches]) for batches in (whole, [*shares[0], *shares[1]])
    ]
    totals = [crops.flatten(1).sum(1).sort().values for crops in images]
    assert torch.equal(*totals), "augmented as in one process"


def test_uneven_shares_count_by_their_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses 1, 2, 3 in one process and 6 in the other: 3 is their mean, not (2 + 6) / 2."""
    everywhere = torch.tensor([[2.0, 3.0], [6.0, 1.0]], dtype=torch.float64)
    monkeypatch.setattr(classifier_module, "of_all", lambda _: everywhere)
    model = DefectClassifier(NET)
    shares = [model._share(torch.tensor(loss), int(n), 0) for loss, n in everywhere.tolist()]
    assert (2 * shares[0] + 6 * shares[1]) / 2 == pytest.approx(3)
    everywhere[1, 0] = torch.inf
    model._trainer = SimpleNamespace(current_epoch=0)
    with pytest.raises(DivergedError, match=r"epoch 1, batch 5 of process 2: .* loss is inf"):
        model._share(torch.tensor(2.0), 3, 4)


@pytest.mark.parametrize(
    ("environment", "processes", "first"),
    [
        ({}, 1, True),
        ({"RANK": "3"}, 1, True),  # somebody's variable
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, 1, True),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, 1, False),
        ({"LOCAL_RANK": "0", "RANK": "2", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "a"}, 4, False),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8"}, 8, True),
        ({"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8"}, 8, False),
    ],
)
def test_who_is_first(
    environment: dict[str, str], processes: int, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (started(), is_first()) == (processes, first)


def test_too_few_crops_for_the_devices() -> None:
    check_shares(4, 4, 4, 4)
    with pytest.raises(RecipeError, match=r"data\.batch_size has 3 crops for 4 devices"):
        check_shares(4, 3, 100, 100)
    with pytest.raises(RecipeError, match="the validation split has 2 crops for 4 devices"):
        check_shares(4, 64, 100, 2)


@pytest.mark.parametrize(
    ("devices", "nodes", "several"),
    [(1, 1, False), ("1", 1, False), ([3], 1, False), (2, 1, True), ("auto", 1, True),
     (-1, 1, True), ([0, 1], 1, True), (1, 2, True)],
)  # fmt: skip
def test_what_means_several_devices(devices: Any, nodes: int, several: bool) -> None:
    assert on_several_devices(SimpleNamespace(devices=devices, num_nodes=nodes)) is several


def test_the_end_of_another_process_is_known_by_its_words() -> None:
    assert lost_another(RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer"))
    assert lost_another(torch.distributed.DistBackendError("NCCL"))
    assert not lost_another(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
