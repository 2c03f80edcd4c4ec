"""What an evaluation leaves in its folder: table, summaries, pictures, page and record."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from sise.bundle import library_versions
from sise.devices import device_name
from sise.evaluation import paper
from sise.evaluation.page import Picture, render
from sise.evaluation.pictures import Line, as_jpeg, caption, grid, shown
from sise.evaluation.run import MAPS, TABLE, Evaluation
from sise.evaluation.store import MapStore
from sise.evaluation.summary import summarise
from sise.evaluation.tables import frame, frame_by_class, frame_of_pairs, markdown
from sise.explanation import OK
from sise.images import write_whole
from sise.metrics import METRICS

GRID, RECORD, PAIRS = "grid.jpg", "evaluation.json", "pairs.csv"
FORMAT = "steel-sise evaluation 1"


def publish(run: Evaluation, per_class: int = 1, seed: int = 0) -> Path:
    """Write per_image.parquet, summary.md, .csv and .html, per_class.csv, grid.jpg and the record.

    With pairs, pairs.csv too. The first method of the plan is the one that others are tested
    against. Gives the page's path.
    Raises DatasetError if not one item could be read.
    """
    out, plan, rows = run.out, run.plan, run.table()
    architecture = run.bundle.card.architecture
    write_whole(out / TABLE, lambda path: rows.to_parquet(path, index=False))
    summary = summarise(rows, plan.specs[0].text, seed, fill=plan.fills[0], pairs=plan.pairs)
    theirs = paper.reported(run.dataset.name, architecture)
    title = f"{run.dataset.name}, {architecture}"
    write_table(out / "summary.csv", frame(summary))
    write_table(out / "per_class.csv", frame_by_class(summary))
    (out / PAIRS).unlink(missing_ok=True)  # of an earlier run's pairs
    if plan.pairs:
        write_table(out / PAIRS, frame_of_pairs(summary))
    write_text(out / "summary.md", markdown(summary, title, theirs))
    record = write_grid_and_record(run, rows, per_class)
    pictures = [Picture(GRID, "Maps of every method", caption(per_class))]
    write_text(out / "summary.html", render(summary, title, record, theirs, pictures))
    return out / "summary.html"


def write_grid_and_record(run: Evaluation, rows: pd.DataFrame, per_class: int) -> dict[str, Any]:
    """Write grid.jpg, of `per_class` items of each class, and evaluation.json; gives the record."""
    picture, record = as_jpeg(grid(_grid_lines(run, rows, per_class))), _record(run)
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(run.out / GRID, lambda path: path.write_bytes(picture))
    write_text(run.out / RECORD, text)
    return record


def _grid_lines(run: Evaluation, rows: pd.DataFrame, per_class: int) -> list[Line]:
    """The first items of each class, with the map of every method."""
    dataset, specs, maps = run.dataset, run.plan.specs, MapStore(run.out / MAPS)
    columns = (rows[name] for name in ("item", "method", "status", "score"))
    known = {
        (item, method): (status, float(score))
        for item, method, status, score in zip(*columns, strict=True)
    }
    readable = [item for item in run.items if (item.id, specs[0].text) in known]
    lines = []
    for item in shown(readable, per_class):
        _, score = known[item.id, specs[0].text]
        drawn = {}
        for one in specs:
            status, _ = known[item.id, one.text]
            drawn[one.title] = maps.kept(one, item.id) if status == OK else status
        pixels, truth = dataset.pixels(item), dataset.truth(item)
        lines.append(Line(dataset.classes[item.label], score, pixels, truth, drawn))
    return lines


def write_table(path: Path, content: pd.DataFrame) -> None:
    write_whole(path, lambda temporary: content.to_csv(temporary, index=False))


def write_text(path: Path, content: str) -> None:
    write_whole(path, lambda temporary: temporary.write_text(content, "utf-8"))


def _record(run: Evaluation) -> dict[str, Any]:
    """Model, data, methods, machine: all that somebody needs to run it again, and what failed."""
    bundle, dataset, items, plan = run.bundle, run.dataset, run.items, run.plan
    device = next(bundle.model.parameters()).device
    counts = Counter(dataset.classes[item.label] for item in items)
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": run.command,
        "bundle": {
            "sha256": bundle.sha256,
            "architecture": bundle.card.architecture,
            "classes": list(bundle.card.classes),
            "input_size": list(bundle.card.input_size),
            "dataset": dict(bundle.card.dataset),
            "metrics": dict(bundle.card.metrics),
        },
        "dataset": {
            "name": dataset.name,
            "items": len(items),
            "images": len({item.image for item in items}),
            "groups": len({item.unit for item in items}),
            "per_class": dict(counts),
            "truth": dict(Counter(item.truth for item in items)),
        },
        "unreadable": run.unreadable,
        "methods": {spec.text: spec.title for spec in plan.specs},
        "pairs": [list(pair) for pair in plan.pairs],
        "metrics": list(plan.metrics or METRICS),
        "fills": list(plan.fills),
        "steps": plan.steps,
        "options": dict(plan.shared),
        "machine": {
            "device": device.type,
            "name": device_name(device),
            "threads": torch.get_num_threads(),
        },
        "versions": library_versions(),
    }
