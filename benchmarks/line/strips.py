"""How fast `defect-inspect run` classifies strips: by each backend, and as it did before.

    python benchmarks/line/strips.py --strips strips/test_images --bundle run/bundle --json out.json

Before 2026-11-27 patches were classified by the model as it is, its weights converted
(`forward_in`), and only masks were scored by a network made for speed. Here the same strips are
classified by each in turn, round after round, on one thread. Processor seconds, as the machine
may be shared; reading, cutting and measuring the patches count, and what is done once does not.
"""

import json
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jsonargparse import auto_cli

from inspection.pipeline.classifier import (
    BackendName,
    Classifier,
    StripClassifier,
    load_classifier,
)
from inspection.pipeline.policy import probability_column
from inspection.pipeline.strips import list_batch, read_strip
from sise import bundle
from sise.architectures import build_network
from sise.backends import Network
from sise.devices import device_name
from sise.precision import forward_in, resolve

CLASSES = ("normal", "class 1", "class 2", "class 3", "class 4")
WAYS = ("before", "torch", "openvino")


def main(
    strips: Path,
    bundle: Path,
    architectures: Sequence[str] = ("squeezenet1_1", "resnet18", "resnet50"),
    rounds: int = 3,
    most: int = 24,
    json_file: Path | None = None,
) -> None:
    """Print, and write, strips per processor second.

    Args:
        strips: folder of strips.
        bundle: of a trained network; its flags are compared.
        architectures: measured beside it, untrained.
        rounds: each classifies the strips once in every way.
        most: strips, at most.
        json_file: to write the results to.
    """
    torch.set_num_threads(1)
    files = list_batch(strips).strips[:most]
    results = {"strips": len(files), "rounds": rounds, "networks": {}}
    with TemporaryDirectory() as folder:
        named = {"trained": bundle} | {
            name: untrained(name, Path(folder) / name) for name in architectures
        }
        for name, path in named.items():
            results["networks"][name] = measured(files, path, rounds)
            print(name, json.dumps(results["networks"][name], indent=1), flush=True)
    libraries = ("steel-sise", "torch", "torchvision", "openvino")
    results["versions"] = {"python": platform.python_version()} | {
        library: version(library) for library in libraries
    }
    results["device"] = device_name(torch.device("cpu"))
    if json_file is not None:
        json_file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def untrained(architecture: str, folder: Path) -> Path:
    """A bundle of an untrained network."""
    torch.manual_seed(0)
    card = bundle.ModelCard(architecture, CLASSES, (256, 256), (0.4,) * 3, (0.2,) * 3)
    bundle.save(folder, card, build_network(architecture, len(CLASSES)))
    return folder


def measured(files: Sequence[Any], path: Path, rounds: int) -> dict[str, Any]:
    """Seconds and strips per second of each way, and how its answers differ from before."""
    ways, once = {}, {}
    for way in WAYS:
        begun = time.process_time()
        ways[way] = classifier(path, way)
        first = run(files[:1], ways[way])
        once[way] = time.process_time() - begun
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    tables = {}
    for number in range(rounds):
        for way in WAYS if number % 2 == 0 else reversed(WAYS):
            begun = time.process_time()
            tables[way] = run(files, ways[way])
            seconds[way].append(time.process_time() - begun)
    card = ways["before"].bundle.card
    columns = [probability_column(name) for name in card.classes]
    defects = [probability_column(name) for name in card.classes if name != "normal"]
    limits = np.array([card.thresholds.get(name, 0.5) for name in card.classes if name != "normal"])
    first = tables["before"]
    return {
        "architecture": card.architecture,
        "precision": ways["before"].precision,
        "patches": len(first),
        "once_s": {way: round(value, 2) for way, value in once.items()},
        "strips_per_s": {
            way: round(len(files) / statistics.median(values), 2) for way, values in seconds.items()
        },
        "ratio_to_before": {
            way: sorted(round(a / b, 2) for a, b in zip(seconds["before"], values, strict=True))
            for way, values in seconds.items()
            if way != "before"
        },
        "largest_difference": {
            way: float((tables[way][columns] - first[columns]).abs().max(axis=None))
            for way in WAYS[1:]
        },
        "other_flags": {
            way: int(
                ((tables[way][defects] >= limits).any(axis=1)
                 != (first[defects] >= limits).any(axis=1)).sum()
            )
            for way in WAYS[1:]
        },
    }  # fmt: skip


def classifier(path: Path, way: str) -> Classifier:
    """The bundle's classifier, as before or by a backend."""
    backend: BackendName = "openvino" if way == "openvino" else "torch"
    made = load_classifier(path, "cpu", backend=backend)
    if way != "before":
        return made
    dtype = resolve(made.precision, made.device)
    forward = forward_in(made.bundle.model, dtype)
    return replace(made, network=Network(forward, dtype, static=False))


def run(files: Sequence[Any], model: Classifier) -> Any:
    """Stages "read" and "classify" of these strips, eight at a time."""
    import pandas as pd

    classify = StripClassifier(model, 224)
    parts = [
        classify([read_strip(file, model.patch) for file in files[first : first + 8]])
        for first in range(0, len(files), 8)
    ]
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
