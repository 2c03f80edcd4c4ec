"""`sise bench`: what explanations cost here."""

import sys
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from sise.commands.options import add_network, add_running, shared_options
from sise.evaluation import paper
from sise.registry import METHODS


def parser() -> ArgumentParser:
    options = ArgumentParser(
        description="Measure on this machine what explanations cost, beside bare forward passes "
        "of the same network: whole explanations, in seconds per image and in passes."
    )
    options.add_argument("--config", action="config", help="YAML file with these options")
    add_network(options)
    options.add_argument(
        "--image",
        type=Path | None,
        default=None,
        help="image file, JPEG or PNG, to explain; random numbers if left out",
    )
    options.add_argument(
        "--images", type=PositiveInt, default=1, help="how many to explain in one call"
    )
    options.add_argument(
        "--methods",
        type=str,
        nargs="+",
        default=[*paper.METHODS, "sise:budget=97", "sise:budget=auto"],
        metavar="NAME[:OPTION=VALUE,…]",
        help=f"methods to time, besides bare forward passes: {', '.join(METHODS)}; with "
        "options if wanted: sise:budget=97 rise:n_masks=500 sise:backend=openvino",
    )
    add_running(options)
    options.add_argument(
        "--repeats",
        type=PositiveInt,
        default=3,
        help="measurements of each row, at most; what takes two minutes is not repeated",
    )
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return options


def run(arguments: Namespace) -> int:
    from sise.bench import report
    from sise.devices import choose_device
    from sise.registry import parse_specs

    specs = parse_specs(arguments.methods)
    subject = report.subject_of(
        arguments.bundle,
        arguments.architecture,
        arguments.size,
        arguments.image,
        arguments.images,
        choose_device(arguments.device),
    )

    def say(message: str) -> None:
        print(f"sise bench: {message}", file=sys.stderr, flush=True)

    shared = shared_options(arguments)
    return report.run(subject, specs, shared, arguments.repeats, arguments.json, say)
