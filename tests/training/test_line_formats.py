"""Which files and libraries each format has, and networks of each kind written to them."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sise.architectures import build_network
from sise.bundle import Calibrated, ModelBundle, ModelCard
from sise.colours import IMAGENET_MEAN, IMAGENET_STD
from sise.grey import make_grey
from training.errors import TrainingError
from training.line_formats import FORMATS, Kind
from training.line_model import TOLERANCE, LineModel, by_pytorch

NETWORKS = ["resnet18", "squeezenet1_1", "shufflenet_v2_x0_5", "efficientnet_b0", "convnext_tiny",
            "inception_v3", "timm:tf_efficientnet_lite0"]  # fmt: skip


def test_the_files_of_each_format() -> None:
    assert FORMATS["onnx"].files(int8=False) == ("model.onnx",)
    assert FORMATS["openvino"].files(int8=True) == (
        "model.xml", "model.bin", "model-int8.xml", "model-int8.bin"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "int8", "missing", "words"),
    [
        ("onnx", False, "onnx", '--format onnx needs onnx: pip install "steel-sise[onnx]"'),
        ("openvino", False, "openvino", '--format openvino needs openvino: pip install "st'),
        ("openvino", True, "nncf", '--int8 needs nncf: pip install "steel-sise[int8]"'),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    kind: Kind, int8: bool, missing: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "training.line_formats.find_spec", lambda name: None if name == missing else object()
    )
    with pytest.raises(TrainingError) as refused:
        FORMATS[kind].check_installed(int8)
    assert str(refused.value).startswith(words)


def lively(architecture: str, side: int) -> nn.Module:
    """An untrained network whose answers depend on its input."""
    torch.manual_seed(0)
    network = build_network(architecture, 5, transform_input=architecture == "inception_v3")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(0, 0.3)
    network.train()
    with torch.no_grad():
        network(torch.randn(8, 3, side, side))
    return network.eval()


@pytest.mark.slow(minutes=2)
@pytest.mark.parametrize("kind", list(FORMATS))
@pytest.mark.parametrize(
    ("architecture", "channels"),
    [*((name, 3) for name in NETWORKS), *((name, 1) for name in (NETWORKS[2], NETWORKS[-1]))],
)
def test_networks_of_each_kind_answer_as_in_pytorch(
    architecture: str, channels: int, kind: Kind, tmp_path: Path
) -> None:
    if not all(map(find_spec, FORMATS[kind].libraries)):
        pytest.skip(f"the extra {FORMATS[kind].extra} is not installed")
    side = 128
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 50, (7, side, side, 3))
    images = (generator.integers(0, 200, (7, 1, 1, 3)) + noise).astype(np.uint8)
    network = lively(architecture, side)
    if channels == 1:
        make_grey(network, IMAGENET_MEAN, IMAGENET_STD)
    card = ModelCard(architecture, tuple("abcde"), (side, side), (0.5,) * 3, (0.25,) * 3)
    source = ModelBundle(card, network, "")
    with torch.no_grad():
        temperature = float(network(source.preprocess(images)).std(dim=0).mean())
    model = LineModel(replace(source, model=Calibrated(network, temperature)))
    file = tmp_path / FORMATS[kind].file
    FORMATS[kind].write(model, (side, side), file)
    answer = FORMATS[kind].load(file)
    expected = by_pytorch(model)(images)
    assert np.ptp(expected, axis=0).max() > 100 * TOLERANCE, "answers depend on the input"
    for part in (slice(0, 1), slice(0, 7)):
        np.testing.assert_allclose(answer(images[part]), expected[part], atol=TOLERANCE)
