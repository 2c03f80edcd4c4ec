import pytest
import torch
from networks import HandNet, small_cnn
from torch import nn
from torchvision import models

from sise.blocks import find_blocks, resolve_layers
from sise.bundle import Calibrated
from sise.errors import LayerError

RESNET = ["relu", "layer1", "layer2", "layer3", "layer4"]


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("resnet18", RESNET),
        ("resnet50", RESNET),
        ("resnet101", RESNET),
        ("wide_resnet50_2", RESNET),
        ("vgg16", ["features.3", "features.8", "features.15", "features.22", "features.29"]),
        ("vgg16_bn", ["features.5", "features.12", "features.22", "features.32", "features.42"]),
    ],
)
def test_the_papers_layers(architecture: str, expected: list[str]) -> None:
    with torch.device("meta"):
        network = models.get_model(architecture, weights=None)
    assert [layer.name for layer in find_blocks(network, (256, 256))] == expected


def test_vgg16_layers_are_the_relus_before_its_pools() -> None:
    with torch.device("meta"):
        network = models.vgg16()
    for layer in find_blocks(network, (256, 256)):
        following = network.features[int(layer.name.split(".")[1]) + 1]
        assert isinstance(layer.module, nn.ReLU)
        assert isinstance(following, nn.MaxPool2d)


@pytest.mark.parametrize("size", [(64, 64), (256, 1600), (97, 131)])
def test_blocks_do_not_depend_on_the_images_size(size: tuple[int, int]) -> None:
    with torch.device("meta"):
        network = models.resnet18()
    assert [layer.name for layer in find_blocks(network, size)] == RESNET


def test_a_calibrated_networks_blocks_are_the_networks() -> None:
    wrapped = Calibrated(models.resnet18(), temperature=2.0)
    found = find_blocks(wrapped, (64, 64))
    assert [layer.name for layer in found] == [f"network.{name}" for name in RESNET]
    assert found[-1].module is wrapped.network.layer4


def test_nothing_inside_a_residual_block_is_taken() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 1)
            self.inside = nn.Conv2d(4, 4, 3, padding=1)
            self.after = nn.Identity()
            self.head = nn.Linear(4, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            stem = self.stem(images)
            whole = self.after(stem + self.inside(stem))
            logits: torch.Tensor = self.head(whole.mean((2, 3)))
            return logits

    assert [layer.name for layer in find_blocks(Residual(), (8, 8))] == ["after"]


def test_pooling_without_a_convolution_after_it_is_no_block() -> None:
    assert [layer.name for layer in find_blocks(small_cnn(), (16, 16))] == ["2", "6"]
    assert [layer.name for layer in find_blocks(HandNet(), (4, 4))] == ["block1", "block2"]


def test_a_model_that_cannot_be_traced_says_what_to_do() -> None:
    class Branching(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if images.sum() > 0 else -images

    with pytest.raises(LayerError, match=r"cannot trace Branching.*pass layers="):
        find_blocks(Branching(), (8, 8))


def test_a_model_without_convolutions_says_what_to_do() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))
    with pytest.raises(LayerError, match=r"no convolutional block.*pass layers="):
        find_blocks(flat, (8, 8))


def test_resolving_names_and_modules() -> None:
    network = small_cnn()
    first, second = resolve_layers(network, ["2", network[6]])
    assert (first.name, first.module) == ("2", network[2])
    assert (second.name, second.module) == ("6", network[6])
    with pytest.raises(LayerError, match="layers is empty"):
        resolve_layers(network, [])
