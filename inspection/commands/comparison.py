"""The options of commands that hold a batch against the truth and against earlier reports."""

from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser


def add_comparison(options: ArgumentParser) -> None:
    """Add --truth, --earlier and --by."""
    options.add_argument(
        "--truth",
        type=Path | None,
        default=None,
        help="CSV file of true masks, in either of Severstal's layouts, to hold the batch against",
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
