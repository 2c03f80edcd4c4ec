from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from training.configuration import FitCLI
from training.masking import Masking
from training.recipes import take_configs
from training.runs import RunCheckpoint
from training.schedule import WarmupCosine

NET = ["--model.architecture", "shufflenet_v2_x0_5"]


@pytest.fixture(autouse=True)
def determinism_given_back() -> Iterator[None]:
    """A trainer switches it on for the process; `fit` restores it, a bare FitCLI does not."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def configure(recast_root: Path, tmp_path: Path):
    """A FitCLI for the recipe demo with further options, in an empty run folder."""

    def configured(*options: str) -> FitCLI:
        args = ["--config", "demo", "--data.root", str(recast_root), "--out", str(tmp_path / "run")]
        return FitCLI(take_configs([*args, *NET, *options]))

    return configured


def test_seed_orders_the_crops_too(configure) -> None:
    assert configure("--seed_everything", "7").datamodule.seed == 7
    assert configure("--seed_everything", "0").datamodule.seed == 0


def test_normalisation_follows_the_network_or_is_given(configure) -> None:
    lite = ["--model.architecture", "timm:tf_efficientnet_lite0", "--model.weights", "none"]
    assert configure(*lite, "--data.normalization", "imagenet").datamodule.mean == (0.5, 0.5, 0.5)
    given = configure("--data.normalization", "[[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]")
    assert (given.datamodule.mean, given.datamodule.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert "architecture" not in given.config_text.partition("data:")[2]  # once, under model


def test_seed_decides_the_first_weights(configure) -> None:
    one, same, other = (
        configure("--seed_everything", seed).model.network.fc.weight for seed in ("0", "0", "1")
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_recipe_reaches_its_objects(configure) -> None:
    cli = configure("--model.schedule.init_args.warmup", "3")
    assert cli.model.schedule == WarmupCosine(warmup=3)
    optimizer = cli.model.build_optimizer(cli.model.parameters())
    assert isinstance(optimizer, torch.optim.AdamW)
    assert cli.datamodule.augment.horizontal_flip == 0.5


def test_masking_is_an_option(configure) -> None:
    assert not configure().datamodule.masking
    options = ["--data.masking.black_out", "0.2", "--data.masking.fill"]
    assert configure(*options, "[mean, level]").datamodule.masking == Masking(
        black_out=0.2, fill=("mean", "level")
    )
    assert configure(*options, "blur").datamodule.masking.fills == ("blur",)


@pytest.mark.parametrize(
    ("monitor", "mode"), [("val/loss", "min"), ("val/top1", "max"), ("val/macro_recall", "max")]
)
def test_best_checkpoint_follows_the_monitor(configure, monitor: str, mode: str) -> None:
    callbacks = configure("--monitor", monitor).trainer.callbacks
    best, last = (callback for callback in callbacks if isinstance(callback, RunCheckpoint))
    assert (best.filename, best.monitor, best.mode) == ("best", monitor, mode)
    assert (last.filename, last.monitor) == ("last", None)


def test_precision_is_the_fastest_unless_chosen(configure, monkeypatch) -> None:
    for has, precision in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr("training.configuration.has_bfloat16", lambda _, has=has: has)
        assert configure("--trainer.accelerator", "cpu").trainer.precision == precision
    assert configure("--trainer.precision", "32-true").trainer.precision == "32-true"


def test_run_folder_is_named_by_the_recipe(recast_root: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    cli = FitCLI(take_configs(["--config", "demo", "--data.root", str(recast_root), *NET]))
    assert cli.run.path == Path("runs/demo")
    assert not (tmp_path / "runs").exists(), "nothing is written before training starts"


def test_costs_and_risk_are_options_and_entries_of_a_recipe(configure, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "costs: {escape: 100, overkill: 1, class 3: {escape: 500}}\nrisk: 0.01\n", "utf-8"
    )
    told = configure("--costs", "escape=100,overkill=1,class 3.escape=500", "--risk", "0.01")
    written = configure("--config", str(mine))
    assert told.decision_options == written.decision_options
    assert told.decision_options.costs is not None
    assert told.decision_options.costs.escape["class 3"] == 500
    assert told.decision_options.risk == 0.01
    again = yaml.safe_load(told.config_text)
    assert again["costs"] == {"escape": 100, "overkill": 1, "class 3.escape": 500}
    neither = configure().decision_options
    assert (neither.costs, neither.risk) == (None, 0.02)
