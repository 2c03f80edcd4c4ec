"""A small bundle and batch, and what a worker is made of."""

from pathlib import Path

import numpy as np
import pytest
from toys import CLASSES, lively_network, write_strip

from inspection.pipeline.classifier import describe_model
from inspection.pipeline.engines import WorkerOptions
from inspection.pipeline.explainer import SiseOptions
from sise import bundle as bundles

CARD = bundles.ModelCard(
    architecture="shufflenet_v2_x0_5",
    classes=CLASSES,
    input_size=(256, 256),
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    thresholds=dict.fromkeys(CLASSES[1:], 0.2),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("b") / "bundle"
    bundles.save(folder, CARD, lively_network())
    return folder


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Three strips of noise of several grains, one that cannot be read."""
    noise = np.random.default_rng(0)
    for number, width in enumerate((600, 256, 480)):
        grain = noise.integers(0, 256, (256 >> number, width >> number, 3), np.uint8)
        pixels = np.kron(grain, np.ones((1 << number, 1 << number, 1), np.uint8))
        write_strip(tmp_path / "batch" / f"{number}.png", pixels)
    (tmp_path / "batch" / "void.jpg").write_bytes(b"")
    return tmp_path / "batch"


@pytest.fixture
def options(bundle: Path) -> WorkerOptions:
    model = describe_model(bundle, "cpu", "fp32", 4, "torch")
    return WorkerOptions(bundle, model, 224, SiseOptions(budget=20), 4)
