"""The command line of `sise`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat, PositiveInt

from sise.errors import SiseError

INTERRUPTED = 130
UNREADABLE_INPUTS = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = ArgumentParser(prog="sise", description="Explain what a CNN sees in an image.")
    commands = parser.add_subcommands(required=True, dest="command")
    commands.add_subcommand("explain", _explain_parser(), help="write maps and overlays of images")
    arguments = parser.parse_args(argv)
    try:
        return _explain(arguments.explain)
    except SiseError as error:
        print(f"sise {arguments.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("sise: interrupted; run the same command again to continue", file=sys.stderr)
        return INTERRUPTED


def _explain_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Explain the class that a model bundle gives to each image, a crop or a "
        "whole strip. Writes NAME_map.npy, NAME_map.png, NAME_overlay.png and NAME.json."
    )
    parser.add_argument("--config", action="config", help="YAML file with these options")
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the model bundle")
    parser.add_argument(
        "--image", type=Path, nargs="+", required=True, help="image files, JPEG or PNG"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--method", type=Literal["sise", "gradcam"], default="sise", help="how to explain"
    )
    parser.add_argument(
        "--target",
        type=str | None,
        default=None,
        help="class to explain, by name or index; the predicted one if left out",
    )
    parser.add_argument(
        "--mu", type=NonNegativeFloat, default=0.0, help="μ of SISE; above 0 fewer masks are scored"
    )
    parser.add_argument(
        "--fusion", type=Literal["hard", "soft"], default="hard", help="how SISE fuses layers"
    )
    parser.add_argument(
        "--layers",
        type=str,
        nargs="+",
        default=None,
        help="modules to explain; the network's blocks if left out",
    )
    parser.add_argument(
        "--precision",
        type=Literal["auto", "fp64", "fp32", "bf16"],
        default="auto",
        help="of the scored passes; auto is bf16 where the hardware has it",
    )
    parser.add_argument(
        "--batch-size",
        type=Literal["auto"] | PositiveInt,
        default="auto",
        help="masked images per pass",
    )
    parser.add_argument(
        "--stride", type=PositiveInt, default=224, help="px between the tiles of a strip"
    )
    parser.add_argument(
        "--palette",
        type=Literal["inferno", "magma", "viridis", "cividis"],
        default="inferno",
        help="colours of the overlay",
    )
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu or cuda")
    return parser


def _explain(arguments: Namespace) -> int:
    import torch
    from rich.console import Console
    from rich.progress import track

    from sise import bundle as bundles
    from sise.explain_files import Settings, explain_files

    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    bundle = bundles.load(arguments.bundle, device)
    settings = Settings(
        method=arguments.method,
        target=arguments.target,
        mu=arguments.mu,
        fusion=arguments.fusion,
        layers=None if arguments.layers is None else tuple(arguments.layers),
        precision=arguments.precision,
        batch_size=arguments.batch_size,
        stride=arguments.stride,
        palette=arguments.palette,
    )
    outcomes = explain_files(bundle, arguments.image, arguments.out, settings)
    progress = track(
        outcomes,
        "explaining",
        total=len(arguments.image),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    failures = 0
    for outcome in progress:
        failures += outcome.failed
        stream = sys.stderr if outcome.failed else sys.stdout
        line = outcome.summary if outcome.failed else f"{outcome.image}: {outcome.summary}"
        print(line, file=stream, flush=True)
    print(f"maps and overlays are in {arguments.out}")
    return UNREADABLE_INPUTS if failures else 0
