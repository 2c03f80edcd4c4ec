"""What an evaluation leaves in its folder: table, summaries, pictures, page and record."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from sise.bundle import ModelBundle, library_versions
from sise.datasets.dataset import Dataset, Item
from sise.devices import device_name
from sise.errors import DatasetError
from sise.evaluation import paper
from sise.evaluation.page import Picture, render
from sise.evaluation.pictures import Line, as_jpeg, caption, grid, shown
from sise.evaluation.run import MAPS, TABLE, Done, Plan, table
from sise.evaluation.store import MapStore
from sise.evaluation.summary import summarise
from sise.evaluation.tables import frame, frame_by_class, markdown
from sise.explanation import OK
from sise.images import write_whole
from sise.registry import MethodSpec

GRID, RECORD = "grid.jpg", "evaluation.json"
FORMAT = "steel-sise evaluation 1"


def publish(
    bundle: ModelBundle,
    dataset: Dataset,
    items: Sequence[Item],
    plan: Plan,
    done: Sequence[Done],
    command: str,
    out: Path,
    per_class: int = 1,
    seed: int = 0,
) -> Path:
    """Write per_image.parquet, summary.md, .csv and .html, per_class.csv, grid.jpg and the record.

    The first method of the plan is the one that others are tested against. Gives the page's path.
    Raises DatasetError if not one item could be read.
    """
    if not any(one.rows for one in done):
        raise DatasetError(f"{dataset.name}: not one of its {len(items)} items could be read")
    rows = table(done)
    write_whole(out / TABLE, lambda path: rows.to_parquet(path, index=False))
    record = record_of(bundle, dataset, items, plan, done, command)
    summary = summarise(rows, plan.specs[0].text, seed, fill=plan.fills[0])
    theirs = paper.reported(dataset.name, bundle.card.architecture)
    title = f"{dataset.name}, {bundle.card.architecture}"
    picture = as_jpeg(grid(grid_lines(dataset, rows, plan.specs, items, out, per_class)))
    page = render(
        summary, title, record, theirs, [Picture(GRID, "Maps of every method", caption(per_class))]
    )
    write_whole(out / GRID, lambda path: path.write_bytes(picture))
    write_table(out / "summary.csv", frame(summary))
    write_table(out / "per_class.csv", frame_by_class(summary))
    write_text(out / "summary.md", markdown(summary, title, theirs))
    write_record(out / RECORD, record)
    write_text(out / "summary.html", page)
    return out / "summary.html"


def grid_lines(
    dataset: Dataset,
    rows: pd.DataFrame,
    specs: Sequence[MethodSpec],
    items: Sequence[Item],
    out: Path,
    per_class: int,
) -> list[Line]:
    """The first items of each class, with the map of every method, for `pictures.grid`."""
    maps = MapStore(out / MAPS)
    known = {
        (item, method): (status, float(score))
        for item, method, status, score in zip(
            rows["item"], rows["method"], rows["status"], rows["score"], strict=True
        )
    }
    readable = [item for item in items if (item.id, specs[0].text) in known]
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


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """What was run, as JSON."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_table(path: Path, content: pd.DataFrame) -> None:
    write_whole(path, lambda temporary: content.to_csv(temporary, index=False))


def write_text(path: Path, content: str) -> None:
    write_whole(path, lambda temporary: temporary.write_text(content, "utf-8"))


def record_of(
    bundle: ModelBundle,
    dataset: Dataset,
    items: Sequence[Item],
    plan: Plan,
    done: Sequence[Done],
    command: str,
) -> dict[str, Any]:
    """Model, data, methods, machine: all that somebody needs to run it again, and what failed."""
    device = next(bundle.model.parameters()).device
    counts = Counter(dataset.classes[item.label] for item in items)
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
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
            "per_class": dict(counts),
        },
        "unreadable": [one.unreadable for one in done if one.unreadable],
        "methods": {spec.text: spec.title for spec in plan.specs},
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
