"""How every explainer leaves what it was lent: model, images, and the process around it."""

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from explainers import (
    NO_GRADIENTS,
    ONLY_GRADIENTS,
    OWN,
    UNTRAINED,
    make,
    plainly,
)
from networks import small_cnn, snapshot, some_images
from torch import nn

from sise.errors import SiseError

pytestmark = OWN


@pytest.mark.parametrize("precision", ["fp32", "fp64", "bf16"])
def test_the_model_is_given_back_as_it_was(name: str, precision: str) -> None:
    network = small_cnn()
    network.train()
    network[1].eval()
    network[0].weight.requires_grad_(False)
    network[4].weight.grad = torch.full_like(network[4].weight, 3.0)
    before = snapshot(network)
    make(name, network, precision=precision)(some_images(1))
    assert snapshot(network) == before


@pytest.mark.parametrize("precision", ["fp32", "fp64", "bf16"])
def test_the_model_is_given_back_after_an_error_too(name: str, precision: str) -> None:
    network = small_cnn()
    network.train()
    explainer = make(name, network, precision=precision)
    before = snapshot(network)
    with pytest.raises(SiseError, match="classes go from 0 to 2"):
        explainer(some_images(1), target=3)
    assert snapshot(network) == before


def test_the_images_are_left_alone(name: str) -> None:
    images = some_images(2)
    before = images.clone()
    # Even from a network that works on its input in place.
    network = nn.Sequential(nn.ReLU(inplace=True), *small_cnn()).eval()
    explanation = make(name, network, precision="fp32")(images)
    assert torch.equal(images, before)
    assert not images.requires_grad
    network[0] = nn.ReLU()
    assert torch.equal(explanation.maps, make(name, network, precision="fp32")(images).maps)


def test_images_may_require_gradients_and_get_none(name: str) -> None:
    images = some_images(2).requires_grad_()
    explanation = make(name, small_cnn())(images)
    assert torch.equal(explanation.maps, plainly(name).maps)
    assert images.grad is None
    assert not explanation.maps.requires_grad
    assert not explanation.scores.requires_grad


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_autograd_may_be_off_around_the_call(name: str, around: type) -> None:
    expected = plainly(name).maps
    with around():
        images = some_images(2)
        assert torch.equal(make(name, small_cnn())(images).maps, expected)
        assert not torch.is_grad_enabled()


def test_autocast_around_the_call_changes_nothing(name: str) -> None:
    expected = plainly(name, "fp32")
    with torch.autocast("cpu", torch.bfloat16):
        found = make(name, small_cnn(), precision="fp32")(some_images(2))
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(found.maps, expected.maps)
    assert torch.equal(found.scores, expected.scores)


@pytest.mark.parametrize("setting", ["highest", "high", "medium"])
def test_float32_is_not_rounded_within_the_call(name: str, setting: str) -> None:
    backends: Any = torch.backends
    inside: list[str] = []

    def record(*_: object) -> None:
        operators = backends.cudnn.conv, backends.cuda.matmul, backends.mkldnn.matmul
        inside.extend(operator.fp32_precision for operator in operators)

    network = small_cnn()
    network[4].register_forward_hook(record)
    usual = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(setting)
    try:
        before = snapshot(network)
        make(name, network)(some_images(1))
        assert set(inside) == {"ieee"}
        assert snapshot(network) == before
        assert torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == setting
    finally:
        torch.set_float32_matmul_precision(usual)


@pytest.mark.parametrize("scored", [False, True])
def test_a_hook_that_raises(name: str, scored: bool) -> None:
    if name in (ONLY_GRADIENTS if scored else NO_GRADIENTS | UNTRAINED):
        pytest.skip("has no such passes")

    passes: list[None] = []
    looks = 2 if scored else 0  # at the model, which tell what it raises in words of their own

    def hook(*_: object) -> None:
        if torch.is_grad_enabled() is not scored:
            passes.append(None)
        if len(passes) > looks:
            raise ZeroDivisionError("the user's own")

    network = small_cnn().train()
    network[4].register_forward_hook(hook)
    before = snapshot(network)
    with pytest.raises(ZeroDivisionError, match="the user's own"):
        make(name, network)(some_images(2))
    assert snapshot(network) == before


def test_two_explainers_on_one_model(name: str) -> None:
    network = small_cnn()
    one = make(name, network, precision="fp32")
    other = make("Grad-CAM", network, precision="fp64")
    for _ in range(2):
        assert torch.equal(one(some_images(2)).maps, plainly(name, "fp32").maps)
        assert torch.equal(other(some_images(2)).maps, plainly("Grad-CAM", "fp64").maps)


@pytest.mark.parametrize("shared", [False, True])
def test_threads(name: str, shared: bool) -> None:
    network = small_cnn()
    expected = plainly(name).maps
    models = [network if shared else copy.deepcopy(network) for _ in range(4)]
    before = snapshot(network)
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda model: make(name, model)(some_images(2)).maps, models)
        assert all(torch.equal(maps, expected) for maps in found)
    assert snapshot(network) == before
