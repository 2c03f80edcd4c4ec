"""On a network that has learnt something, each method must find what it has learnt."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from networks import small_cnn
from torch import nn

from sise import (
    RISE,
    SISE,
    AblationCAM,
    CentreGaussian,
    EigenCAM,
    ExtremalPerturbation,
    GradCAM,
    GradCAMpp,
    GroupCAM,
    HiResCAM,
    IntegratedGradients,
    LayerCAM,
    Noise,
    ScoreCAM,
    XGradCAM,
)
from sise.explanation import Explainer
from sise.methods.fullgrad import full_gradients

SIZE, RADIUS = 32, 5


def discs(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy images (count, 3, 32, 32), and where the disc in each is; every second has none."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randint(RADIUS, SIZE - RADIUS, (count, 2), generator=generator)
    place = torch.arange(SIZE)
    down = (place[None, :, None] - centres[:, :1, None]).square()
    across = (place[None, None, :] - centres[:, 1:, None]).square()
    inside = down + across <= RADIUS**2
    inside[1::2] = False
    images = 0.5 * torch.randn(count, 3, SIZE, SIZE, generator=generator)
    return images + 2 * inside[:, None], inside


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """Tells images with a disc (class 1) from images without."""
    network = small_cnn(classes=2)
    network[-1].weight.data.div_(20)
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(120):
        images, inside = discs(32, seed=step)
        loss = nn.functional.cross_entropy(network(images), inside.any(dim=(1, 2)).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    images, inside = discs(64, seed=1000)
    right = network(images).argmax(dim=1) == inside.any(dim=(1, 2))
    assert right.float().mean() > 0.95
    return network


def gain(explainer: Explainer) -> float:
    images, inside = (part[::2] for part in discs(16, seed=2000))
    return energy_on(explainer(images, target=1).maps, inside)


def energy_on(maps: torch.Tensor, inside: torch.Tensor) -> float:
    """How often as much energy a disc gets as its share of the image."""
    share = (maps * inside).sum(dim=(1, 2)) / maps.sum(dim=(1, 2))
    return float((share / inside.float().mean(dim=(1, 2))).mean())


@pytest.mark.parametrize(
    "method",
    [
        SISE,
        partial(SISE, mu="otsu"),
        GradCAM,
        GradCAMpp,
        LayerCAM,
        HiResCAM,
        XGradCAM,
        EigenCAM,
        ScoreCAM,
        AblationCAM,
        GroupCAM,
        partial(RISE, n_masks=1000),
        partial(ExtremalPerturbation, areas=(0.1,), steps=100, batch_size=64),
        IntegratedGradients,
    ],
    ids=lambda method: getattr(method, "func", method).__name__,
)
def test_a_method_finds_the_disc(method: Callable[..., Explainer], trained: nn.Module) -> None:
    assert gain(method(trained, precision="fp32")) > 2


def test_extremal_masks_in_bfloat16_are_those_in_float32(trained: nn.Module) -> None:
    images = discs(4, seed=2000)[0][::2]
    exact, reduced = (
        ExtremalPerturbation(
            trained, areas=(0.05, 0.2), steps=100, precision=precision, batch_size=64
        )(images, target=1).maps
        for precision in ("fp32", "bf16")
    )
    assert not torch.equal(exact, reduced)
    for one, other in zip(exact.flatten(1), reduced.flatten(1), strict=True):
        assert torch.corrcoef(torch.stack([one, other]))[0, 1] > 0.95


def test_the_input_part_of_full_gradients_finds_the_disc(trained: nn.Module) -> None:
    # Its bias parts do not, on so shallow a network: they are where its ReLUs are open.
    images, inside = (part[::2] for part in discs(16, seed=2000))
    full = full_gradients(trained, trained, images, 1)
    assert energy_on(full.inputs.abs().sum(dim=1), inside) > 2
    assert energy_on(full.biases[0].abs().sum(dim=1), inside) < 1


@pytest.mark.parametrize("method", [Noise, CentreGaussian])
def test_a_trivial_map_does_not(method: Callable[..., Explainer], trained: nn.Module) -> None:
    assert gain(method(trained, precision="fp32")) < 2
