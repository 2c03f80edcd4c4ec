"""Options that commands share: what is explained, and how it is run."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from sise.choices import FillName

if TYPE_CHECKING:
    from sise.bundle import ModelBundle
    from sise.datasets.dataset import Dataset, Item
    from sise.evaluation.run import Evaluation, Plan

UNREADABLE_INPUTS = 4
"""Exit code: finished, but for what could not be read."""
OTHERS = {
    "evaluate": {"similarities.jsonl": "sanity", "ablation.md": "ablate"},
    "ablate": {"similarities.jsonl": "sanity", "summary.html": "evaluate"},
    "sanity": {"ablation.md": "ablate", "rows.jsonl": "evaluate"},
}
"""For each command, the files by which a folder is another's, where the mark is empty."""


def add_network(parser: ArgumentParser) -> None:
    """--bundle or --architecture, and --size of its images."""
    parser.add_argument(
        "--bundle", type=Path | None, default=None, help="folder of the model bundle"
    )
    parser.add_argument(
        "--architecture",
        type=str | None,
        default=None,
        help="or the name of a classifier of torchvision, such as resnet101, or of timm, such as "
        "timm:tf_efficientnet_lite0, with random weights",
    )
    parser.add_argument(
        "--size",
        type=PositiveInt,
        nargs=2,
        metavar=("H", "W"),
        default=None,
        help="of the image, in pixels; the bundle's input size, or 256 256, if left out",
    )


def add_fills(parser: ArgumentParser, default: list[str]) -> None:
    """--fills."""
    parser.add_argument(
        "--fills",
        type=FillName,
        nargs="+",
        default=default,
        help="what metrics put where pixels are taken away; the first is the paper's place",
    )


def add_subjects(parser: ArgumentParser, limit: int | None) -> None:
    """--bundle, --data and what chooses among its items."""
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the model bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder of the labelled dataset")
    parser.add_argument(
        "--layout",
        type=Literal["auto", "recast", "neu-det", "voc", "coco", "masks"],
        default="auto",
        help="of that folder (docs/datasets.md); auto looks",
    )
    parser.add_argument(
        "--split",
        type=str | None,
        default=None,
        help="part of the dataset; its test part if left out, where it has parts",
    )
    parser.add_argument(
        "--subset",
        type=Literal["paper", "pixel-truth", "boxes"] | None,
        default=None,
        help="paper: of a recast dataset all of classes 1, 2 and 4, and 500 of class 3; "
        "of NEU-DET, pixel-truth: images with a mask, boxes: boxes instead of masks",
    )
    parser.add_argument(
        "--classes",
        type=Literal["all", "known"],
        default="all",
        help="all: the bundle must know the class of every item; known: only items whose class it "
        "knows, by name",
    )
    parser.add_argument(
        "--only",
        type=Path | None,
        default=None,
        help="text file of image or item names, one a line: only these, such as a held-out split",
    )
    parser.add_argument(
        "--limit",
        type=PositiveInt | None,
        default=limit,
        help="items at most, classes taking turns; null, all of them",
    )
    parser.add_argument("--seed", type=int, default=0, help="of whatever is drawn")


def add_running(parser: ArgumentParser) -> None:
    """--precision, --backend and their like, and --device."""
    parser.add_argument(
        "--precision",
        type=Literal["auto", "fp64", "fp32", "bf16"],
        default="auto",
        help="of the passes that masks are scored by; auto is bf16 where the hardware has it",
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
        help="what runs those passes; openvino, an extra, is the fastest on a processor",
    )
    parser.add_argument(
        "--compile", type=bool, default=False, help="compile those passes of torch (true)"
    )
    parser.add_argument(
        "--output",
        type=Literal["softmax", "sigmoid", "probabilities"],
        default="softmax",
        help="what makes probabilities of the model's logits; sigmoid for multi-label models, "
        "such as those of VOC and COCO, and for one output; probabilities: its numbers are some",
    )
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu or cuda")


def subjects(arguments: Namespace, command: str) -> "tuple[ModelBundle, Dataset, list[Item]]":
    """What `add_subjects` asked for, with --out made for that command.

    Raises SiseError for what is not there, and OutputError for an --out that holds other files,
    or what another command wrote.
    """
    from sise import bundle as bundles
    from sise import outputs
    from sise.datasets.opening import open_dataset
    from sise.devices import choose_device
    from sise.evaluation.subject import check_classes, of_known_classes, sample

    dataset = open_dataset(
        arguments.data,
        arguments.layout,
        arguments.split,
        arguments.subset,
        arguments.only,
        arguments.seed,
    )
    bundle = bundles.load(arguments.bundle, choose_device(arguments.device))
    if arguments.classes == "known":
        dataset = of_known_classes(bundle, dataset)
    check_classes(bundle, dataset)
    inputs = (arguments.bundle, arguments.data)
    outputs.claim(arguments.out, _is_ours, inputs, command, OTHERS[command])
    return bundle, dataset, sample(dataset.items, arguments.limit)


def evaluated(arguments: Namespace, plan: "Plan", command: str) -> "Evaluation":
    """What was asked for, explained and measured into --out, with progress on stderr."""
    from sise.evaluation.run import Evaluation, evaluate
    from sise.progress import note, track

    bundle, dataset, items = subjects(arguments, command)
    done = []
    label = {"evaluate": "evaluating", "ablate": "ablating"}[command]
    for one in track(evaluate(bundle, dataset, items, plan, arguments.out), len(items), label):
        if one.unreadable:
            note(f"sise {command}: {one.unreadable}; left out")
        done.append(one)
    return Evaluation(bundle, dataset, items, plan, arguments.out, command_line(), done)


def _is_ours(out: Path) -> bool:
    """Whether a folder without a mark, as older versions left it, holds results."""
    from sise.evaluation.report import FORMAT as EVALUATION
    from sise.outputs import begins_with_rows, holds
    from sise.sanity.report import FORMAT as SANITY

    finished = any(holds(out / "card.json", format=one) for one in (EVALUATION, SANITY))
    begun = any(begins_with_rows(out / one) for one in ("rows.jsonl", "similarities.jsonl"))
    return finished or begun


def command_line() -> str:
    """The command as somebody would type it again."""
    return shlex.join(["sise", *sys.argv[1:]])


def shared_options(arguments: Namespace) -> dict[str, Any]:
    """What `add_running` asked for, as explainers take it."""
    return {
        key: arguments[key] for key in ("precision", "batch_size", "backend", "compile", "output")
    }
