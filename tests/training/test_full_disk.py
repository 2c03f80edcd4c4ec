"""A full disk is one line that names the run folder, and leaves what was good."""

from pathlib import Path
from typing import Any

import pytest
from lightning_fabric.loggers.csv_logs import _ExperimentWriter
from tensorboard.summary.writer.record_writer import RecordWriter

from sise import bundle
from training.cli import main
from training.runs import RunFolder


def full(*_: Any, **__: Any) -> None:
    """What the system says when something is written to a full disk."""
    with Path("/dev/full").open("wb", buffering=0) as disk:
        disk.write(b"x")


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (Path, "write_bytes"),
        pytest.param(_ExperimentWriter, "save", marks=pytest.mark.slow),
        pytest.param(RecordWriter, "write", marks=pytest.mark.slow),
        pytest.param(bundle, "save", marks=pytest.mark.slow),
        pytest.param(RunFolder, "start", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_one_line(
    where: Any,
    name: str,
    recast_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "run"
    args = ["fit", "--config", "demo", "--data.root", str(recast_root), "--out", str(out)]
    small = ["--model.weights", "none", "--data.epoch_crops", "32", "--trainer.max_epochs", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(where, name, full)
        assert main([*args, *small]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line == f"defect-train: {out}: no space is left there; free some, or name another place"
    assert main([*args, *small]) == 0, "the same command goes on, once there is space"
