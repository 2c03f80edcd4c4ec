"""The command line of `defect-inspect`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from inspection.commands import export, figures, verify
from inspection.errors import InspectionError
from inspection.review import commands as review
from inspection.review.commands import serve
from severstal_prep import console
from severstal_prep.errors import PrepError
from sise.errors import SiseError

PROGRAM = "defect-inspect"
COMMANDS = {
    "verify": (verify, "check that nothing in a report changed"),
    "export": (export, "write the flagged regions as COCO and CSV"),
    "figures": (figures, "print quality figures of a report as JSON"),
    "review": (review, "decisions of people, and what they teach"),
    "serve": (serve, "the review in a browser"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = ArgumentParser(
        prog=PROGRAM, description="Inspect batches of steel strips and explain every indication."
    )
    commands = parser.add_subcommands(required=True, dest="command")
    commands.add_subcommand("run", _run_parser(), help="inspect a folder of strips, write a report")
    for name, (command, purpose) in COMMANDS.items():
        own = command.parser()
        commands.add_subcommand(name, own, help=purpose)
        if command is review:
            review.add_commands(own)
    arguments = parser.parse_args(argv)
    chosen = arguments[arguments.command]
    work = _run if arguments.command == "run" else COMMANDS[arguments.command][0].run
    return console.run(PROGRAM, lambda: work(chosen), (InspectionError, PrepError, SiseError))


def _run_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Inspect a folder of strips (256 px high, at least 256 px wide), explain the "
        "flagged patches with SISE, and write a report that opens in any browser. Exit codes: 0 "
        "complete; 2 wrong usage; 3 a rule fired (--fail-on); 4 complete, but some strips could "
        "not be read; 130 interrupted (the same command continues)."
    )
    parser.add_argument("--config", action="config", help="YAML file with these options")
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the model bundle")
    parser.add_argument("--batch", type=Path, required=True, help="folder of strip images")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the report to")
    parser.add_argument(
        "--explain",
        type=Literal["all", "flagged"],
        default="flagged",
        help="which patches get a SISE map",
    )
    parser.add_argument(
        "--policy",
        type=Path | None,
        default=None,
        help="YAML file of thresholds and disposition rules; the packaged one if left out",
    )
    parser.add_argument(
        "--stride", type=PositiveInt, default=224, help="px between patches, at most 256"
    )
    parser.add_argument(
        "--precision",
        type=Literal["auto", "fp32", "bf16"],
        default="auto",
        help="of the forward passes; auto is bf16 where the hardware has it",
    )
    parser.add_argument(
        "--device",
        type=Literal["auto", "cpu", "cuda"],
        default="auto",
        help="where the model runs; auto is the GPU if there is one",
    )
    parser.add_argument(
        "--batch-size",
        type=Literal["auto"] | PositiveInt,
        default="auto",
        help="patches, and masked patches, per forward pass",
    )
    parser.add_argument(
        "--budget",
        type=Literal["auto"] | PositiveInt | None,
        default=98,
        help="forward passes per explained patch, at most; auto: until its map has settled; "
        "null: SISE as in the paper, thousands for a deep network",
    )
    parser.add_argument(
        "--fill",
        type=Literal["grey", "mean", "blur", "inpaint"],
        default="grey",
        help="what masked-out pixels become, in explaining and in measuring",
    )
    parser.add_argument(
        "--context",
        type=Literal["reflect", "edge"] | None,
        default="reflect",
        help="how the steel goes on around a patch while its masks are made, so that its border "
        "is none to the network; null: it does not, as in the paper",
    )
    parser.add_argument(
        "--backend",
        type=Literal["auto", "torch", "openvino"],
        default="auto",
        help="what scores masked patches; auto is OpenVINO on a processor if it is installed",
    )
    parser.add_argument(
        "--fail-on",
        type=Literal["hold", "rework", "scrap", "any"] | None,
        default=None,
        help="exit with 3 if a rule proposes this disposition for a strip; any: other than accept",
    )
    return parser


def _run(arguments: Namespace) -> int:
    from inspection.record import Settings
    from inspection.run import inspect
    from inspection.summary import summarise

    finished = inspect(
        Settings(
            bundle=arguments.bundle,
            batch=arguments.batch,
            out=arguments.out,
            explain=arguments.explain,
            policy=arguments.policy,
            stride=arguments.stride,
            precision=arguments.precision,
            device=arguments.device,
            batch_size=arguments.batch_size,
            fail_on=arguments.fail_on,
            budget=arguments.budget,
            fill=arguments.fill,
            context=arguments.context,
            backend=arguments.backend,
        )
    )
    print(summarise(finished.card, finished.folder.index, finished.seconds, finished.up_to_date))
    return int(finished.card["exit_status"])
