from collections.abc import Callable

import pytest
import torch
from networks import small_cnn, some_images
from torch import nn
from torch.nn import functional
from torchvision.models import convnext_tiny, resnet18
from torchvision.models.convnext import LayerNorm2d
from torchvision.ops import Permute

from sise.errors import LayerError, SiseError
from sise.masks import normalise
from sise.methods.fullgrad import FullGrad, Rescale, full_gradients


def biased_resnet() -> nn.Module:
    """A ResNet-18 with batch norms that have seen something."""
    torch.manual_seed(0)
    network = resnet18(num_classes=4)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


def normed(norm: Callable[[int], nn.Module]) -> nn.Module:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), norm(4), nn.ReLU(), nn.Conv2d(4, 6, 3), norm(6), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip
    for name, weight in network.named_parameters():
        if weight.ndim == 1:
            nn.init.normal_(weight, 1.0 if name.endswith("weight") else 0.0, 0.5)
    return network.eval()


class Twice(nn.Module):
    """A convolution that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Linear(3, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        once = functional.relu(self.convolution(images), inplace=True)
        return self.head(functional.relu(self.convolution(once)).mean(dim=(2, 3)))


@pytest.mark.parametrize(
    "network",
    [
        small_cnn(),
        small_cnn(seed=5),
        biased_resnet(),
        nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4, affine=False),
            *small_cnn()[6:8],
            nn.Flatten(),
            nn.Linear(4, 3),
        ).eval(),
        Twice(),
        normed(lambda channels: nn.GroupNorm(2, channels)),
        normed(lambda channels: nn.InstanceNorm2d(channels, affine=True)),
        normed(LayerNorm2d),
        nn.Sequential(
            nn.Conv2d(3, 4, 3),
            Permute([0, 2, 3, 1]),
            nn.LayerNorm(4),
            nn.Linear(4, 5),
            nn.ReLU(),
            Permute([0, 3, 1, 2]),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, 3),
        ),
    ],
    ids=[
        "small",
        "another",
        "resnet18",
        "no affine",
        "twice",
        "group",
        "instance",
        "layer",
        "last",
    ],
)
def test_completeness(network: nn.Module) -> None:
    images = some_images(2, (64, 64))
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float64, 1e-10)):
        network.to(dtype)
        full = full_gradients(network, network, images.to(dtype), [0, 1])
        logits = network(images.to(dtype))
        expected = torch.stack([logits[0, 0], logits[1, 1]])
        assert torch.allclose(full.sums(), expected, rtol=tolerance, atol=tolerance)
        assert not torch.allclose(full.inputs.sum(dim=(1, 2, 3)), expected, rtol=0.01)
    assert not any(module._forward_hooks for module in network.modules())


def test_parts_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    )
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, 0, 0], [0, -1, 0]])[:, :, None, None])
        network[0].bias.copy_(torch.tensor([1.0, 3]))
        network[4].weight.copy_(torch.tensor([[4.0, 8], [0, 0]]))
        network[4].bias.copy_(torch.tensor([0.5, 0]))
    image = torch.zeros(1, 3, 2, 2)
    image[0, 0] = torch.tensor([[2.0, -2], [0, 1]])  # red + 1: active but for -2 + 1
    image[0, 1] = torch.tensor([[1.0, 2], [3.5, 0]])  # 3 - green: active but for 3 - 3.5
    full = full_gradients(network, network, image, 0)
    # Of each active place the logit has 4/4 of the first map and 8/4 of the second.
    assert full.inputs[0].tolist() == [[[2, 0], [0, 1]], [[-2, -4], [0, 0]], [[0, 0], [0, 0]]]
    assert full.biases[0][0].tolist() == [[[1, 0], [1, 1]], [[6, 6], [0, 6]]]
    assert full.biases[1][0].tolist() == [0.5, 0]
    assert full.sums().item() == network(image)[0, 0].item() == 3 - 6 + 3 + 18 + 0.5
    # ψ by channel: |red| / 2 + |green| / 4, then both bias channels, whose range is 0 to 1.
    explanation = FullGrad(network, precision="fp64")(image, target=0)
    expected = torch.tensor([[1 + 0.5 + 1 + 1, 1 + 1], [1, 0.5 + 1 + 1]])
    assert torch.allclose(explanation.maps, normalise(expected[None])[0])
    # ψ by layer: inputs over 4, biases over 6.
    layer = FullGrad(network, rescale="layer", precision="fp64")(image, target=0)
    expected = torch.tensor([[0.5 + 0.5 + 1 / 6 + 1, 1 + 1], [1 / 6, 0.25 + 1 / 6 + 1]])
    assert torch.allclose(layer.maps, normalise(expected[None])[0])


@pytest.mark.parametrize("rescale", ["channel", "layer"])
def test_the_map_is_the_papers_sum(rescale: Rescale) -> None:
    network = small_cnn().double()
    image = some_images(1).double()
    full = full_gradients(network, network, image, 2)
    total = torch.zeros(16, 24, dtype=torch.float64)
    for part in [full.inputs[0], *(bias[0] for bias in full.biases if bias.ndim == 4)]:
        size = part.abs()
        for plane in size:
            over = size if rescale == "layer" else plane
            spread = over.max() - over.min()
            scaled = (plane - over.min()) / spread if spread > 0 else 0 * plane
            total += functional.interpolate(scaled[None, None], (16, 24), mode="bilinear")[0, 0]
    explanation = FullGrad(network, rescale=rescale, precision="fp64")(image, target=2)
    assert len(full.biases) == 5
    assert torch.allclose(explanation.maps, normalise(total[None])[0].float(), atol=1e-6)
    assert explanation.forwards.tolist() == [1]


def test_layers_whose_channels_come_last_have_places() -> None:
    torch.manual_seed(0)
    network = convnext_tiny(num_classes=3).eval()
    full = full_gradients(network, network, some_images(2, (64, 96)), 1)
    shapes = {tuple(bias.shape) for bias in full.biases}
    # The stem, then per stage a depthwise convolution and two linear layers with 4 times as many.
    assert {(2, 96, 16, 24), (2, 384, 16, 24), (2, 768, 2, 3), (2, 3072, 2, 3)} <= shapes
    explanation = FullGrad(network, precision="fp32")(some_images(2, (64, 96)))
    assert explanation.status == ("ok", "ok")


def test_the_two_ways_to_rescale_differ() -> None:
    images = some_images(1)
    by_channel, by_layer = (
        FullGrad(small_cnn(), rescale=rescale, precision="fp64")(images).maps[0]
        for rescale in ("channel", "layer")
    )
    assert not torch.allclose(by_channel, by_layer, atol=0.05)
    both = torch.stack([by_channel.flatten(), by_layer.flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.7


def test_a_batch_norm_without_running_statistics() -> None:
    network = small_cnn()
    network[1] = nn.BatchNorm2d(8, track_running_stats=False)
    explainer = FullGrad(network)
    with pytest.raises(SiseError, match="batch norm '1' uses the statistics of the batch"):
        explainer(some_images(1))
    forward = explainer.engine.exact_forward(torch.device("cpu"))
    with pytest.raises(LayerError, match="needs the running statistics of batch norms"):
        full_gradients(network, forward, some_images(1), 0)
    assert not any(module._forward_hooks for module in network.modules())


def test_options_that_make_no_sense() -> None:
    with pytest.raises(SiseError, match="rescale 'image': one of channel, layer"):
        FullGrad(small_cnn(), rescale="image")
