"""`sise bench`: what explanations cost here."""

import sys
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from sise.commands.explain import METHOD_NAMES


def parser() -> ArgumentParser:
    options = ArgumentParser(
        description="Measure on this machine what explanations cost, beside bare forward passes "
        "of the same network: passes, seconds per image, passes per second, memory."
    )
    options.add_argument("--config", action="config", help="YAML file with these options")
    options.add_argument(
        "--bundle", type=Path | None, default=None, help="folder of the model bundle"
    )
    options.add_argument(
        "--architecture",
        type=str | None,
        default=None,
        help="or the name of a torchvision classifier, which gets random weights",
    )
    options.add_argument(
        "--size",
        type=PositiveInt,
        nargs=2,
        metavar=("H", "W"),
        default=None,
        help="of the images, in pixels; the bundle's input size, or 256 256, if left out",
    )
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
        default=[
            "gradcam",
            "gradcam++",
            "extremal-perturbation",
            "rise",
            "scorecam",
            "integrated-gradients",
            "fullgrad",
            "sise",
            "budgets",
        ],
        metavar="NAME[:OPTION=VALUE,…]",
        help=f"rows to measure, besides bare forward passes: {', '.join(METHOD_NAMES)}, with "
        "options such as rise:n_masks=8000 or without; scoring (SISE's, without the rest), budgets "
        "(SISE under --budgets), exact (sise); scorecam-torchcam and scorecam-gradcam (other "
        "libraries)",
    )
    options.add_argument(
        "--in-full",
        action="store_true",
        help="run all passes of slow methods: minutes, without a GPU. Else what takes longer than "
        "some seconds is extrapolated from a short and a long part, and its row says so",
    )
    options.add_argument(
        "--budgets",
        type=Literal["auto"] | PositiveInt,
        nargs="+",
        default=[97, 200, "auto"],
        help="forward passes per image, at most, of the rows of budgets",
    )
    options.add_argument(
        "--precision",
        type=Literal["auto", "fp64", "fp32", "bf16"],
        nargs="+",
        default=["auto"],
        help="of scored passes, one or more; auto is bf16 where the hardware has it",
    )
    options.add_argument(
        "--backend",
        type=Literal["torch", "openvino"],
        nargs="+",
        default=["torch"],
        help="what runs scored passes, one or more",
    )
    options.add_argument(
        "--compile",
        type=bool,
        nargs="+",
        default=[False],
        help="compile the scored passes of torch: true, or false true for both",
    )
    options.add_argument(
        "--batch-size",
        type=Literal["auto"] | PositiveInt,
        default="auto",
        help="images per pass, masked or bare",
    )
    options.add_argument(
        "--repeats",
        type=PositiveInt,
        default=3,
        help="measurements of each row, at most; what takes two minutes is not repeated",
    )
    options.add_argument(
        "--device", type=Literal["auto", "cpu", "cuda"], default="auto", help="auto, cpu or cuda"
    )
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return options


def run(arguments: Namespace) -> int:
    from sise.bench import report
    from sise.bench.plan import Plan

    question = report.Question(
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
        in_full=arguments.in_full,
    )

    def say(message: str) -> None:
        print(f"sise bench: {message}", file=sys.stderr, flush=True)

    return report.run(question, plan, arguments.json, say)
