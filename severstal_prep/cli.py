"""Command line of severstal-prep."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt

from severstal_prep import console
from severstal_prep.errors import OptionError, PrepError
from severstal_prep.remote import carried
from severstal_prep.usage import parse

if TYPE_CHECKING:
    from severstal_prep.build import Outcome

PROGRAM = "severstal-prep"
SOME_REJECTED = 4
MEMORY_CURE = "close other programs, or give fewer --jobs"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    arguments = parse(_parser(), sys.argv[1:] if argv is None else argv)
    command = {
        "download": _download,
        "sample": _sample,
        "stats": _stats,
        "build": _build,
        "build-masks": _build_masks,
        "check": _check,
    }[arguments.command]
    options = arguments[arguments.command]
    return console.run(
        PROGRAM, lambda: carried(command, options, console.track), (PrepError,), MEMORY_CURE
    )


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog=PROGRAM,
        version=version("steel-sise"),
        description="Severstal strips and run-length labels, recast as a dataset of crops.",
        exit_on_error=False,
    )
    commands = parser.add_subcommands(required=True, dest="command")
    commands.add_subcommand(
        "download", _download_parser(), help="fetch the competition's files from Kaggle"
    )
    commands.add_subcommand(
        "sample", _sample_parser(), help="generate strips with known defects, in Kaggle's layout"
    )
    commands.add_subcommand("stats", _stats_parser(), help="count strips and crops per class")
    commands.add_subcommand("build", _build_parser(), help="write the recast dataset")
    commands.add_subcommand(
        "build-masks",
        _build_masks_parser(),
        help="write the recast dataset of your own images and masks",
    )
    commands.add_subcommand(
        "check", _check_parser(), help="look for leaks, wrong labels and damage in a recast dataset"
    )
    return parser


def _new_parser(description: str) -> ArgumentParser:
    parser = ArgumentParser(description=description)
    parser.add_argument("--config", action="config", help="YAML file with options of this command")
    return parser


def _download_parser() -> ArgumentParser:
    parser = _new_parser("Fetch and unpack the competition's files (about 2 GB) with your account.")
    parser.add_argument("--out", type=Path, required=True, help="folder for train.csv and images")
    return parser


def _sample_parser() -> ArgumentParser:
    parser = _new_parser(
        "Generate strips (1600x256 JPEG) and their train.csv; same seed, same files."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for train.csv and images")
    parser.add_argument("--strips", type=int, default=60, help="number of strips")
    parser.add_argument("--seed", type=int, default=0, help="seed of the generator")
    parser.add_argument(
        "--holdout",
        type=int,
        default=0,
        help="further strips in test.csv and test_images, for inspection",
    )
    return parser


def _stats_parser() -> ArgumentParser:
    parser = _new_parser("Count strips and crops per class under a recipe.")
    _add_csv(parser)
    parser.add_argument(
        "--images", type=Path, help="folder of the strips, to find black crops (default: not read)"
    )
    _add_recipe(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _build_parser() -> ArgumentParser:
    parser = _new_parser(
        "Write the recast dataset. Run again, it continues where it was interrupted; "
        "a complete dataset is checked and left alone."
    )
    _add_csv(parser)
    parser.add_argument("--images", type=Path, required=True, help="folder of the strips")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the dataset, new or empty"
    )
    _add_recipe(parser)
    parser.add_argument(
        "--split",
        type=Literal["grouped", "paper"],
        default="grouped",
        help="grouped: strips and their near-duplicates stay on one side; "
        "paper: by crop, 7 of 10 train (a fifth of them val) and 3 of 10 test",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    parser.add_argument(
        "--normals",
        type=Literal["annotated", "all", "none"],
        default="annotated",
        help="strips that give normal crops: those with a label, all in the image folder, or none",
    )
    parser.add_argument("--offset", type=int, default=32, help="left edge of the first crop, px")
    _add_min_defect_pixels(parser)
    _add_black_threshold(parser)
    parser.add_argument(
        "--on-error",
        type=Literal["stop", "quarantine"],
        default="stop",
        help="at a bad row or image: stop, or list it in rejected.csv and go on without its strip",
    )
    _add_jobs(parser)
    _add_engine(parser)
    return parser


def _build_masks_parser() -> ArgumentParser:
    parser = _new_parser(
        "Write a recast dataset of your own images: images/CLASS/*, masks/CLASS/* (same name, "
        "pixels that are not black are the defect) and, if there is one, groups.csv (class, file, "
        "group). Run again, it continues or checks, as build does."
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with images, masks, groups.csv"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the dataset, new or empty"
    )
    parser.add_argument(
        "--crop", type=int, default=256, help="side of a crop, px; they cover the image evenly"
    )
    parser.add_argument(
        "--normal",
        type=str,
        help="class whose images show no defect (default: the one without a defect pixel)",
    )
    _add_min_defect_pixels(parser)
    _add_black_threshold(parser)
    parser.add_argument(
        "--normals-per-image",
        type=int,
        help="most normal crops that an image gives, drawn by the seed (default: all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    parser.add_argument(
        "--on-error",
        type=Literal["stop", "quarantine"],
        default="stop",
        help="at a bad image or mask: stop, or list it in rejected.csv and go on without it",
    )
    _add_jobs(parser)
    _add_engine(parser)
    return parser


def _check_parser() -> ArgumentParser:
    parser = _new_parser(
        "Check a recast dataset: leaks between splits, labels that cannot be, black or blank "
        "crops, class counts. Exit code 0 without errors, 3 with one."
    )
    parser.add_argument("dataset", type=Path, help="folder of the dataset")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="decode no image: card, manifest, files, leaks of strips, counts; as fit does",
    )
    parser.add_argument(
        "--reference",
        type=str,
        help="compare class shares with: paper (its table 3), another recast dataset or its "
        "dataset.json, or a JSON file of class names and numbers",
    )
    parser.add_argument("--strict", action="store_true", help="warnings give exit code 3, too")
    parser.add_argument(
        "--examples", type=NonNegativeInt, default=3, help="how many to name of each check"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    _add_jobs(parser)
    return parser


def _add_min_defect_pixels(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--min-defect-pixels",
        type=int,
        default=1,
        help="a crop with fewer defect pixels, but some, is dropped",
    )


def _add_black_threshold(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--black-threshold",
        type=float,
        default=0.95,
        help="a normal crop is dropped if more than this fraction of it, 0 to 1, "
        "is darker than grey value 15 of 255",
    )


def _add_jobs(parser: ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, help="processes (default: as many as there are cores)")


def _add_engine(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        type=Literal["local", "ray"],
        default="local",
        help="who cuts: processes of this machine, or a Ray cluster; the dataset is the same",
    )
    parser.add_argument(
        "--ray-address",
        type=str,
        help="the cluster, HOST:PORT, or auto for that of this machine "
        "(default: RAY_ADDRESS, or one of --jobs processors that is started here)",
    )


def _add_csv(parser: ArgumentParser) -> None:
    parser.add_argument("--csv", type=Path, required=True, help="label file, either Kaggle layout")


def _add_recipe(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--recipe",
        type=Literal["paper"],
        default="paper",
        help="rules for crops and classes; paper: as in the SISE paper",
    )


def _download(options: Namespace) -> int:
    from severstal_prep.download import download

    if download(options.out):
        print(f"{options.out}: downloaded")
    else:
        print(f"{options.out}: already there")
    return 0


def _sample(options: Namespace) -> int:
    from severstal_prep.sample import write_sample

    summary = write_sample(
        options.out, strips=options.strips, holdout=options.holdout, seed=options.seed
    )
    print(str(summary))
    return 0


def _stats(options: Namespace) -> int:
    import json

    from severstal_prep.recast import Rules
    from severstal_prep.stats import as_json, as_text, count

    stats = count(options.csv, options.images, Rules(recipe=options.recipe))
    print(json.dumps(as_json(stats), indent=2, allow_nan=False) if options.json else as_text(stats))
    return 0


def _build(options: Namespace) -> int:
    from severstal_prep.build import Request, build, describe
    from severstal_prep.recast import Rules

    outcome = build(
        Request(
            csv=options.csv,
            images=options.images,
            out=options.out,
            rules=Rules(
                recipe=options.recipe,
                offset=options.offset,
                min_defect_pixels=options.min_defect_pixels,
                normals=options.normals,
                black_threshold=options.black_threshold,
            ),
            split=options.split,
            seed=options.seed,
            on_error=options.on_error,
            jobs=(os.cpu_count() or 1) if options.jobs is None else options.jobs,
            ray=_cluster(options),
        )
    )
    return _report(outcome, *describe(outcome))


def _build_masks(options: Namespace) -> int:
    from severstal_prep.build import describe
    from severstal_prep.build_masks import MaskRequest, build_masks
    from severstal_prep.masked_crops import MaskRules

    outcome = build_masks(
        MaskRequest(
            data=options.data,
            out=options.out,
            rules=MaskRules(
                crop=options.crop,
                min_defect_pixels=options.min_defect_pixels,
                black_threshold=options.black_threshold,
                normals_per_image=options.normals_per_image,
            ),
            normal=options.normal,
            seed=options.seed,
            on_error=options.on_error,
            jobs=(os.cpu_count() or 1) if options.jobs is None else options.jobs,
            ray=_cluster(options),
        )
    )
    return _report(outcome, *describe(outcome, "images"))


def _cluster(options: Namespace) -> str | None:
    """The address of the Ray cluster, None for processes of this machine."""
    if options.engine == "local":
        if options.ray_address is not None:
            raise OptionError("--ray-address belongs to --engine ray: add that, or leave it out")
        return None
    from severstal_prep.engines import cluster_address

    return cluster_address(options.ray_address)


def _check(options: Namespace) -> int:
    from severstal_prep.check import FAILED, as_json, check, print_report
    from severstal_prep.reference import read_reference

    reference = None if options.reference is None else read_reference(options.reference)
    jobs = (os.cpu_count() or 1) if options.jobs is None else options.jobs
    report = check(options.dataset, options.quick, reference, jobs)
    if options.json:
        print(as_json(report, options.examples))
    else:
        print_report(report, options.examples)
    failed = report.failed("error") or (options.strict and report.failed("warning"))
    return FAILED if failed else 0


def _report(outcome: "Outcome", text: str, notes: list[str]) -> int:
    print(text)
    for line in notes:
        console.note(f"{PROGRAM}: {line}")
    return SOME_REJECTED if outcome.card["rejected_strips"] else 0
