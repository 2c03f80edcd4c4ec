"""`sise ablate`: what fewer forward passes cost SISE."""

from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat, PositiveInt

from sise.commands.options import (
    add_running,
    add_subjects,
    command_line,
    shared_options,
    subjects,
)

UNREADABLE_INPUTS = 4


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
    from sise.ablation.points import METRICS, points
    from sise.ablation.publish import publish
    from sise.ablation.sweep import settings
    from sise.evaluation.pictures import as_jpeg, grid
    from sise.evaluation.report import GRID, RECORD, grid_lines, record_of, write_record
    from sise.evaluation.run import MAPS, Plan, evaluate, table
    from sise.evaluation.store import MapStore
    from sise.images import write_whole
    from sise.progress import note, track

    chosen = settings(arguments.base, arguments.mu, arguments.budget)
    plan = Plan(
        tuple(one.spec for one in chosen),
        tuple(arguments.fills),
        shared_options(arguments),
        metrics=METRICS,
    )
    bundle, dataset, items = subjects(arguments, "ablate")
    out: Path = arguments.out
    done = []
    for one in track(evaluate(bundle, dataset, items, plan, out), len(items), "ablating"):
        if one.unreadable:
            note(f"sise ablate: {one.unreadable}; left out")
        done.append(one)
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
