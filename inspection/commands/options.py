"""The options that commands share."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser

from inspection.pipeline.settings import SETTINGS, Settings


def new_parser(description: str) -> ArgumentParser:
    """A parser with --config."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--config", action="config", help="YAML file with these options")
    return parser


def report_parser(description: str) -> ArgumentParser:
    """A parser with --config and the folder of a report."""
    parser = new_parser(description)
    parser.add_argument("report", type=Path, help="folder of the report")
    return parser


def add_path(options: ArgumentParser, name: str, words: str) -> None:
    """Add an option that names a file or folder, or is left out."""
    options.add_argument(name, type=Path | None, default=None, help=words)


def add_settings(options: ArgumentParser, *names: str) -> None:
    """Add the options of settings of a run: of these, or of all."""
    types = get_type_hints(Settings)
    for one in fields(Settings):
        if names and one.name not in names:
            continue
        told: dict[str, Any] = {"type": types[one.name], "help": SETTINGS[one.name].help}
        if one.default is MISSING:
            told["required"] = True
        elif get_origin(types[one.name]) is tuple:
            told |= {"type": get_args(types[one.name])[0], "nargs": "*", "default": []}
        else:
            told["default"] = one.default
        options.add_argument(f"--{one.name.replace('_', '-')}", **told)
