"""defect-train where datasets, runs and bundles are in a bucket."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load

from training import fit
from training.cli import main

RECIPE = {
    "model": {
        "architecture": "shufflenet_v2_x0_5",
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.003}},
        "schedule": {"class_path": "training.schedule.WarmupCosine", "init_args": {"warmup": 1}},
    },
    "data": {"root": "s3://steel/recast", "batch_size": 8, "num_workers": 0},
    "trainer": {"max_epochs": 1, "precision": "32-true"},
    "out": "s3://steel/run",
}


@pytest.fixture
def plant(bucket: Any, recast_root: Path) -> Any:
    """The bucket, with a recast dataset."""
    bucket.put(recast_root, "recast")
    return bucket


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    """A recipe in which dataset and run folder are addresses."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE), "utf-8")
    return str(path)


def test_a_training_works_on_copies(
    plant: Any, recast_root: Path, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(cli: Any) -> None:
        assert contents(cli.datamodule.root) == contents(recast_root)
        assert "root: s3://steel/recast" in cli.config_text
        cli.run.start(cli.config_text, {"begun": True})
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "train", interrupted)
    assert main(["fit", "--config", recipe]) == 130
    assert json.loads(plant.read("run/run.json")) == {"begun": True}
    assert plant.keys("run/").keys() == {"run.json", "config.yaml"}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_a_training_that_was_interrupted_goes_on_elsewhere(
    plant: Any,
    recast_root: Path,
    recipe: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fit, "finish", interrupted)
        assert main(["fit", "--config", recipe]) == 130
    run = plant.keys("run/")
    assert "checkpoints/last.ckpt" in run
    assert not [key for key in run if key.startswith("bundle/")]
    capsys.readouterr()

    monkeypatch.setenv("STEEL_CACHE", str(tmp_path / "another machine"))
    assert main(["fit", "--config", recipe]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "s3://steel/run/bundle"
    assert "resuming" in printed.err
    assert str(tmp_path / "another machine") not in printed.out + printed.err
    assert plant.keys("run/")["checkpoints/best.ckpt"] == run["checkpoints/best.ckpt"]
    assert yaml.safe_load(plant.read("run/config.yaml"))["data"]["root"] == "s3://steel/recast"
    here = ("--data.root", str(recast_root), "--out", str(tmp_path / "here"))
    assert main(["fit", "--config", recipe, *here]) == 0
    there, local = (
        load(content)
        for content in (
            plant.read("run/bundle/weights.safetensors"),
            (tmp_path / "here" / "bundle" / "weights.safetensors").read_bytes(),
        )
    )
    assert there.keys() == local.keys()
    assert all(bool((there[name] == local[name]).all()) for name in there)

    bundle = plant.keys("run/bundle/")
    test = ("test", "--data.root", "s3://steel/recast", "--num-workers", "0")
    assert main([*test, "--run", "s3://steel/run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "s3://steel/run/test"
    results = json.loads(plant.read("run/test/test.json"))
    assert results["dataset_card_sha256"] == plant.sha256("recast/")["dataset.json"]
    assert plant.keys("run/bundle/") == bundle
    assert main([*test, "--bundle", "s3://steel/run/bundle"]) == 2
    told = "defect-train: --bundle is an address: give --out, too, for the results"
    assert capsys.readouterr().err.splitlines()[-1] == told

    checkpoint = ("--checkpoint", "s3://steel/run/checkpoints/best.ckpt")
    assert main(["export", *checkpoint, "--out", "s3://steel/exported"]) == 0
    assert load(plant.read("exported/weights.safetensors")).keys() == there.keys()

    weights = ("--model.weights", "s3://steel/run/bundle/weights.safetensors")
    again = ("--trainer.limit_train_batches", "1", "--out", str(tmp_path / "again"))
    assert main(["fit", "--config", recipe, *weights, *again]) == 0
    config = yaml.safe_load((tmp_path / "again" / "config.yaml").read_text("utf-8"))
    assert config["model"]["weights"] == "s3://steel/run/bundle/weights.safetensors"


def test_several_processes_of_others_need_a_folder(
    plant: Any, recipe: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert main(["fit", "--config", recipe]) == 2
    assert "--out is an address, where torchrun or srun" in capsys.readouterr().err
    assert plant.keys("run/") == {}
