from collections import OrderedDict

import pytest
import torch
import torchvision
from networks import small_cnn, some_images
from torch import nn
from torchvision.models import vgg

from sise.bundle import Calibrated
from sise.methods.untrained import untrained
from sise.sanity.stages import RandomizedModel, Stage, find_stages

IMAGE = torch.zeros(1, 3, 32, 32)


def names(model: nn.Module, most: int = 20) -> list[str]:
    return [stage.name for stage in find_stages(model.eval(), IMAGE, most)]


def test_each_layer_with_its_norm_is_a_stage_and_the_logits_come_first() -> None:
    assert find_stages(small_cnn(), some_images(1)) == (
        Stage("9", ("9",)),
        Stage("4", ("4", "5")),
        Stage("0", ("0", "1")),
    )


def test_of_vgg_every_layer_is_a_stage() -> None:
    convolutions = (28, 26, 24, 21, 19, 17, 14, 12, 10, 7, 5, 2, 0)
    parts = {
        "features": vgg.make_layers(vgg.cfgs["D"]),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "classifier": nn.Sequential(nn.Linear(512, 8), nn.ReLU(), nn.Linear(8, 2)),
    }
    expected = ["classifier.2", "classifier.0", *(f"features.{i}" for i in convolutions)]
    assert names(nn.Sequential(OrderedDict(parts))) == expected


def test_of_a_residual_net_every_block_is_a_stage_also_within_a_bundle() -> None:
    model = Calibrated(torchvision.models.resnet18(), 1.0).eval()
    stages = find_stages(model, IMAGE)
    blocks = [f"layer{layer}.{block}" for layer in (4, 3, 2, 1) for block in (1, 0)]
    assert [stage.name for stage in stages] == ["fc", *blocks, "conv1"]
    assert stages[-1].modules == ("network.conv1", "network.bn1")
    inside = [*stages[2].modules]
    assert inside[:4] == [f"network.layer4.0.{name}" for name in ("conv1", "bn1", "conv2", "bn2")]
    assert inside[4:] == ["network.layer4.0.downsample.0", "network.layer4.0.downsample.1"]


def test_too_many_blocks_are_joined_with_their_neighbours() -> None:
    assert names(torchvision.models.resnet34(), most=14) == [
        "fc",
        *("layer4.2", "layer4.1", "layer4.0"),
        *("layer3.5", "layer3.3 to layer3.4", "layer3.1 to layer3.2", "layer3.0"),
        *("layer2.3", "layer2.1 to layer2.2", "layer2.0"),
        *("layer1.2", "layer1.0 to layer1.1"),
        "conv1",
    ]


@pytest.mark.parametrize("most", [1, 2, 5, 13])
def test_stages_are_never_more_than_asked_for_and_hold_every_weight_once(most: int) -> None:
    model = torchvision.models.resnet18().eval()
    stages = find_stages(model, IMAGE, most)
    assert len(stages) <= most
    held = [name for stage in stages for name in stage.modules]
    own = [n for n, m in model.named_modules() if [*m.parameters(False), *m.buffers(False)]]
    assert sorted(held) == sorted(own)


class Odd(nn.Module):
    """Runs backwards to how it is registered, with a weight of its own and one used by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.head = nn.Linear(4, 2)
        self.body = nn.Conv2d(3, 4, 3)
        self.by_hand = nn.Conv2d(4, 4, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = nn.functional.conv2d(self.body(images * self.scale), self.by_hand.weight)
        logits: torch.Tensor = self.head(seen.mean(dim=(2, 3)))
        return logits


def test_the_order_is_that_of_the_forward_pass() -> None:
    assert names(Odd()) == ["head", "by_hand", "body", "the whole model"]


def test_a_copy_forgets_the_stages_that_it_is_told_to_and_no_others() -> None:
    model = small_cnn()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    stages = find_stages(model, some_images(1))
    randomized = RandomizedModel(model, stages, 3, {})
    fresh = untrained(model, 3)[0].state_dict()
    all_new = randomized.having_forgotten(frozenset({0, 1, 2})).state_dict()
    assert all(torch.equal(all_new[key], fresh[key]) for key in before)
    copy = randomized.having_forgotten(frozenset({1}))
    assert copy is randomized.having_forgotten(frozenset({1}))
    for key, value in copy.state_dict().items():
        assert torch.equal(value, (fresh if key[0] in "45" else before)[key]), key
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_cascade_by_hand() -> None:
    model = small_cnn()
    randomized = RandomizedModel(model, find_stages(model, some_images(1)), 0, {})
    fresh, images = untrained(model, 0)[0], some_images(2)
    with torch.no_grad():
        after_logits = randomized.having_forgotten(frozenset({0}))(images)
        assert torch.equal(after_logits, fresh[9](model[:9](images)))
        after_two = randomized.having_forgotten(frozenset({0, 1}))(images)
        assert torch.equal(after_two, fresh[4:](model[:4](images)))
