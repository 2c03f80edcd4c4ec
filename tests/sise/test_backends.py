import importlib.util
import shutil
import sys
import sysconfig
from functools import partial
from pathlib import Path

import pytest
import torch
from networks import small_cnn, some_images
from torch import nn

from sise import SISE
from sise.backends import fingerprint, scoring_network
from sise.errors import SiseError

CPU = torch.device("cpu")
CAN_COMPILE = shutil.which("g++") and Path(sysconfig.get_path("include"), "Python.h").is_file()
# Not importorskip: importing OpenVINO is the backend's business, which keeps it from calling home.
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="OpenVINO, an extra, is not installed"
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_scoring_network_is_the_models_function(dtype: torch.dtype) -> None:
    network = scoring_network(small_cnn(), CPU, dtype, "torch", compiled=False)
    images = some_images(4).to(dtype)
    with torch.no_grad():
        expected = small_cnn().to(dtype)(images)
        torch.testing.assert_close(network.forward(images), expected)
    assert network.dtype == dtype
    assert not network.static


def test_in_bfloat16_it_is_nearly_so() -> None:
    network = scoring_network(small_cnn(), CPU, torch.bfloat16, "torch", compiled=False)
    with torch.no_grad():
        scores = network.forward(some_images(4)).float().softmax(1)
        expected = small_cnn()(some_images(4)).softmax(1)
    torch.testing.assert_close(scores, expected, atol=0.05, rtol=0)


@pytest.mark.skipif(not CAN_COMPILE, reason="torch.compile needs g++ and Python's headers")
@pytest.mark.filterwarnings("default")  # the compiler's own
@pytest.mark.parametrize("generated", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_compiled_explanation_is_the_same(
    generated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With machine code, or with the graph alone that it is made of, which takes no compiler."""
    if not generated:
        traced = partial(torch.compile, backend="eager")
        monkeypatch.setattr(torch, "compile", lambda net, dynamic, options: traced(net))
    images = some_images(2)
    plain = SISE(small_cnn(), precision="fp32")(images)
    compiled = SISE(small_cnn(), precision="fp32", compile=True, batch_size=4)(images)
    assert compiled.forwards.tolist() == plain.forwards.tolist()
    for one, other in zip(plain.layers, compiled.layers, strict=True):
        torch.testing.assert_close(one.maps, other.maps, rtol=1e-4, atol=1e-7)


@needs_openvino
def test_openvino_gives_the_same_explanation() -> None:
    images = some_images(2)
    plain = SISE(small_cnn(), precision="fp32")(images)
    other = SISE(small_cnn(), precision="fp32", backend="openvino", batch_size=4)(images)
    assert other.forwards.tolist() == plain.forwards.tolist()
    for one, two in zip(plain.layers, other.layers, strict=True):
        torch.testing.assert_close(one.maps, two.maps, rtol=1e-4, atol=1e-7)


@needs_openvino
def test_openvino_is_not_allowed_to_call_home() -> None:
    SISE(small_cnn(), precision="fp32", backend="openvino", batch_size=4)(some_images(1))
    assert sys.modules["openvino_telemetry"] is None


def test_openvino_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SiseError, match=r'pip install "steel-sise\[openvino\]"'):
        SISE(small_cnn(), backend="openvino")(some_images(1))


@needs_openvino
def test_a_model_that_openvino_cannot_take() -> None:
    class Shy(nn.Sequential):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if torch.jit.is_tracing():
                raise RuntimeError("not while you look")
            logits: torch.Tensor = super().forward(images)
            return logits

    network = Shy(*small_cnn()).eval()
    complaint = r'OpenVINO cannot take this model.*give backend="torch"'
    with pytest.raises(SiseError, match=complaint):
        SISE(network, layers=["2", "6"], backend="openvino")(some_images(1))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"backend": "tpu"}, "backend 'tpu': one of torch, openvino"),
        ({"backend": "openvino", "precision": "fp64"}, "has no fp64"),
        ({"backend": "openvino", "compile": True}, "OpenVINO always compiles"),
    ],
)
def test_backends_that_make_no_sense(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(SiseError, match=complaint):
        SISE(small_cnn(), **options)(some_images(1))  # type: ignore[arg-type]


def test_a_fingerprint_changes_with_the_weights_and_only_with_them() -> None:
    network = small_cnn()
    before = fingerprint(network)
    network(some_images(1))
    assert fingerprint(network) == before
    with torch.no_grad():
        network[0].weight.mul_(2)
    assert fingerprint(network) != before


def test_a_model_trained_on_between_two_calls_is_explained_anew() -> None:
    network = small_cnn()
    explainer = SISE(network, precision="fp32")
    explainer(some_images(1))
    with torch.no_grad():
        network[-1].weight.neg_()
    expected = SISE(network, precision="fp32")(some_images(1))
    assert torch.equal(explainer(some_images(1)).maps, expected.maps)
