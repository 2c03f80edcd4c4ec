"""Networks that look at one channel of grey images: the same answers as by three."""

import copy
import json
from pathlib import Path

import pytest
import torch
from networks import quickly
from torch import nn

from sise import SISE
from sise import bundle as bundles
from sise.architectures import Weightless, build_network, load_state
from sise.blocks import find_blocks
from sise.bundle import ModelCard
from sise.colours import IMAGENET_MEAN, IMAGENET_STD, Colour
from sise.errors import BundleError
from sise.folding import folded
from sise.grey import GreyConv2d, channels_of, make_grey
from sise.methods.fullgrad import full_gradients

IMAGENET = IMAGENET_MEAN, IMAGENET_STD
ALIKE: tuple[Colour, Colour] = ((0.4, 0.4, 0.4), (0.2, 0.2, 0.2))
NETWORKS = (
    "resnet18",
    "timm:tf_efficientnet_lite0",  # pads by the image's size
    "squeezenet1_1",  # a bias, no padding
    "timm:convnext_atto",
    "shufflenet_v2_x0_5",
    "densenet121",
    "googlenet",
)


def seen_something(architecture: str, transform_input: bool = False) -> nn.Module:
    """A float64 network whose batch norms keep the image's influence up to the logits."""
    torch.manual_seed(0)
    network = build_network(architecture, 5, transform_input)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 64, 64))
    return network.eval().double()


def grey_images(size: tuple[int, int], mean: Colour, std: Colour) -> torch.Tensor:
    grey = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(1)).double()
    shift, scale = (
        torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (mean, std)
    )
    return (grey - shift) / scale


def made_grey(network: nn.Module, mean: Colour, std: Colour) -> nn.Module:
    grey = copy.deepcopy(network)
    make_grey(grey, mean, std)
    return grey


@torch.no_grad()
def difference(one: nn.Module, other: nn.Module, images: torch.Tensor) -> float:
    """Of logits, as a share of the largest; that the images matter is checked."""
    expected, found = one(images), other(images)
    largest = expected.abs().amax()
    assert (expected[0] - expected[1]).abs().amax() > 0.02 * largest
    return float((found - expected).abs().amax() / largest)


@pytest.mark.parametrize("architecture", quickly(NETWORKS, NETWORKS[:2]))
@pytest.mark.parametrize("colours", [IMAGENET, pytest.param(ALIKE, marks=pytest.mark.slow)])
def test_grey_images_get_the_same_answer(architecture: str, colours: tuple[Colour, Colour]) -> None:
    network = seen_something(architecture)
    grey = made_grey(network, *colours)
    assert channels_of(network) == 3
    assert channels_of(grey) == 1
    for size in ((64, 64), (67, 75)):
        images = grey_images(size, *colours)
        assert difference(network, grey, images) < 1e-6
        other_colours = torch.cat([images[:, :1], torch.randn_like(images[:, 1:])], dim=1)
        with torch.no_grad():
            assert torch.equal(grey(other_colours), grey(images))
            assert torch.equal(grey(images[:, :1]), grey(images))


@pytest.mark.parametrize(
    "colours", [IMAGENET, pytest.param(ALIKE, marks=pytest.mark.slow)], ids=["imagenet", "alike"]
)
def test_a_network_that_transforms_its_input(colours: tuple[Colour, Colour]) -> None:
    network = seen_something("googlenet", transform_input=True)
    grey = made_grey(network, *colours)
    assert difference(network, grey, grey_images((64, 64), *colours)) < 1e-6


def test_one_weight_by_hand() -> None:
    """Of red x: green is 0.5·x - 0.05 and blue 0.25·x - 0.05. So 1, 2, 3 become
    1 + 2·0.5 + 3·0.25 = 2.75, and the shift is 2·(-0.05) + 3·(-0.05) = -0.25."""
    network = nn.Sequential(nn.Conv2d(3, 1, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1))
    make_grey(network, (0.1, 0.2, 0.3), (1.0, 2.0, 4.0))
    (stem,) = network
    assert isinstance(stem, GreyConv2d)
    assert stem.weight.item() == pytest.approx(2.75)
    assert stem.shift is not None
    assert stem.shift.item() == pytest.approx(-0.25)


def test_a_bundle_keeps_it(tmp_path: Path) -> None:
    network = made_grey(seen_something("shufflenet_v2_x0_5"), *IMAGENET).float()
    names = tuple("abcde")
    card = ModelCard("shufflenet_v2_x0_5", names, (64, 64), *IMAGENET, temperature=2.0)
    saved = bundles.save(tmp_path / "grey", card, network)
    images = grey_images((64, 64), *IMAGENET).float()
    with torch.no_grad():
        assert torch.equal(saved.model(images), network(images) / 2)
    assert json.loads((tmp_path / "grey" / "model.json").read_text())["channels"] == 1
    bundles.save(tmp_path / "colour", card, build_network("shufflenet_v2_x0_5", 5))
    assert "channels" not in json.loads((tmp_path / "colour" / "model.json").read_text())


def test_a_state_brings_its_shift_or_none() -> None:
    built = build_network("squeezenet1_1", 5, channels=1)
    with_shift = made_grey(build_network("squeezenet1_1", 5), *IMAGENET).state_dict()
    without = {name: tensor for name, tensor in with_shift.items() if not name.endswith("shift")}
    assert built.state_dict().keys() == without.keys()
    load_state(built, with_shift)
    assert torch.equal(built.state_dict()["features.0.shift"], with_shift["features.0.shift"])
    load_state(built, without)
    assert built.state_dict().keys() == without.keys()


def test_the_same_map() -> None:
    """Where all channels are normalised alike, masked images are grey, too."""
    network = seen_something("shufflenet_v2_x0_5")
    grey = made_grey(network, *ALIKE)
    assert [one.name for one in find_blocks(grey, (64, 64))] == [
        one.name for one in find_blocks(network, (64, 64))
    ]
    images = grey_images((32, 32), *ALIKE)[:1]
    # Hard fusion has a threshold, which rounding crosses.
    maps = [SISE(one, fusion="geometric", precision="fp64")(images).maps for one in (network, grey)]
    assert maps[0].amax() == 1
    torch.testing.assert_close(maps[0], maps[1], rtol=0, atol=1e-6)


def test_batch_norms_fold_into_it_and_fullgrad_is_complete() -> None:
    network = made_grey(seen_something("resnet18"), *IMAGENET)
    images = grey_images((64, 64), *IMAGENET)
    lighter = folded(network, torch.float64)
    assert lighter is not None
    assert not [one for one in lighter.modules() if isinstance(one, nn.BatchNorm2d)]
    torch.testing.assert_close(lighter(images), network(images))
    full = full_gradients(network, network, images, 1)
    torch.testing.assert_close(full.sums(), network(images)[:, 1].detach())


def test_new_weights_have_no_shift() -> None:
    grey = made_grey(build_network("squeezenet1_1", 5), *IMAGENET)
    (stem,) = (one for one in grey.modules() if isinstance(one, GreyConv2d))
    before = stem.weight.clone()
    stem.reset_parameters()
    assert stem.shift is None
    assert not torch.equal(stem.weight, before)


@pytest.mark.parametrize("architecture", ["timm:nfnet_f0", "timm:tresnet_m"])
def test_what_has_no_such_convolution(architecture: str) -> None:
    with Weightless(), pytest.raises(BundleError, match=r"use all three \(model.channels 3\)"):
        build_network(architecture, 5, channels=1)
