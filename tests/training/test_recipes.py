from pathlib import Path

import pytest
import yaml

from severstal_prep import remote
from training.errors import RecipeError
from training.recipes import (
    essentials,
    recipe_names,
    recipe_path,
    take_configs,
    with_addresses,
)


def test_packaged_recipes() -> None:
    assert recipe_names() == ("demo", "paper", "strong")
    for name in recipe_names():
        assert yaml.safe_load(recipe_path(name).read_text("utf-8"))["seed_everything"] == 0


def test_paper_is_the_papers_recipe() -> None:
    recipe = yaml.safe_load(recipe_path("paper").read_text("utf-8"))
    assert recipe["model"]["architecture"] == "resnet101"
    assert recipe["model"]["optimizer"]["class_path"] == "torch.optim.SGD"
    assert recipe["model"]["optimizer"]["init_args"]["lr"] == 0.1
    assert recipe["model"]["schedule"]["init_args"] == {"every": 5, "gamma": 0.5}
    assert recipe["model"]["logit_adjustment"] == recipe["model"]["label_smoothing"] == 0
    assert recipe["trainer"]["max_epochs"] == 40
    assert "augment" not in recipe["data"]
    assert recipe["data"]["sampler"] == "none"


def test_file_and_unknown_name(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.touch()
    assert recipe_path(str(mine)) == mine
    with pytest.raises(RecipeError, match="no such recipe or file; recipes: demo, paper, strong"):
        recipe_path("papre")


def test_configs_are_parted_from_options() -> None:
    found = take_configs(
        ["--a", "1", "--config", "demo", "--b=2", "--config=paper", "-c", "strong"]
    )
    assert [path.stem for path in found.configs] == ["demo", "paper", "strong"]
    assert found.options == ("--a", "1", "--b=2")
    assert found.name == "demo"


@pytest.mark.parametrize("args", [[], ["--out", "x"]])
def test_config_is_needed(args: list[str]) -> None:
    with pytest.raises(RecipeError, match="fit needs --config RECIPE: demo, paper, strong, or a"):
        take_configs(args)


def test_config_without_a_value() -> None:
    with pytest.raises(RecipeError, match="no such recipe or file"):
        take_configs(["--config"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("model: {a: [", "not readable as YAML"),
        ("- model", "expected `name: value` entries"),
        ("trainer: {max_epochs: 1}\ntrainer: {max_epochs: 2}", "trainer: stands twice"),
        ("model: {optimizer: {init_args: {lr: .nan}}}", "init_args, lr: not a finite number"),
        ("a: " + "[" * 100, "nested deeper than 50 levels"),
        ("1: x", "the name 1 is no text"),
    ],
)
def test_a_recipe_that_is_no_plain_yaml(tmp_path: Path, text: str, complaint: str) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    with pytest.raises(RecipeError, match=complaint) as caught:
        take_configs(["--config", str(mine)])
    assert str(caught.value).startswith(f"{mine}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["--model {}", "--data={}", "--trainer {}"])
def test_a_file_of_a_group_is_looked_at_too(tmp_path: Path, form: str) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("a: &a [*a]")
    with pytest.raises(RecipeError, match="a: nested deeper than 50 levels"):
        take_configs(["--config", "demo", *form.format(mine).split()])


def test_the_essentials_are_what_decides_the_weights() -> None:
    configuration = {
        "seed_everything": 0,
        "out": "runs/a",
        "costs": {"escape": 3.0},
        "model": {"weights": "none", "optimizer": {"init_args": {"lr": 0.1, "foreach": None}}},
        "data": {"root": "recast", "num_workers": 2, "batch_size": 8, "epoch_crops": None},
        "trainer": {"max_epochs": 3, "devices": 1, "precision": None},
    }
    assert essentials(configuration) == {
        "seed_everything": 0,
        "model": {"weights": "none", "optimizer": {"init_args": {"lr": 0.1}}},
        "data": {"batch_size": 8},
        "trainer": {"max_epochs": 3},
    }


def test_a_configuration_names_addresses_whatever_yaml_makes_of_a_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = f"/тест dir: {'long and ' * 20}/recast's #1"
    monkeypatch.setitem(remote._NAMES, copy, "s3://steel/recast")
    text = yaml.safe_dump({"data": {"root": copy, "n": 1}, "more": [f"{copy}/crops"]})
    assert copy not in text
    assert yaml.safe_load(with_addresses(text)) == {
        "data": {"root": "s3://steel/recast", "n": 1},
        "more": ["s3://steel/recast/crops"],
    }
    assert with_addresses("a:   1 # kept\n") == "a:   1 # kept\n"
