"""Trials of a recipe's ranges, on a small dataset."""

from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from severstal_prep.alone import LOCK, alone
from sise.bundle import read_card
from training.classifier import DefectClassifier
from training.cli import main
from training.errors import RecipeError
from training.recipes import take_configs
from training.runs import RunFolder
from training.tune import best_value, plan

RECIPE: dict[str, Any] = {
    "monitor": "val/loss",
    "model": {
        "architecture": "shufflenet_v2_x0_5",
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.003}},
    },
    "data": {"batch_size": 8, "num_workers": 0, "cache": False},
    "trainer": {"max_epochs": 2, "precision": "32-true", "accelerator": "cpu"},
    "tune": {
        "model.optimizer.init_args.lr": {"low": "1e-4", "high": 0.01, "log": True},
        "data.sampler": {"choices": ["none", "balanced"]},
    },
}


@pytest.fixture
def args(tmp_path: Path, recast_root: Path) -> list[str]:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE), "utf-8")
    return ["--config", str(recipe), "--data.root", str(recast_root)]


def trials(folder: Path) -> list[Any]:
    study = optuna.load_study(study_name="tune", storage=f"sqlite:///{folder / 'study.db'}")
    return study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])


def test_every_range_is_an_option_before_anything_is_trained(args: list[str]) -> None:
    tuning = plan(take_configs(args))
    assert set(tuning.ranges) == set(RECIPE["tune"])
    assert (tuning.folder, tuning.direction) == (Path("runs/tiny-tune"), "minimize")
    options = tuning.options({"data.sampler": "balanced", "model.mixup": 0.25}, Path("a b"))
    assert options.options[-3:] == ("--data.sampler=balanced", "--model.mixup=0.25", "--out=a b")
    with pytest.raises(RecipeError, match=r"no option --model\.lr"):
        plan(take_configs([*args, "--tune", '{"model.lr": {"low": 1, "high": 2}}']))
    with pytest.raises(RecipeError, match="tune trains on one device"):
        plan(take_configs([*args, "--trainer.devices", "2"]))


def test_a_second_tuning_of_a_study_is_refused(
    args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "study"
    with alone(out):
        assert main(["tune", *args, "--out", str(out)]) == 2
        assert [path.name for path in out.iterdir()] == [LOCK]
    assert capsys.readouterr().err.startswith(f"defect-train: {out}: process ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trials", "0"], "--trials 0: give a whole number above 0"),
        (["--trials", "many"], "--trials many: give a whole number above 0"),
    ],
)
def test_wrong_options(
    options: list[str], message: str, args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", *args, *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupted_study_goes_on_as_if_it_never_was(
    args: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(["tune", *args, "--trials", "3", "--out", str(whole)]) == 0
    said = capsys.readouterr().out.splitlines()
    expected = trials(whole)
    assert len(expected) == 3
    assert len({trial.params["model.optimizer.init_args.lr"] for trial in expected}) == 3
    best = min(expected, key=lambda trial: trial.value)
    run = RunFolder(whole / f"trial-{best.number:03d}")
    assert said[0] == f"best of 3 trials: {run.path.name}, val/loss {best.value:.4f}"
    assert said[-2:] == [str(run.bundle), str(whole / "best.yaml")]
    assert best.value == pytest.approx(best_value(run))

    step, steps = DefectClassifier.training_step, []

    def interrupted(self: DefectClassifier, batch: Any, index: int) -> Any:
        steps.append(index)
        if len(steps) == 14:  # the second epoch of the second trial: 4 batches each
            raise KeyboardInterrupt
        return step(self, batch, index)

    args = ["tune", *args, "--trials", "3", "--out", str(broken)]
    with monkeypatch.context() as patch:
        patch.setattr(DefectClassifier, "training_step", interrupted)
        assert main(args) == 130
    assert main(args) == 0
    assert "resuming" in capsys.readouterr().err
    found = trials(broken)
    assert [(one.params, one.value) for one in found] == [
        (one.params, one.value) for one in expected
    ]
    assert sorted(path.name for path in broken.glob("trial-*"))[:2] == ["trial-000", "trial-001"]

    assert main([*args, "--data.batch_size", "4"]) == 2
    assert "holds a study with data.batch_size = 8, not 4" in capsys.readouterr().err
    again = ["fit", "--config", str(broken / "best.yaml"), "--out", str(tmp_path / "again")]
    assert main(again) == 0
    metrics = read_card(tmp_path / "again" / "bundle").metrics
    assert metrics["macro_recall"] == read_card(run.bundle).metrics["macro_recall"]
    assert "tune" not in yaml.safe_load((broken / "best.yaml").read_text("utf-8"))


@pytest.mark.slow
def test_a_trial_that_diverges_is_one_of_them(
    args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = '{"model.optimizer.init_args.lr": {"choices": [1e30]}}'
    options = ["--tune", wide, "--trials", "1", "--out", str(tmp_path / "study")]
    assert main(["tune", *args, *options]) == 2
    said = capsys.readouterr().err
    assert "trial-000: the training diverged at epoch 1, batch 2" in said
    assert "no trial came to its end; narrow the ranges" in said
