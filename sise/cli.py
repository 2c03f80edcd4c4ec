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
    commands.add_subcommand("blocks", _blocks_parser(), help="print the layers that SISE explains")
    commands.add_subcommand("bench", _bench_parser(), help="measure what explanations cost here")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "blocks":
            return _blocks(arguments.blocks)
        if arguments.command == "bench":
            return _bench(arguments.bench)
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
        "--budget",
        type=Literal["auto"] | PositiveInt | None,
        default=None,
        help="forward passes per tile of SISE, at most; auto: until the map has settled; "
        "null, the paper's SISE, scores every mask",
    )
    parser.add_argument(
        "--fill",
        type=Literal["grey", "mean", "blur", "inpaint"],
        default="grey",
        help="what SISE puts where pixels are masked out; grey is the paper's",
    )
    parser.add_argument(
        "--context",
        type=Literal["reflect", "edge"] | None,
        default=None,
        help="how the image goes on around its border while SISE's masks are made (docs/steel.md); "
        "null, the paper's SISE: it does not",
    )
    parser.add_argument(
        "--output",
        type=Literal["softmax", "sigmoid"],
        default="softmax",
        help="what makes probabilities of the model's logits; sigmoid for multi-label models",
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
        "--backend",
        type=Literal["torch", "openvino"],
        default="torch",
        help="what runs the scored passes; openvino, an extra, is the fastest on a processor",
    )
    parser.add_argument(
        "--compile",
        type=bool,
        default=False,
        help="compile the scored passes (true): slow at first, then two to three times as fast",
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
        budget=arguments.budget,
        fusion=arguments.fusion,
        fill=arguments.fill,
        context=arguments.context,
        output=arguments.output,
        layers=None if arguments.layers is None else tuple(arguments.layers),
        precision=arguments.precision,
        batch_size=arguments.batch_size,
        backend=arguments.backend,
        compile=arguments.compile,
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


def _blocks_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Print the convolutional blocks of a network, which SISE explains: name, "
        "shape, stride and number of feature maps of the last layer of each."
    )
    parser.add_argument("--config", action="config", help="YAML file with these options")
    parser.add_argument(
        "--bundle", type=Path | None, default=None, help="folder of the model bundle"
    )
    parser.add_argument(
        "--architecture",
        type=str | None,
        default=None,
        help="or the name of a torchvision classifier, such as resnet101",
    )
    parser.add_argument(
        "--size",
        type=PositiveInt,
        nargs=2,
        metavar=("H", "W"),
        default=None,
        help="of the image, in pixels; the bundle's input size, or 256 256, if left out",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _blocks(arguments: Namespace) -> int:
    from sise import blocks_report

    blocks_report.run(arguments.bundle, arguments.architecture, arguments.size, arguments.json)
    return 0


def _bench_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Measure on this machine what explanations cost, beside bare forward passes "
        "of the same network: passes, seconds per image, passes per second, memory."
    )
    parser.add_argument("--config", action="config", help="YAML file with these options")
    parser.add_argument(
        "--bundle", type=Path | None, default=None, help="folder of the model bundle"
    )
    parser.add_argument(
        "--architecture",
        type=str | None,
        default=None,
        help="or the name of a torchvision classifier, which gets random weights",
    )
    parser.add_argument(
        "--size",
        type=PositiveInt,
        nargs=2,
        metavar=("H", "W"),
        default=None,
        help="of the images, in pixels; the bundle's input size, or 256 256, if left out",
    )
    parser.add_argument(
        "--image",
        type=Path | None,
        default=None,
        help="image file, JPEG or PNG, to explain; random numbers if left out",
    )
    parser.add_argument(
        "--images", type=PositiveInt, default=1, help="how many to explain in one call"
    )
    parser.add_argument(
        "--methods",
        type=Literal[
            "scoring", "exact", "budgets", "gradcam", "scorecam-torchcam", "scorecam-gradcam"
        ],
        nargs="+",
        default=[
            "gradcam",
            "scorecam-torchcam",
            "scorecam-gradcam",
            "scoring",
            "exact",
            "budgets",
        ],
        help="rows to measure, besides bare forward passes; scoring is SISE's without the rest",
    )
    parser.add_argument(
        "--budgets",
        type=Literal["auto"] | PositiveInt,
        nargs="+",
        default=[97, 200, "auto"],
        help="forward passes per image, at most, of the rows of budgets",
    )
    parser.add_argument(
        "--precision",
        type=Literal["auto", "fp64", "fp32", "bf16"],
        nargs="+",
        default=["auto"],
        help="of SISE's scored passes, one or more; auto is bf16 where the hardware has it",
    )
    parser.add_argument(
        "--backend",
        type=Literal["torch", "openvino"],
        nargs="+",
        default=["torch"],
        help="what runs SISE's scored passes, one or more",
    )
    parser.add_argument(
        "--compile",
        type=bool,
        nargs="+",
        default=[False],
        help="compile the scored passes of torch: true, or false true for both",
    )
    parser.add_argument(
        "--batch-size",
        type=Literal["auto"] | PositiveInt,
        default="auto",
        help="images per pass, masked or bare",
    )
    parser.add_argument(
        "--repeats",
        type=PositiveInt,
        default=3,
        help="measurements of each row, at most; what takes two minutes is not repeated",
    )
    parser.add_argument(
        "--device", type=Literal["auto", "cpu", "cuda"], default="auto", help="auto, cpu or cuda"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _bench(arguments: Namespace) -> int:
    from sise.bench.plan import Plan
    from sise.bench.report import Question, run

    question = Question(
        bundle=arguments.bundle,
        architecture=arguments.architecture,
        size=arguments.size,
        image=arguments.image,
        images=arguments.images,
        device=arguments.device,
    )
    plan = Plan(
        methods=arguments.methods,
        budgets=arguments.budgets,
        precisions=arguments.precision,
        backends=arguments.backend,
        compile=arguments.compile,
        batch_size=arguments.batch_size,
        repeats=arguments.repeats,
    )

    def say(message: str) -> None:
        print(f"sise bench: {message}", file=sys.stderr, flush=True)

    return run(question, plan, arguments.json, say)
