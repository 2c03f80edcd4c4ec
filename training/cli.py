"""The command line `defect-train`."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt

from severstal_prep import console
from severstal_prep.errors import PrepError
from severstal_prep.remote import carried, carrying, is_place
from severstal_prep.usage import parse
from sise.errors import SiseError
from training.costs import COSTS_HELP, RISK_HELP, cost_table
from training.errors import RecipeError, TrainingError
from training.recipes import take_configs, with_addresses

PROGRAM = "defect-train"
LISTING = "--list-architectures"
EXPECTED = (TrainingError, PrepError, SiseError)
FIT_MEMORY = "give a smaller --data.batch_size, or fewer --data.num_workers"
MEMORY = "give a smaller --batch-size, or fewer --num-workers"

FIT_HELP = """\
usage: defect-train fit --config RECIPE --data.root DIR [--out DIR] [OPTION ...]

Train a classifier on a recast dataset by a recipe, and write its model bundle to OUT/bundle.
The same command again resumes an interrupted training. Whatever a recipe's YAML sets is an
option too, and wins over the recipe.

recipes:
  demo                       a small CNN that has seen generated strips before; for the sample
  paper                      ResNet-101 as the paper trained it: SGD, 40 epochs, rate 0.1 halved
                             every 5
  strong                     ResNet-101 from ImageNet weights: AdamW, logit-adjusted loss, flips,
                             averaged weights

options:
  --config RECIPE            demo, paper, strong or a YAML file; may be repeated, the last wins
  --data.root DIR            recast dataset (severstal-prep build)
  --out DIR                  run folder (default: runs/RECIPE)
  --seed_everything N        seed of weights, order and variations (default: 0)
  --model.architecture NAME  any CNN of torchvision, or of timm, timm:tf_efficientnet_lite0 say
                             (default: resnet101)
  --model.weights W          none, imagenet, demo (what the demo starts from), or a file:
                             .safetensors, .pth, .npz; FILE#PART chooses one of several state
                             dicts in it, w.pth#ema say (default: none)
  --model.channels N         1 for grey crops: a network that looks at one channel (default: 3)
  --data.batch_size N        crops per training batch, of all devices together (default: 64)
  --data.num_workers N       processes that prepare crops (default: one per core, up to 8)
  --data.cache_dir DIR       where decoded crops are kept (default: cache in the dataset's folder;
                             --data.cache false decodes them anew in each epoch)
  --data.masking.black_out F share of the defect crops that lose their defect and become normal
                             (default: 0); also alone, random, empty: see --help-all
  --trainer.max_epochs N     epochs; the learning-rate schedule spans them
  --trainer.accelerator A    auto, cpu or gpu (default: auto)
  --trainer.devices N        devices of a host that train together (default: 1), on
                             --trainer.num_nodes N hosts
  --trainer.precision P      bf16-mixed, 32-true, ... (default: the fastest that the device has)
  --monitor M                what chooses the best epoch: val/macro_recall, val/top1, val/loss, or
                             val/mixture of macro recall and EBPG (default: val/macro_recall)
  --explain.every N          epochs between maps of validation crops in TensorBoard (default: 0,
                             never), of --explain.crops N of them (default: 8)
  --explain.weight W         share of EBPG in the monitor val/mixture (default: 0.2)
  --thresholds JSON          flagging thresholds (default: 0.5 each), as '{"class 1": 0.4}'
  --costs COSTS              choose thresholds by what wrong decisions cost: escape=100,overkill=1;
                             'class 3.escape=500' for a class, prevalence=0.02 for the line's share
                             of defects
  --risk R                   error allowed where the machine decides alone (default: 0.02)
  --print_config             print the resolved configuration as YAML and exit
  --list-architectures [P]   list the networks, all or those of a pattern ('*lite*'), and exit
  --help-all                 list every option of LightningCLI and exit
  -h, --help                 show this and exit

examples:
  defect-train fit --config demo --data.root recast
  defect-train fit --config strong --data.root recast --out runs/r50 --model.architecture resnet50
  defect-train fit --config paper --print_config > mine.yaml
"""


TUNE_HELP = """\
usage: defect-train tune --config RECIPE --data.root DIR [--trials N] [--out DIR] [OPTION ...]

Train by a recipe many times, each time with other values from the ranges of its block `tune`, and
end with the best run's bundle and with OUT/best.yaml, a recipe for `fit`. Each trial is a run of
fit in a folder of OUT; one that falls behind the median of those before ends early. The same
command again continues, up to N trials. Needs Optuna: pip install "steel-sise[tune]".

  tune:
    model.optimizer.init_args.lr: {low: 0.0001, high: 0.01, log: true}
    data.batch_size: {choices: [32, 64]}

