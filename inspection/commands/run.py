"""`defect-inspect run`: a batch of strips to a report."""

from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from inspection.commands.options import add_comparison, add_path, new_parser


def parser() -> ArgumentParser:
    """The options of the command."""
    options = new_parser(
        "Inspect a folder of strips (256 px high, at least 256 px wide), explain the "
        "flagged patches with SISE, and write a report that opens in any browser. Exit codes: 0 "
        "complete; 2 wrong usage; 3 a rule fired (--fail-on); 4 complete, but some strips could "
        "not be read or judged, or images were passed over; 130 interrupted (the same command "
        "continues)."
    )
    options.add_argument("--bundle", type=Path, required=True, help="folder of the model bundle")
    options.add_argument("--batch", type=Path, required=True, help="folder of strip images")
    options.add_argument("--out", type=Path, required=True, help="folder to write the report to")
    add_settings(options)
    options.add_argument(
        "--fail-on",
        type=Literal["hold", "rework", "scrap", "any"] | None,
        default=None,
        help="exit with 3 if a rule proposes this disposition for a strip; any: other than accept",
    )
    add_comparison(options)
    return options


def add_settings(options: ArgumentParser) -> None:
    """Add what `Settings` say of how strips are judged and explained."""
    options.add_argument(
        "--explain",
        type=Literal["all", "flagged"],
        default="flagged",
        help="which patches get a SISE map",
    )
    add_path(
        options,
        "--policy",
        "YAML file of thresholds and disposition rules; the packaged one if left out",
    )
    options.add_argument(
        "--stride",
        type=PositiveInt | None,
        help="px between patches, at most a patch (default: seven eighths of one)",
    )
    options.add_argument(
        "--precision",
        type=Literal["auto", "fp32", "bf16"],
        default="auto",
        help="of the forward passes; auto is bf16 where the hardware has it",
    )
    options.add_argument(
        "--device",
        type=Literal["auto", "cpu", "cuda"],
        default="auto",
        help="where the model runs; auto is the GPU if there is one",
    )
    options.add_argument(
        "--batch-size",
        type=Literal["auto"] | PositiveInt,
        default="auto",
        help="patches, and masked patches, per forward pass",
    )
    options.add_argument(
        "--budget",
        type=Literal["auto"] | PositiveInt | None,
        default=98,
        help="forward passes per explained patch, at most; auto: until its map has settled; "
        "null: SISE as in the paper, thousands for a deep network",
    )
    options.add_argument(
        "--fill",
        type=Literal["grey", "mean", "blur", "inpaint"],
        default="mean",
        help="what masked-out pixels become, in explaining and in measuring",
    )
    options.add_argument(
        "--context",
        type=Literal["reflect", "edge"] | None,
        default="reflect",
        help="how the steel goes on around a patch while its masks are made, so that its border "
        "is none to the network; null: it does not, as in the paper",
    )
    options.add_argument(
        "--evidence",
        type=Literal["kept", "removed", "both", "none"],
        default="removed",
        help="what a mask is worth: the class's probability when only its part of the patch is "
        "kept, or what the class loses when that is removed; both: their mean, two passes a mask; "
        "none: all masks count alike",
    )
    options.add_argument(
        "--fusion",
        type=Literal["hard", "soft", "geometric"],
        default="geometric",
        help="how the network's layers become one map: hard, the paper's; soft, its authors' later "
        "code; geometric: a pixel counts where all layers agree",
    )
    options.add_argument(
        "--backend",
        type=Literal["auto", "torch", "openvino"],
        default="auto",
        help="what classifies patches, and scores them masked; auto is OpenVINO on a processor if "
        "it is installed",
    )
    options.add_argument(
        "--runner-up",
        type=bool,
        default=True,
        help="explain the second most probable class of each explained patch, too, which takes "
        "as many passes again",
    )
    options.add_argument(
        "--mm-per-px",
        type=float | None,
        default=None,
        help="size of a pixel in mm, along the strip and across, so that the report tells lengths",
    )


def run(arguments: Namespace) -> int:
    """Inspect the batch and print the summary; the exit code of its record.

    Raises an InspectionError, PrepError, BundleError or SiseError.
    """
    from inspection.commands.summary import not_inspected, summarise
    from inspection.pipeline.record import Settings
    from inspection.pipeline.run import inspect
    from inspection.store.reading import open_report
    from sise.progress import note

    chosen = arguments.as_dict() | {"earlier": tuple(arguments.earlier)}
    chosen.pop("config", None)
    finished = inspect(Settings(**chosen))
    for line in not_inspected(open_report(finished.folder.root).strips):
        note(line)
    print(summarise(finished.record, finished.folder.index, finished.seconds, finished.up_to_date))
    return int(finished.record["exit_status"])
