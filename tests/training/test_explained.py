"""Maps of validation crops while a classifier learns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from inspection.pipeline.settings import SiseOptions
from sise.bundle import load, read_card
from sise.metrics import ebpg
from training.checkpoint import read_checkpoint
from training.cli import main
from training.crops import read_recast
from training.data import normalise
from training.errors import RecipeError
from training.explained import Explain, chosen, explainer_of, read_shown
from training.runs import RunFolder

CLASSES = ("normal", "class 1", "class 2", "class 3", "class 4")
RECIPE: dict[str, Any] = {
    "model": {
        "architecture": "shufflenet_v2_x0_5",
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.003}},
    },
    "data": {"batch_size": 8, "num_workers": 0, "cache": True},
    "trainer": {"max_epochs": 1, "precision": "32-true", "accelerator": "cpu"},
    "explain": {"every": 1, "crops": 3, "budget": 10},
}
EMA = {"class_path": "pytorch_lightning.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.9}}


@pytest.fixture
def args(tmp_path: Path, truth_root: Path) -> list[str]:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE), "utf-8")
    return ["fit", "--config", str(recipe), "--data.root", str(truth_root), "--out"]


def test_crops_are_of_all_defect_classes_in_turn_and_the_same_each_time() -> None:
    labels = np.repeat([0, 1, 2, 4], [50, 30, 1, 9])
    places = chosen(labels, CLASSES, 8, seed=3)
    assert labels[places].tolist() == [1, 2, 4, 1, 4, 1, 4, 1]
    assert len(set(places)) == 8
    assert places == chosen(labels, CLASSES, 8, seed=3)
    assert places != chosen(labels, CLASSES, 8, seed=4)
    assert len(chosen(labels, CLASSES, 99, seed=0)) == 40, "as many as there are"
    assert 0 in labels[chosen(labels, ("crack", "b", "c", "d", "e"), 8, 0)], "no class is normal"


def test_crops_are_explained_as_inspection_does() -> None:
    explainer = explainer_of(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), budget=98)
    options = SiseOptions()
    for name in ("fill", "context", "evidence", "fusion", "budget"):
        assert getattr(explainer, name) == getattr(options, name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": -1}, r"explain\.every must be 0 or more"),
        ({"crops": 0}, r"explain\.crops must be 1 or more"),
        ({"budget": 3}, r"explain\.budget must be 4 passes or more"),
        ({"weight": 1.0}, r"explain\.weight must be above 0 and below 1"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Explain(**options)


def test_maps_and_their_ebpg_are_logged_and_choose_the_epoch(
    args: list[str], tmp_path: Path, truth_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures against the bundle's network, explained here."""
    out = tmp_path / "run"
    mixture = ["--monitor", "val/mixture", "--explain.weight", "0.25"]
    assert main([*args, str(out), *mixture, "--trainer.callbacks", json.dumps([EMA])]) == 0
    noted = capsys.readouterr().err
    assert "3 validation crops are explained at each validation, by up to 30 forward" in noted
    log = pd.read_csv(out / "logs" / "version_0" / "metrics.csv").max()
    network = load(out / "bundle").model.network.eval()
    plan = read_checkpoint(RunFolder(out).best).blueprint
    found = []
    shown = read_shown(read_recast(truth_root).crops("val"), CLASSES, 3, seed=0)
    for one in shown:
        assert one.truth is not None
        assert one.truth.sum() == 16 * 16
        images = normalise(torch.from_numpy(np.array(one.pixels))[None], plan.mean, plan.std)
        maps = explainer_of(network, 10)(images, target=one.label).maps
        found.append(ebpg(maps, torch.from_numpy(one.truth)[None]).nan_to_num().item())
    assert log["val/ebpg"] == pytest.approx(np.mean(found), rel=1e-3)
    recall = read_card(out / "bundle").metrics["macro_recall"]
    assert log["val/mixture"] == pytest.approx(0.75 * recall + 0.25 * np.mean(found), rel=1e-3)
    events = EventAccumulator(str(out / "logs" / "version_0"), size_guidance={"images": 0})
    events.Reload()
    assert sorted(events.Tags()["images"]) == sorted(f"maps/{one.name}" for one in shown)
    (picture,) = events.Images(f"maps/{shown[0].name}")
    assert (picture.height, picture.width) == (64, 128), "the crop, and its map over it"


def test_a_mixture_without_masks_is_refused_before_anything_is_written(
    args: list[str], tmp_path: Path, recast_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ["--monitor", "val/mixture", "--data.root", str(recast_root)]
    assert main([*args, str(out), *options]) == 2
    assert "monitor val/mixture needs masks of defects, and " in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.parametrize("callbacks", [[], [EMA]])
def test_explaining_changes_nothing_of_the_training(
    callbacks: list[Any], args: list[str], tmp_path: Path
) -> None:
    """With batch norm and dropout."""
    same = ["--model.architecture", "mobilenet_v3_small", "--trainer.max_epochs", "3"]
    same += ["--trainer.callbacks", json.dumps(callbacks), "--data.augment.brightness", "0.1"]
    runs = []
    for every in ("0", "1"):
        runs.append(RunFolder(tmp_path / every))
        assert main([*args, str(runs[-1].path), *same, "--explain.every", every]) == 0
    plain, seen = (torch.load(run.last, weights_only=True) for run in runs)
    for part in {"state_dict", "current_model_state"} & plain.keys():
        assert all(torch.equal(plain[part][name], seen[part][name]) for name in plain[part])
    plain_card, seen_card = (read_card(run.bundle) for run in runs)
    assert plain_card.metrics == seen_card.metrics