options:
  --config RECIPE            a recipe with a block `tune`; may be repeated, the last wins
  --trials N                 how many trials there are to be in all (default: 20)
  --out DIR                  folder of the study (default: runs/RECIPE-tune)
  --monitor M                what is made as good as can be: val/macro_recall, val/top1, val/loss,
                             val/mixture (default: the recipe's)
  --seed_everything N        seed of the trials, and of what is tried (default: 0)
  OPTION                     any option of fit, the same for all trials
  -h, --help                 show this and exit

examples:
  defect-train tune --config strong --data.root recast --trials 30
  defect-train fit --config runs/strong-tune/best.yaml --data.root recast --seed_everything 1
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["fit"]:
        return console.run(PROGRAM, lambda: _fit(args[1:]), EXPECTED, FIT_MEMORY)
    if args[:1] == ["tune"]:
        return console.run(PROGRAM, lambda: _tune(args[1:]), EXPECTED, FIT_MEMORY)
    options = parse(_parser(), args)
    command = {"test": _test, "export": _export}[options.command]
    chosen = options[options.command]
    return console.run(PROGRAM, lambda: carried(command, chosen, console.track), EXPECTED, MEMORY)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog=PROGRAM,
        version=version("steel-sise"),
        description="Train classifiers of steel crops, and test them.",
        exit_on_error=False,
    )
    commands = parser.add_subcommands(required=True, dest="command")
    commands.add_subcommand(
        "fit", ArgumentParser(), help="train by a recipe; ends with a model bundle"
    )
    commands.add_subcommand(
        "tune", ArgumentParser(), help="train by a recipe many times, with values from its ranges"
    )
    commands.add_subcommand("test", _test_parser(), help="evaluate a model bundle on a split")
    commands.add_subcommand(
        "export",
        _export_parser(),
        help="make a bundle from a checkpoint, or of a bundle a file for the line",
    )
    return parser


def _test_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Evaluate a model bundle: table on stdout, OUT/test.json, and pictures in OUT: "
        "confusion.png, risk-coverage.png, and costs.png if its thresholds were chosen by costs."
    )
    parser.add_argument("--config", action="config", help="YAML file with options of this command")
    parser.add_argument("--run", type=Path | None, help="run folder of fit; its bundle is tested")
    parser.add_argument("--bundle", type=Path | None, help="model bundle, instead of --run")
    parser.add_argument("--data.root", type=Path, required=True, help="recast dataset")
    parser.add_argument(
        "--split",
        type=Literal["train", "val", "test"],
        default="test",
        help="which crops of the dataset",
    )
    parser.add_argument(
        "--out", type=Path | None, help="folder of the results (default: SPLIT beside the bundle)"
    )
    _add_computing(parser)
    return parser


