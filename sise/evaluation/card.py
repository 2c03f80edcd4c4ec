"""What an evaluation says of itself: `evaluation.json`."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from sise.bundle import ModelBundle, library_versions
from sise.datasets.dataset import Dataset, Item
from sise.devices import device_name
from sise.evaluation.run import Done, Plan
from sise.images import write_whole

NAME = "evaluation.json"
FORMAT = "steel-sise evaluation 1"

Card = dict[str, Any]


def card(
    bundle: ModelBundle,
    dataset: Dataset,
    items: Sequence[Item],
    plan: Plan,
    done: Sequence[Done],
    command: str,
) -> Card:
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


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `evaluation.json` into `folder`."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / NAME, lambda temporary: temporary.write_text(text, "utf-8"))
