"""Recipes by name: the YAML files in the folder `recipes`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from severstal_prep.checked import read_yaml
from severstal_prep.remote import Carrier, named
from training.errors import RecipeError

CONFIG_FLAGS = ("-c", "--config")
GROUP_FLAGS = ("--model", "--data", "--trainer")
"""Of Lightning: each takes a file of its options, too."""


@dataclass(frozen=True)
class RecipeArguments:
    """A command line of fit: the files that --config named, in order, and the other arguments.

    `bring` makes places among the options local, once they are read; None leaves them alone.
    """

    configs: tuple[Path, ...]
    options: tuple[str, ...]
    bring: Carrier | None = None

    @property
    def name(self) -> str:
        """The first recipe's name, by which the run folder is called."""
        return self.configs[0].stem


def recipe_names() -> tuple[str, ...]:
    """Names of the packaged recipes."""
    folder = files("training") / "recipes"
    names = (Path(entry.name) for entry in folder.iterdir())
    return tuple(sorted(name.stem for name in names if name.suffix == ".yaml"))


def recipe_path(name: str) -> Path:
    """The file that `--config NAME` means: a packaged recipe by its bare name, else a file.

    Raises RecipeError if there is neither.
    """
    if name in recipe_names():
        return Path(str(files("training") / "recipes" / f"{name}.yaml"))
    path = Path(name)
    if not path.is_file():
        raise RecipeError(
            f"--config {name}: no such recipe or file; recipes: {', '.join(recipe_names())}"
        )
    return path


def take_configs(args: Sequence[str]) -> RecipeArguments:
    """Part the command line of fit into its recipes and all else.

    Raises RecipeError if there is no --config, or one that leads nowhere or holds no plain,
    bounded YAML: names and values, none of them twice or without end.
    """
    configs, rest = [], []
    remaining = iter(args)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if flag not in CONFIG_FLAGS:
            rest.append(argument)
            continue
        configs.append(recipe_path(value if equals else next(remaining, "")))
    if not configs:
        raise RecipeError(f"fit needs --config RECIPE: {', '.join(recipe_names())}, or a file")
    for path in (*configs, *_group_files(rest)):
        _check(path)
    return RecipeArguments(tuple(configs), tuple(rest))


NOT_ESSENTIAL = ("out", "config", "tune", "explain", "thresholds", "costs", "risk", "data.root",
                 "data.num_workers", "data.cache", "data.seed")  # fmt: skip
ESSENTIAL_OF_TRAINER = (
    "max_epochs", "precision", "callbacks", "gradient_clip_val", "gradient_clip_algorithm",
    "accumulate_grad_batches", "limit_train_batches", "limit_val_batches", "max_time",
)  # fmt: skip


def essentials(configuration: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """What a resolved configuration says of the training itself, without what is null."""
    kept: dict[str, Any] = {}
    for name, value in configuration.items():
        key = f"{prefix}{name}"
        ours = prefix != "trainer." or name in ESSENTIAL_OF_TRAINER
        if value is not None and ours and key not in NOT_ESSENTIAL:
            kept[name] = essentials(value, f"{key}.") if isinstance(value, Mapping) else value
    return kept


def with_addresses(text: str) -> str:
    """The YAML text of a configuration, where copies of places are named by their addresses."""
    content = yaml.safe_load(text)
    renamed = _renamed(content)
    if renamed == content:
        return text
    return yaml.safe_dump(renamed, sort_keys=False, allow_unicode=True)


def _renamed(value: Any) -> Any:
    match value:
        case dict():
            return {name: _renamed(inner) for name, inner in value.items()}
        case list():
            return [_renamed(inner) for inner in value]
        case str():
            return named(value)
    return value


def _group_files(options: Sequence[str]) -> list[Path]:
    parted = [option.partition("=") for option in options]
    named = [value for flag, _, value in parted if flag in GROUP_FLAGS and value]
    named += [after for flag, after in pairwise(options) if flag in GROUP_FLAGS]
    return [path for path in map(Path, named) if path.is_file()]


def _check(path: Path) -> None:
    try:
        content = read_yaml(path)
    except ValueError as error:
        raise RecipeError(f"{path}: {error}") from error
    if not isinstance(content, dict | None):
        raise RecipeError(f"{path}: expected `name: value` entries, as in a recipe")
