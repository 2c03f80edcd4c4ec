"""The options that commands share."""

from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser


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


def add_comparison(options: ArgumentParser) -> None:
    """Add --truth, --earlier and --by: what to hold a batch against."""
    add_path(
        options,
        "--truth",
        "CSV file of true masks, in either of Severstal's layouts, to hold the batch against",
    )
    options.add_argument(
        "--earlier",
        type=Path,
        nargs="*",
        default=[],
        help="folders of earlier reports by the same model, for the control chart",
    )
    options.add_argument(
        "--by",
        type=Literal["strip", "coil"],
        default="strip",
        help="what a point of the control chart is",
    )
