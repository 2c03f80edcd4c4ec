"""A training that is killed and started again ends with the weights of one that never was."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sise.bundle import read_card
from training.checkpoint import read_checkpoint, read_plain
from training.runs import CheckpointFiles, RunFolder

PROGRAM = str(Path(__file__).parent / "spoilt_fit.py")
RECIPE: dict[str, Any] = {
    "model": {
        "architecture": "mobilenet_v3_small",  # with dropout
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.003}},
        "schedule": {
            "class_path": "training.schedule.WarmupCosine",
            "init_args": {"warmup": 0.5},
        },
        "logit_adjustment": 1.0,
        "mixup": 0.2,
    },
    "data": {
        "batch_size": 8,
        "num_workers": 1,
        "sampler": "balanced",
        "augment": {"horizontal_flip": 0.5, "brightness": 0.1, "contrast": 0.1},
        "masking": {"black_out": 0.2, "alone": 0.1, "random": 0.3, "empty": 0.1},
    },
    "trainer": {
        "max_epochs": 3,
        "precision": "32-true",
        "accelerator": "cpu",
        "callbacks": [
            {
                "class_path": "pytorch_lightning.callbacks.EMAWeightAveraging",
                "init_args": {"decay": 0.9},
            }
        ],
    },
}

slow = pytest.mark.slow(minutes=1)


def run(root: Path, out: Path, spoil: dict[str, Any] | None = None) -> tuple[int, str]:
    """Exit code and stderr of a training in which something happens."""
    recipe = out.with_suffix(".yaml")
    recipe.write_text(yaml.safe_dump(RECIPE), "utf-8")
    args = ["fit", "--config", str(recipe), "--data.root", str(root), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, PROGRAM, *args],
        env={**os.environ, "SPOIL": json.dumps(spoil or {})},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, truth_root: Path) -> RunFolder:
    out = tmp_path_factory.mktemp("unbroken") / "run"
    code, noted = run(truth_root, out)
    assert code == 0, noted
    return RunFolder(out)


@slow
@pytest.mark.parametrize(
    ("spoil", "finished"),
    [
        ({"how": "SIGKILL", "epoch": 1, "batch": 2, "process": 0}, 1),
        ({"checkpoint": 3}, 1),  # best.ckpt of the second epoch, or its last.ckpt
        ({"checkpoint": 4}, 1),
    ],
)
def test_killed_and_started_again_equals_unbroken(
    spoil: dict[str, Any], finished: int, unbroken: RunFolder, truth_root: Path, tmp_path: Path
) -> None:
    broken = RunFolder(tmp_path / "run")
    code, noted = run(truth_root, broken.path, spoil)
    assert code == -9, noted
    assert read_checkpoint(broken.last).epoch in (finished, finished + 1)
    code, noted = run(truth_root, broken.path)
    assert code == 0, noted
    assert "resuming" in noted
    written = [run.bundle / "weights.safetensors" for run in (broken, unbroken)]
    assert written[0].read_bytes() == written[1].read_bytes()
    assert read_card(broken.bundle).metrics == read_card(unbroken.bundle).metrics
    assert not list(broken.checkpoints.glob(".*")), "the file cut short is gone"
    left, right = read_plain(broken.last), read_plain(unbroken.last)
    for part in ("state_dict", "current_model_state"):
        assert left[part].keys() == right[part].keys()
        assert all(torch.equal(left[part][name], right[part][name]) for name in left[part]), part


def test_a_checkpoint_that_could_not_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "checkpoints" / "last.ckpt"
    CheckpointFiles().save_checkpoint({"epoch": 1}, file)

    def full(self: Path, _: Any) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        CheckpointFiles().save_checkpoint({"epoch": 2}, file)
    assert torch.load(file) == {"epoch": 1}
    assert [path.name for path in file.parent.iterdir()] == ["last.ckpt"]
