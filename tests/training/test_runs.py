import json
from pathlib import Path

import pytest
import torch

from severstal_prep.alone import LOCK
from training.errors import RunFolderError
from training.runs import RunCheckpoint, RunFolder, first_difference

CONFIG = {"out": "a", "data": {"root": "r", "batch_size": 4, "num_workers": 0}, "model": {"x": []}}
TEXT = "out: a\ndata:\n  root: r\n  batch_size: 4\n  num_workers: 0\nmodel: {x: []}\n"


def started(path: Path, finished: bool = False, trained: bool = False) -> RunFolder:
    run = RunFolder(path)
    run.start(TEXT, {"dataset_card_sha256": "abc"})
    if trained:
        run.checkpoints.mkdir()
        run.last.touch()
    if finished:
        run.bundle.mkdir()
        (run.bundle / "model.json").touch()
    return run


def test_absent_and_empty_folders_are_new(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "x").state(CONFIG, "abc") == "new"
    assert RunFolder(tmp_path).state(CONFIG, "abc") == "new"


def test_what_a_start_leaves_that_was_killed_before_its_first_file_is_new(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("{}")
    (tmp_path / ".run.json.partial").write_text("{")
    assert RunFolder(tmp_path).state(CONFIG, "abc") == "new"


def test_states_of_a_run(tmp_path: Path) -> None:
    assert started(tmp_path / "a").state(CONFIG, "abc") == "new"
    assert started(tmp_path / "b", trained=True).state(CONFIG, "abc") == "interrupted"
    assert started(tmp_path / "c", trained=True, finished=True).state(CONFIG, "abc") == "finished"


def test_start_that_trained_nothing_is_no_obstacle(tmp_path: Path) -> None:
    other = {**CONFIG, "model": {"x": [1]}}
    assert started(tmp_path).state(other, "def") == "new"


@pytest.mark.parametrize("finished", [True, False])
def test_another_run_is_not_overwritten(tmp_path: Path, finished: bool) -> None:
    run = started(tmp_path / "a", trained=True, finished=finished)
    other = {**CONFIG, "data": {**CONFIG["data"], "batch_size": 8}}
    with pytest.raises(RunFolderError, match=r"holds a run with data\.batch_size = 4, not 8; give"):
        run.state(other, "abc")
    with pytest.raises(RunFolderError, match="holds a run on another dataset"):
        run.state(CONFIG, "def")


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(RunFolderError, match="not empty, and no run of defect-train fit"):
        RunFolder(tmp_path).state(CONFIG, "abc")


def test_record_is_json(tmp_path: Path) -> None:
    run = started(tmp_path / "new" / "тест")
    assert json.loads(run.record.read_text("utf-8")) == {"dataset_card_sha256": "abc"}
    assert run.config.read_text("utf-8") == TEXT


@pytest.mark.parametrize(
    ("now", "difference"),
    [
        ({}, "a.b = 1, not None"),
        ({"a": {"b": 1}, "out": "elsewhere"}, None),
        ({"a": {"b": 1}, "data": {"root": "x", "num_workers": 7, "cache": True}}, None),
        ({"a": {"b": 1}, "data": {"root": "x", "cache_dir": "y"}}, None),
        ({"a": {"b": 1}, "data": {"roots": "x"}}, "data.roots = None, not x"),
        ({"a": {"b": 1}, "c": {"d": {"e": 0}}}, "c.d.e = None, not 0"),
    ],
)
def test_first_difference(now: dict, difference: str | None) -> None:
    assert first_difference({"a": {"b": 1}}, now) == difference


def test_best_epoch_is_remembered_when_the_folder_was_moved(tmp_path: Path) -> None:
    before = RunCheckpoint(tmp_path / "old" / "best.ckpt", "val/top1", "max")
    before.best_model_path = str(tmp_path / "old" / "best.ckpt")
    before.kth_best_model_path = before.best_model_path
    before.best_model_score = before.kth_value = torch.tensor(0.8)
    before.best_k_models = {before.best_model_path: before.best_model_score}
    after = RunCheckpoint(tmp_path / "new" / "best.ckpt", "val/top1", "max")
    after.load_state_dict(before.state_dict())
    moved = str((tmp_path / "new" / "best.ckpt").resolve())
    assert after.best_k_models == {moved: torch.tensor(0.8)}
    assert (after.best_model_path, after.kth_best_model_path) == (moved, moved)
    assert after.best_model_score == torch.tensor(0.8)
