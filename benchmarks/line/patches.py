"""What explaining a patch costs on a processor, one at a time and many at once.

    python benchmarks/line/patches.py --json_file results.json

Each patch with its target's map, its figures, the second method and the runner-up's map, as
`defect-inspect run` explains it, by untrained networks on one thread. *Before* is a call for each
step of each patch, as until 2026-11-27. By processor seconds, as the machine may be shared.
"""

import json
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jsonargparse import auto_cli
from strips import untrained

from inspection.pipeline.classifier import BackendName, Classifier, load_classifier
from inspection.pipeline.explainer import (
    PatchExplainer,
    PatchTask,
    explained_region,
    region,
)
from inspection.pipeline.outlines import svg_path
from inspection.pipeline.settings import SiseOptions
from sise import SISE
from sise.baselines import Masker
from sise.devices import device_name
from sise.explanation import OK
from sise.methods.gradcam import GradCAM
from sise.metrics import KEPT_SHARE, top_share
from sise.presets import MU
from sise.statistics import pearson

# How many patches a call has, by network and backend: as many as are measured in minutes.
AT_ONCE: dict[tuple[str, BackendName], tuple[int, ...]] = {
    ("squeezenet1_1", "openvino"): (1, 8, 32),
    ("squeezenet1_1", "torch"): (1, 8),
    ("resnet18", "openvino"): (1, 8),
    ("resnet18", "torch"): (1, 8),
    ("resnet50", "openvino"): (1, 8),
    ("resnet50", "torch"): (1,),
}


def main(json_file: Path | None = None) -> None:
    """Print, and write, processor seconds per patch.

    Args:
        json_file: to write the results to.
    """
    torch.set_num_threads(1)
    results: dict[str, Any] = {"networks": {}}
    with TemporaryDirectory() as folder:
        for (name, backend), counts in AT_ONCE.items():
            bundle = Path(folder) / name
            classifier = load_classifier(
                bundle if bundle.exists() else untrained(name, bundle), "cpu", backend=backend
            )
            found = measured(classifier, counts)
            results["networks"][f"{name}, {backend}"] = found
            print(name, backend, json.dumps(found), flush=True)
    libraries = ("steel-sise", "torch", "torchvision", "openvino")
    results["versions"] = {"python": platform.python_version()} | {
        library: version(library) for library in libraries
    }
    results["device"] = device_name(torch.device("cpu"))
    if json_file is not None:
        json_file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def measured(classifier: Classifier, counts: Sequence[int]) -> dict[str, Any]:
    """Seconds per patch by how many a call has, each between two patches as before."""
    tasks = some_tasks(max(counts), classifier)
    explainer = PatchExplainer(classifier, SiseOptions())
    before = Before(classifier, SiseOptions())
    seconds(explainer, tasks[:1])
    once = [seconds(before, tasks[0]) for _ in range(2)][1:]
    each = []
    for count in counts:
        each.append(seconds(explainer, tasks[:count]) / count)
        once.append(seconds(before, tasks[0]))
    plain = [(early + late) / 2 for early, late in pairwise(once)]
    return {
        "precision": classifier.precision,
        "patches_at_once": explainer.patches_at_once,
        "before_s": [round(value, 2) for value in once],
        "s": {count: round(value, 2) for count, value in zip(counts, each, strict=True)},
        "ratio_to_before": {
            count: round(early / late, 2)
            for count, early, late in zip(counts, plain, each, strict=True)
        },
    }


def seconds(work: Callable[[Any], object], given: Any) -> float:
    begun = time.process_time()
    work(given)
    return time.process_time() - begun


def some_tasks(count: int, classifier: Classifier) -> list[PatchTask]:
    """Grey noise, coarse and fine, for two classes in turn."""
    drawn, side, names = np.random.default_rng(0), classifier.patch, classifier.classes
    tasks = []
    for place in range(count):
        coarse = drawn.integers(60, 180, (side // 16, side // 16)).repeat(16, 0).repeat(16, 1)
        grey = coarse + drawn.integers(0, 40, (side, side))
        pixels = grey[..., None].repeat(3, axis=2).astype(np.uint8)
        tasks.append(PatchTask(pixels, names[place % 5], names[(place + 1) % 5]))
    return tasks


class Before:
    """A call for each step of each patch, with batches as large as what there is to do."""

    def __init__(self, classifier: Classifier, options: SiseOptions) -> None:
        model, self.classifier, self.fill = classifier.bundle.model, classifier, options.fill
        self.sise = SISE(
            model,
            mu=MU,
            fusion=options.fusion,
            budget=options.budget,
            fill=options.fill,
            context=options.context,
            evidence=options.evidence,
            precision=classifier.precision,
            backend=classifier.backend,
        )
        self.sise.engine.score_by(classifier.network, classifier.device)
        self.gradcam = GradCAM(model, precision=classifier.precision, batch_size=1)

    def __call__(self, task: PatchTask) -> None:
        target, second = map(self.classifier.classes.index, (task.target, task.runner_up))
        image = self.classifier.bundle.preprocess(np.stack([task.pixels]))
        found = self.sise(image, target=target)
        if found.status[0] == OK:
            heat = found.maps[0].numpy()
            top = top_share(found.maps, KEPT_SHARE)[0]
            keep = torch.stack([torch.ones_like(top), top, ~top])
            masked = Masker(image, self.fill).masked(torch.zeros(3, dtype=torch.int64), keep)
            with torch.inference_mode():
                self.classifier.network.forward(masked).float().softmax(dim=1)
            explained_region(heat)
            svg_path(region(heat))
            pearson(heat, self.gradcam(image, target=target).maps[0].numpy())
        self.sise(image, target=second)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
