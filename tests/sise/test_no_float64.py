"""A device without float64, such as Apple's: explainers go to the processor for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from explainers import EXPLAINERS, make, plainly
from networks import small_cnn, some_images
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from sise import baselines, masks
from sise.budget import correlation


class OnProcessor(torch.Tensor):
    """A tensor of the processor's, as are all that are made of such."""


class NoFloat64(TorchFunctionMode):
    """All tensors are on a device that has no float64, but for `.cpu()` copies and what was made
    without naming a device or another tensor."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        name = getattr(func, "__name__", "")
        made_here = not given and (kwargs or {}).get("device") is None
        if isinstance(result, torch.Tensor) and (name == "cpu" or made_here):
            return result.as_subclass(OnProcessor)
        moved = name == "to" and (
            any(isinstance(one, (torch.device, torch.Tensor)) for one in args[1:])
            or "device" in (kwargs or {})
        )
        if moved:
            result = result.as_subclass(torch.Tensor)
        for one in tree_leaves(result):
            if type(one) is torch.Tensor and one.dtype == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return result


@contextmanager
def without_float64() -> Iterator[None]:
    kept = (masks._weights, masks._corner_weights, masks._pooled_weights, masks._summed_weights)
    for cached in (*kept, baselines._blur):
        cached.cache_clear()
    try:
        with NoFloat64():
            yield
    finally:
        for cached in (*kept, baselines._blur):
            cached.cache_clear()


@pytest.fixture
def device() -> Iterator[None]:
    with without_float64():
        yield


@pytest.mark.usefixtures("device")
def test_the_device_of_these_tests_has_no_float64() -> None:
    there = torch.zeros(3, device="cpu")
    for refused in (there.double, lambda: there.to(torch.float64), lambda: (2 * there).double()):
        with pytest.raises(TypeError, match="MPS"):
            refused()
    with pytest.raises(TypeError, match="MPS"):
        torch.zeros(3, dtype=torch.float64, device="cpu")
    assert there.cpu().double().sum().dtype == torch.float64
    with pytest.raises(TypeError, match="MPS"):
        there.cpu().double().to(there.device)
    assert there.cpu().double().to(there).dtype == torch.float32


@pytest.mark.parametrize("name", EXPLAINERS)
def test_every_explainer_does_without_float64_on_the_device(name: str) -> None:
    expected = plainly(name, "fp32")
    network, images = small_cnn(), some_images(2)
    with without_float64():
        found = make(name, network, precision="fp32")(images)
    assert found.status == expected.status
    assert torch.equal(found.maps, expected.maps)


@pytest.mark.usefixtures("device")
def test_correlation_does_without_float64_on_the_device() -> None:
    one = torch.rand(2, 4, 4, device="cpu")
    assert correlation(one, one).tolist() == pytest.approx([1, 1])
