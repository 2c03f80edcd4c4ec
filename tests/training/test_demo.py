"""The demo as `make demo` runs it, held to what it promises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from severstal_prep.dataset import CLASS_NAMES
from sise.architectures import build_network
from training.crops import read_recast
from training.data import CropDataset, channel_statistics, crop_loader
from training.evaluate import evaluate, predict
from training.weights import DEMO_ARCHITECTURE, initialise

ROOT = Path(__file__).parents[2]


def untrained(data: Path) -> float:
    """Macro recall, on the test crops, of the weights that the demo starts from."""
    torch.manual_seed(0)
    network = build_network(DEMO_ARCHITECTURE, len(CLASS_NAMES))
    initialise(network, DEMO_ARCHITECTURE, "demo")
    dataset = read_recast(data)
    mean, std = channel_statistics(dataset.crops("train").paths)
    batches = crop_loader(CropDataset(dataset.crops("test")), 64, 0)
    logits, labels = predict(network, mean, std, batches, "fp32")
    return evaluate(logits, labels, CLASS_NAMES).macro_recall


@pytest.mark.slow(minutes=3)
def test_the_demo_tells_the_classes_apart_and_ends_with_a_report(tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    done = subprocess.run(
        ["make", "--no-print-directory", "--assume-old=.venv/.ready", "demo",
         f"DEMO={demo}", f"BIN={Path(sys.executable).parent}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MAKELEVEL": "0", "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == str(demo / "report" / "index.html")
    assert "weights demo: learned on generated strips of another seed" in done.stderr
    results = json.loads((demo / "run" / "test" / "test.json").read_text("utf-8"))
    assert results["top1"] >= 0.83
    assert results["macro_recall"] >= 0.66
    assert untrained(demo / "dataset") < 0.4, "the demo must have something to learn"