def _export_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Make a model bundle from a checkpoint of fit. With --data.root its "
        "probabilities are calibrated, and it is evaluated, on the validation split. With --format "
        "onnx or openvino: make one file that takes images as they are read and gives calibrated "
        "probabilities, checked against PyTorch on validation crops, or on generated images."
    )
    parser.add_argument("--config", action="config", help="YAML file with options of this command")
    parser.add_argument("--checkpoint", type=Path | None, help="RUN/checkpoints/best.ckpt, say")
    parser.add_argument(
        "--bundle", type=Path | None, help="model bundle, instead of --checkpoint, for the line"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle or the file")
    parser.add_argument(
        "--format",
        type=Literal["bundle", "onnx", "openvino"],
        default="bundle",
        help="what is made; of a checkpoint, onnx and openvino make its bundle too, OUT/bundle",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="write the file in 8-bit integers, too, and measure what they cost",
    )
    parser.add_argument(
        "--data.root", type=Path | None, help="recast dataset to calibrate and check on"
    )
    parser.add_argument(
        "--thresholds",
        type=dict[str, float],
        default={},
        help="probability from which a patch is flagged, by class (default: 0.5 for each)",
    )
    parser.add_argument("--costs", type=cost_table, default=None, help=COSTS_HELP)
    parser.add_argument("--risk", type=float | None, default=None, help=RISK_HELP)
    _add_computing(parser)
    return parser


def _add_computing(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--precision",
        type=Literal["auto", "fp64", "fp32", "bf16"],
        default="auto",
        help="of the forward passes; auto is bf16 where the hardware has it",
    )
    parser.add_argument("--batch-size", type=PositiveInt, default=64, help="crops per pass")
    parser.add_argument(
        "--num-workers",
        type=NonNegativeInt | None,
        help="processes that decode crops (default: one per core, up to 8)",
    )


def _computing(options: Namespace) -> tuple[Any, Any, Any]:
    return options.precision, options.batch_size, options.num_workers


def _fit(args: Sequence[str]) -> int:
    if "-h" in args or "--help" in args:
        print(FIT_HELP, end="")  # LightningCLI's own takes seconds to load, and pages to read
        return 0
    if "--help-all" in args:
        from training.fit import print_all_options

        return print_all_options()
    if args and args[0].partition("=")[0] == LISTING:
        return _list_architectures(args)
    recipe = take_configs(args)
    from training.fit import fit

    with carrying(console.track) as bring:
        return fit(replace(recipe, bring=bring))


def _list_architectures(args: Sequence[str]) -> int:
    from training.networks import show

    _, equals, pattern = args[0].partition("=")
    words = [pattern] if equals else list(args[1:])
    if len(words) > 1:
        raise TrainingError(f"{LISTING} takes one pattern; put it in quotes, '*lite*' say")
    show(*words)
    return 0


def _tune(args: Sequence[str]) -> int:
    if "-h" in args or "--help" in args:
        print(TUNE_HELP, end="")
        return 0
    trials, rest = _take_trials(args)
    recipe = take_configs(rest)
    if not find_spec("optuna"):
        raise TrainingError('tune needs Optuna: pip install "steel-sise[tune]"')
    from training.tune import tune

    with carrying(console.track) as bring:
        return tune(replace(recipe, bring=bring), trials)


def _take_trials(args: Sequence[str]) -> tuple[int, list[str]]:
    """How many trials `args` ask for, and the other arguments, which are those of fit."""
    trials, rest = "20", []
    remaining = iter(args)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if flag == "--trials":
            trials = value if equals else next(remaining, "")
        else:
            rest.append(argument)
    if not trials.isdecimal() or int(trials) < 1:
        raise RecipeError(f"--trials {trials}: give a whole number above 0")
    return int(trials), rest


def _test(options: Namespace) -> int:
    if (options.run is None) == (options.bundle is None):
        raise TrainingError("test needs either --run or --bundle")
    bundle = options.bundle or options.run / "bundle"
    if options.bundle and is_place(bundle) and not options.out:
        raise TrainingError("--bundle is an address: give --out, too, for the results")
    out = options.out or bundle.parent / options.split

    from sise.outputs import check_apart, check_folder, holds
    from training.assess import PICTURES, RESULTS_NAME, assess

    def ours(folder: Path) -> bool:
        if holds(folder / RESULTS_NAME, bundle_sha256=..., dataset_card_sha256=...):
            return True
        return {path.name for path in folder.iterdir()} <= set(PICTURES)  # interrupted

    check_apart(out, (bundle, options.data.root))
    check_folder(out, ours)
    from training.classification_report import as_text

    report = assess(bundle, options.data.root, out, options.split, *_computing(options))
    _save_config(_test_parser(), options, out)
    print(as_text(report))
    print(out)
    return 0


def _export(options: Namespace) -> int:
    if (options.checkpoint is None) == (options.bundle is None):
        raise TrainingError("export needs either --checkpoint or --bundle")
    if options.format != "bundle":
        return _export_line(options)
    if options.bundle is not None:
        raise TrainingError("--bundle is one already; give --format onnx or openvino")
    if options.int8:
        raise TrainingError("--int8 needs --format onnx or openvino")
    from sise.bundle import CARD_NAME, FORMAT
    from sise.outputs import check_apart, check_folder, holds

    check_apart(options.out, _read(options))
    check_folder(options.out, lambda folder: holds(folder / CARD_NAME, format=FORMAT))
    _export_bundle(options, options.out)
    _save_config(_export_parser(), options, options.out)
    print(options.out)
    return 0


def _export_line(options: Namespace) -> int:
    if options.bundle is not None and (
        options.thresholds or options.costs is not None or options.risk is not None
    ):
        raise TrainingError("--thresholds, --costs and --risk are the bundle's; give --checkpoint")
    from tempfile import TemporaryDirectory

    from training.line import check_line, export_line, summary

    root, made = options.data.root, options.bundle is None
    check_line(options.out, options.format, options.int8, root, _read(options))
    with TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle" if made else options.bundle
        if made:
            _export_bundle(options, bundle)
        card = export_line(
            bundle,
            options.out,
            options.format,
            root,
            options.int8,
            options.batch_size,
            options.num_workers,
            keep_bundle=made,
        )
    _save_config(_export_parser(), options, options.out)
    for line in summary(card):
        print(line)
    print(options.out)
    return 0


def _read(options: Namespace) -> list[Path]:
    return [path for path in (options.bundle, options.data.root) if path is not None]


def _export_bundle(options: Namespace, folder: Path) -> None:
    from training.finish import export, metrics_line

    bundle = export(
        options.checkpoint,
        folder,
        options.data.root,
        options.thresholds,
        *_computing(options),
        costs=options.costs,
        risk=options.risk,
    )
    print(metrics_line(bundle.card))


def _save_config(parser: ArgumentParser, options: Namespace, folder: Path) -> None:
    from severstal_prep.files import replacing

    with replacing(folder / "config.yaml") as temporary:
        temporary.write_text(with_addresses(parser.dump(options)), "utf-8")
