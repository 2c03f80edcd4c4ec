"""`sise evaluate`: methods × images × metrics, and the tables and pictures they make."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from sise.commands.options import (
    UNREADABLE_INPUTS,
    add_fills,
    add_running,
    add_subjects,
    evaluated,
    shared_options,
)
from sise.evaluation.paper import METHODS

BESIDE = [
    "sise:evidence=none", "centre-gaussian", "noise", "sobel", "untrained:budget=94", "truth",
]  # fmt: skip
"""What tells a method from arithmetic: masks without scores, trivial maps, the ground truth."""


def parser() -> ArgumentParser:
    options = ArgumentParser(
        description="Explain every item of a labelled dataset by every method, measure the maps, "
        "and write OUT/summary.html, .md and .csv, a grid of maps, and OUT/per_image.parquet. "
        "What OUT holds already is not made again: an interrupted run goes on, and methods can be "
        "added later."
    )
    options.add_argument("--config", action="config", help="YAML file with these options")
    add_subjects(options, limit=None)
    options.add_argument(
        "--methods",
        type=str,
        nargs="+",
        default=["sise", *METHODS[:-1], *BESIDE],
        help="names of methods, with options if wanted: sise:budget=94 rise:n_masks=2000,seed=1; "
        "the first is what the others are tested against; truth is the ground truth itself",
    )
    options.add_argument(
        "--pairs",
        type=str,
        nargs="+",
        default=[],
        help="two of --methods each that are compared with each other too: A B C D is A with B and "
        "C with D",
    )
    add_fills(options, ["grey", "blur"])
    options.add_argument(
        "--metrics",
        type=str,
        nargs="+",
        default=None,
        help="names of metrics (docs/metrics.md); all, if left out",
    )
    options.add_argument(
        "--steps", type=PositiveInt, default=20, help="of insertion and deletion, each two passes"
    )
    options.add_argument(
        "--rows", type=PositiveInt, default=1, help="images of each class in the grid of maps"
    )
    add_running(options)
    options.add_argument("--out", type=Path, required=True, help="folder to write to")
    return options


def run(arguments: Namespace) -> int:
    from sise.evaluation.report import publish
    from sise.evaluation.run import Plan
    from sise.registry import parse_specs

    pairs = _pairs(arguments.pairs, arguments.methods)
    plan = Plan(
        parse_specs(arguments.methods),
        tuple(arguments.fills),
        shared_options(arguments),
        arguments.steps,
        None if arguments.metrics is None else tuple(arguments.metrics),
        pairs,
    )
    done = evaluated(arguments, plan, "evaluate")
    print(publish(done, arguments.rows, arguments.seed))
    return UNREADABLE_INPUTS if done.unreadable else 0


def _pairs(given: list[str], methods: list[str]) -> tuple[tuple[str, str], ...]:
    from sise.errors import SiseError

    for text in given:
        if text not in methods:
            raise SiseError(f"--pairs {text}: not one of --methods; name it there, alike")
    if len(given) % 2:
        raise SiseError(f"--pairs: {given[-1]} has no second method; name two for each pair")
    return tuple(zip(given[::2], given[1::2], strict=True))
