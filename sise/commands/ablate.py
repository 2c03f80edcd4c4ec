"""`sise ablate`: what fewer forward passes cost SISE."""

from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat, PositiveInt

from sise.commands.options import (
    UNREADABLE_INPUTS,
    add_running,
    add_subjects,
    command_line,
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
    options.add_argument(
        "--fills",
        type=Literal["grey", "mean", "blur", "inpaint"],
        nargs="+",
        default=["grey"],
        help="what metrics put where pixels are taken away",
    )
    add_running(options)
    options.add_argument("--out", type=Path, required=True, help="folder to write to")
    return options


def run(arguments: Namespace) -> int:
    from sise.ablation.report import publish
    from sise.ablation.sweep import points, settings
    from sise.evaluation.paper import METRICS
    from sise.evaluation.pictures import as_jpeg, grid
    from sise.evaluation.report import GRID, RECORD, grid_lines, record_of, write_record
    from sise.evaluation.run import MAPS, Plan, table
    from sise.evaluation.store import MapStore
    from sise.images import write_whole

    chosen = settings(arguments.base, arguments.mu, arguments.budget)
    plan = Plan(
        tuple(one.spec for one in chosen),
        tuple(arguments.fills),
        shared_options(arguments),
        metrics=METRICS,
    )
    bundle, dataset, items, done = evaluated(arguments, plan, "ablate")
    out: Path = arguments.out
    rows = table(done)
    maps, slugs = MapStore(out / MAPS), {one.spec.text: one.spec for one in chosen}
    found = points(
        rows, chosen, lambda method, item: maps.kept(slugs[method], item), arguments.seed
    )
    lines = grid_lines(dataset, rows, plan.specs, items, out, per_class=1)
    write_whole(out / GRID, lambda path: path.write_bytes(as_jpeg(grid(lines))))
    record = record_of(bundle, dataset, items, plan, done, command_line())
    write_record(out / RECORD, record)
    architecture = bundle.card.architecture
    about = (
        f"{arguments.base} of {architecture} (bundle {bundle.sha256[:12]}) on "
        f"{rows['item'].nunique()} items of {dataset.name}."
    )
    print(publish(found, about, dataset.name, architecture, out))
    return UNREADABLE_INPUTS if any(one.unreadable for one in done) else 0
