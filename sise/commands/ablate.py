"""`sise ablate`: what fewer forward passes cost SISE."""

from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat, PositiveInt

from sise.commands.options import (
    UNREADABLE_INPUTS,
    add_fills,
    add_running,
    add_subjects,
    evaluated,
    shared_options,
)


def parser() -> ArgumentParser:
    options = ArgumentParser(
        description="Explain every item by SISE with every mask, with larger μ (the paper's table "
        "6) and under budgets, and write OUT/ablation.md, .csv, curves.png and grid.jpg: metrics, "
        "passes and agreement with the exact maps. What OUT holds already is not made again."
    )
    options.add_argument("--config", action="config", help="YAML file with these options")
    add_subjects(options, limit=100)
    options.add_argument(
        "--mu",
        type=Literal["otsu"] | NonNegativeFloat,
        nargs="*",
        default=[0.3, 0.5, 0.75, "otsu"],
        help="values of μ besides 0; otsu is Ada-SISE",
    )
    options.add_argument(
        "--budget",
        type=Literal["auto"] | PositiveInt,
        nargs="*",
        default=[19, 47, 94, 188, 376, "auto"],
        help="forward passes an image, at most",
    )
    options.add_argument(
        "--base", type=str, default="sise", help="the SISE to change, such as sise:context=reflect"
    )
    add_fills(options, ["grey"])
    add_running(options)
    options.add_argument("--out", type=Path, required=True, help="folder to write to")
    return options


def run(arguments: Namespace) -> int:
    from sise.ablation.report import publish
    from sise.ablation.sweep import points, settings
    from sise.evaluation.paper import METRICS
    from sise.evaluation.report import write_grid_and_record
    from sise.evaluation.run import MAPS, Plan
    from sise.evaluation.store import MapStore

    chosen = settings(arguments.base, arguments.mu, arguments.budget)
    plan = Plan(
        tuple(one.spec for one in chosen),
        tuple(arguments.fills),
        shared_options(arguments),
        metrics=METRICS,
    )
    done = evaluated(arguments, plan, "ablate")
    rows, maps = done.table(), MapStore(done.out / MAPS)
    specs = {one.text: one for one in plan.specs}
    means = points(
        rows, chosen, lambda method, item: maps.kept(specs[method], item), arguments.seed
    )
    write_grid_and_record(done, rows, per_class=1)
    bundle, dataset = done.bundle, done.dataset
    architecture = bundle.card.architecture
    about = (
        f"{arguments.base} of {architecture} (bundle {bundle.sha256[:12]}) on "
        f"{rows['item'].nunique()} items of {dataset.name}."
    )
    print(publish(means, about, dataset.name, architecture, done.out))
    return UNREADABLE_INPUTS if done.unreadable else 0
