"""`sise sanity`: whether maps depend on what the model has learnt."""

from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat, PositiveInt

from sise.commands.options import (
    UNREADABLE_INPUTS,
    add_running,
    add_subjects,
    command_line,
    shared_options,
    subjects,
)

METHODS = ["sise:budget=94", "gradcam", "sobel"]


def parser() -> ArgumentParser:
    options = ArgumentParser(
        description="Draw the model's weights anew, layer by layer from the logits down, and see "
        "how alike each method's maps stay (docs/sanity.md). Writes OUT/summary.md and .csv, "
        "curves.png, grid.png, similarities.parquet and card.json with the verdicts. What OUT "
        "holds already is not made again: an interrupted run goes on."
    )
    options.add_argument("--config", action="config", help="YAML file with these options")
    add_subjects(options, limit=30)
    options.add_argument(
        "--methods",
        type=str,
        nargs="+",
        default=METHODS,
        help="names of methods, with options if wanted: sise:budget=94 rise:n_masks=2000,seed=1",
    )
    options.add_argument(
        "--mode",
        type=Literal["cascading", "independent"],
        default="cascading",
        help="cascading: what was drawn anew stays so; independent: one step's layers at a time",
    )
    options.add_argument(
        "--seeds",
        type=PositiveInt,
        default=3,
        help="untrained nets to compare with, from --seed on; the steps take the first",
    )
    options.add_argument(
        "--steps", type=PositiveInt, default=20, help="at most; layers are grouped to fit"
    )
    options.add_argument(
        "--margin",
        type=NonNegativeFloat,
        default=0.05,
        help="difference of similarities that the verdict takes for none",
    )
    options.add_argument("--rows", type=PositiveInt, default=6, help="items in the grid of maps")
    add_running(options)
    options.add_argument("--out", type=Path, required=True, help="folder to write to")
    return options


def run(arguments: Namespace) -> int:
    from sise.errors import DatasetError, ImageError, SiseError
    from sise.evaluation.subject import read
    from sise.progress import note, track
    from sise.registry import parse_specs
    from sise.sanity.report import publish
    from sise.sanity.run import Experiment, Plan

    plan = Plan(
        specs=parse_specs(arguments.methods),
        mode=arguments.mode,
        shared=shared_options(arguments),
        seed=arguments.seed,
        seeds=arguments.seeds,
        most=arguments.steps,
    )
    bundle, dataset, items = subjects(arguments, "sanity")
    known, unreadable = [], 0
    for item in items:
        try:
            known.append(read(bundle, dataset, item))
        except (DatasetError, ImageError) as error:
            unreadable += 1
            note(f"sise sanity: {error}; left out")
    if not known:
        raise SiseError(f"{arguments.data}: no item to explain")
    experiment = Experiment(bundle, dataset, known, plan, arguments.out)
    rows = [
        row for some in track(experiment.rows(), experiment.total, "explaining") for row in some
    ]
    verdicts = publish(experiment, rows, arguments.margin, arguments.rows, command_line())
    for spec in plan.specs:
        verdict = verdicts[spec.text]
        print(f"{spec.title}: {verdict.word} ({verdict.why})")
    print(arguments.out / "summary.md")
    return UNREADABLE_INPUTS if unreadable else 0
