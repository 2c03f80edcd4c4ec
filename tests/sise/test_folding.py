from itertools import count
from typing import Any

import pytest
import torch
from networks import small_cnn, some_images
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torchvision import models

from sise.architectures import build_network
from sise.folding import folded


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def with_statistics(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return network.eval()


@pytest.mark.parametrize(
    ("architecture", "left"),
    [
        ("resnet18", 0),
        pytest.param("vgg11_bn", 0, marks=pytest.mark.slow),
        ("mobilenet_v2", 0),
    ],
)
def test_the_function_stays_and_the_norms_go(architecture: str, left: int) -> None:
    torch.manual_seed(0)
    network = with_statistics(models.get_model(architecture, num_classes=3)).double()
    images = some_images(2, (64, 64)).double()
    lighter = folded(network, torch.float64)
    assert lighter is not None
    assert norms(lighter) == left
    assert norms(network) > 0
    torch.testing.assert_close(lighter(images), network(images))


@pytest.mark.parametrize(
    ("architecture", "norms_run"),
    [
        # Padding by the image's size, and batch norms that hold their activation; the last has
        # batch norms in branches without a convolution, which stay.
        ("tf_efficientnet_lite0", 0),
        pytest.param("regnety_002", 0, marks=pytest.mark.slow),
        pytest.param("mobilenetv3_small_100", 0, marks=pytest.mark.slow),
        pytest.param("repvgg_a0", 17, marks=pytest.mark.slow),
    ],
)
def test_networks_of_timm(architecture: str, norms_run: int) -> None:
    torch.manual_seed(0)
    network = with_statistics(build_network(f"timm:{architecture}", 3)).double()
    images = some_images(2, (64, 64)).double()
    lighter = folded(network, torch.float64)
    assert lighter is not None
    torch.testing.assert_close(lighter(images), network(images))
    ran = count()
    with Counting(ran):
        lighter(images)
    assert next(ran) == norms_run


class Counting(TorchFunctionMode):
    """Counts the batch norms that are computed, whoever computes them."""

    def __init__(self, ran: "count[int]") -> None:
        super().__init__()
        self.ran = ran

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any | None = None
    ) -> Any:
        if func is functional.batch_norm:
            next(self.ran)
        return func(*args, **(kwargs or {}))


def test_a_norm_that_does_not_follow_a_convolution_stays() -> None:
    torch.manual_seed(0)
    network = with_statistics(models.densenet121(num_classes=3))
    lighter = folded(network, torch.float32)
    assert lighter is not None
    assert 0 < norms(lighter) < norms(network)
    images = some_images(1, (64, 64))
    torch.testing.assert_close(lighter(images), network(images), rtol=1e-4, atol=1e-5)


class Shared(nn.Module):
    """One convolution under two norms, and a norm after a convolution that others see too."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.once = nn.Conv2d(3, 3, 1)
        self.third = nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        both = self.first(self.twice(images)) + self.second(self.twice(images))
        seen = self.once(both)
        out: torch.Tensor = (self.third(seen) + seen).mean(dim=(2, 3))
        return out


def test_what_is_used_twice_is_not_folded() -> None:
    torch.manual_seed(0)
    network = with_statistics(Shared())
    lighter = folded(network, torch.float32)
    assert lighter is not None
    assert norms(lighter) == 3
    torch.testing.assert_close(lighter(some_images(2)), network(some_images(2)))


class Untraceable(nn.Sequential):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.amax() > 1e9:
            raise ValueError
        result: torch.Tensor = super().forward(images)
        return result


def test_no_folding_where_it_could_change_the_function() -> None:
    assert folded(Untraceable(*small_cnn()), torch.float32) is None
    hooked = small_cnn()
    hooked[6].register_forward_hook(lambda _module, _inputs, output: output * 2)
    assert folded(hooked, torch.float32) is None


def test_the_network_itself_is_left_alone() -> None:
    network = small_cnn()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded(network, torch.float64)
    assert norms(network) == 2
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.dtype == before[name].dtype
