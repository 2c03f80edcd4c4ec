"""The blocks of well-known networks, judged by hand, and two checks of what a block is.

`make test` judges one of each kind, `make test-all` all fifty.
"""

import re
from pathlib import Path

import pytest
import torch
from networks import quickly
from torch import nn
from torchvision import models

from sise.blocks import Block, measure_blocks

DOCUMENT = Path(__file__).parents[2] / "docs" / "blocks.md"
DOCUMENTED = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE))


def stages(prefix: str, *numbers: int) -> list[str]:
    return [f"{prefix}{number}" for number in numbers]


RESNET = ["relu", *stages("layer", 1, 2, 3, 4)]
CONVNEXT = ["features.2.0", "features.4.0", "features.6.0", "features"]
DENSENET = [
    "features.relu0",
    *(f"features.transition{number}.conv" for number in (1, 2, 3)),
    "features",
]
EFFICIENTNET = [*(f"features.{number}.0.block.0" for number in (2, 3, 4, 6)), "features"]
EFFICIENTNET_V2 = [
    *("features.1", "features.2"),
    *("features.4.0.block.0", "features.6.0.block.0", "features"),
]
MNASNET = [*(f"layers.{number}.0.layers.2" for number in (8, 9, 10, 12)), "layers"]
REGNET = ["stem", *stages("trunk_output.block", 1, 2, 3), "trunk_output"]
SHUFFLENET = ["conv1", "stage2", "stage3", "conv5"]

TORCHVISION = {
    "alexnet": stages("features.", 1, 4, 11),
    "convnext_tiny": CONVNEXT,
    "densenet121": DENSENET,
    "efficientnet_b0": EFFICIENTNET,
    "efficientnet_v2_s": EFFICIENTNET_V2,
    "googlenet": ["conv1", "conv3", "inception3b", "inception4e", "inception5b"],
    "inception_v3": ["Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"],
    "mnasnet1_0": MNASNET,
    "mobilenet_v2": [*(f"features.{number}.conv.0" for number in (2, 4, 7, 14)), "features"],
    "mobilenet_v3_large": [*(f"features.{n}.block.0" for n in (2, 4, 7, 13)), "features"],
    "mobilenet_v3_small": [
        "features.0",
        *(f"features.{number}.block.0" for number in (2, 4, 9)),
        "features",
    ],
    "regnet_y_400mf": REGNET,
    "resnet18": RESNET,
    "resnet50": RESNET,
    "resnet101": RESNET,
    "resnext50_32x4d": RESNET,
    "wide_resnet50_2": RESNET,
    "shufflenet_v2_x0_5": SHUFFLENET,
    "squeezenet1_0": [*stages("features.", 1, 5, 10), "features"],
    "squeezenet1_1": [*stages("features.", 1, 4, 7), "features"],
    "vgg11": stages("features.", 1, 4, 9, 14, 19),
    "vgg11_bn": stages("features.", 2, 6, 13, 20, 27),
    "vgg13": stages("features.", 3, 8, 13, 18, 23),
    "vgg13_bn": stages("features.", 5, 12, 19, 26, 33),
    "vgg16": stages("features.", 3, 8, 15, 22, 29),
    "vgg16_bn": stages("features.", 5, 12, 22, 32, 42),
    "vgg19": stages("features.", 3, 8, 17, 26, 35),
    "vgg19_bn": stages("features.", 5, 12, 25, 38, 51),
}

TIMM_RESNET = ["act1", *stages("layer", 1, 2, 3, 4)]
BEFORE_DOWNSAMPLING = [*(f"stages.{number}.downsample.0" for number in (1, 2, 3)), "stages"]
# For each network: names, maps and rows of locations, for images of 256×256.
TIMM: dict[str, tuple[list[str], list[int], list[int]]] = {
    "convnext_atto": (BEFORE_DOWNSAMPLING, [40, 80, 160, 320], [64, 32, 16, 8]),
    "cspdarknet53": (
        ["stem", *stages("stages.", 0, 1, 2, 3), "stages"],
        [32, 64, 128, 256, 512, 1024],
        [256, 128, 64, 32, 16, 8],
    ),
    "densenet121": (
        ["features.norm0", *DENSENET[1:]],
        [64, 128, 256, 512, 1024],
        [128, 64, 32, 16, 8],
    ),
    "dla34": (
        stages("level", 0, 1, 2, 3, 4, 5),
        [16, 32, 64, 128, 256, 512],
        [256, 128, 64, 32, 16, 8],
    ),
    "dm_nfnet_f0": (
        ["stem.act4", *(f"stages.{number}.0.act1" for number in (1, 2, 3)), "final_act"],
        [64, 256, 512, 1536, 3072],
        [128, 64, 32, 16, 8],
    ),
    "edgenext_xx_small": (BEFORE_DOWNSAMPLING, [24, 48, 88, 168], [64, 32, 16, 8]),
    "efficientnet_b0": (
        [*(f"blocks.{number}.0.bn1" for number in (1, 2, 3, 5)), "bn2"],
        [96, 144, 240, 672, 1280],
        [128, 64, 32, 16, 8],
    ),
    "ghostnet_100": (
        [*stages("blocks.", 0, 2, 4, 6), "blocks"],
        [16, 24, 40, 112, 960],
        [128, 64, 32, 16, 8],
    ),
    "hrnet_w18_small": (["act1", "layer1", "final_layer"], [64, 128, 2048], [128, 64, 8]),
    "inception_v4": (
        [*stages("features.", 2, 4, 9, 17), "features"],
        [64, 192, 384, 1024, 1536],
        [125, 60, 29, 14, 6],
    ),
    "mixnet_s": (
        [*(f"blocks.{number}.0.bn1" for number in (1, 2, 3, 5)), "bn2"],
        [96, 144, 240, 720, 1536],
        [128, 64, 32, 16, 8],
    ),
    "mobilenetv3_large_100": (
        [*(f"blocks.{number}.0.bn1" for number in (1, 2, 3, 5)), "blocks"],
        [64, 72, 240, 672, 960],
        [128, 64, 32, 16, 8],
    ),
    "regnety_004": (
        ["stem", *stages("s", 1, 2, 3, 4)],
        [32, 48, 104, 208, 440],
        [128, 64, 32, 16, 8],
    ),
    "repvgg_a0": (
        ["stem", *stages("stages.", 0, 1, 2), "stages"],
        [48, 48, 96, 192, 1280],
        [128, 64, 32, 16, 8],
    ),
    "res2net50_26w_4s": (TIMM_RESNET, [64, 256, 512, 1024, 2048], [128, 64, 32, 16, 8]),
    "resnest14d": (TIMM_RESNET, [64, 256, 512, 1024, 2048], [128, 64, 32, 16, 8]),
    "resnet50d": (TIMM_RESNET, [64, 256, 512, 1024, 2048], [128, 64, 32, 16, 8]),
    "resnetv2_50": (
        ["stem.conv", *(f"stages.{number}.blocks.0.norm1" for number in (1, 2, 3)), "norm"],
        [64, 256, 512, 1024, 2048],
        [128, 64, 32, 16, 8],
    ),
    "seresnet50": (TIMM_RESNET, [64, 256, 512, 1024, 2048], [128, 64, 32, 16, 8]),
    "tf_efficientnetv2_b0": (
        ["blocks.0", "blocks.1", "blocks.3.0.bn1", "blocks.5.0.bn1", "bn2"],
        [16, 32, 192, 672, 1280],
        [128, 64, 32, 16, 8],
    ),
    # On 256×256 the first classifier layer, a 7×7 convolution in timm, has 2×2 locations.
    "vgg11_bn": (
        [*stages("features.", 2, 6, 13, 20, 27), "pre_logits"],
        [64, 128, 256, 512, 512, 4096],
        [256, 128, 64, 32, 16, 2],
    ),
    "xception41": (
        ["stem", *stages("blocks.", 0, 1, 10), "blocks"],
        [64, 128, 256, 728, 2048],
        [128, 64, 32, 16, 8],
    ),
}


QUICK_TORCHVISION = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "googlenet",
    "mnasnet1_0",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "vgg11_bn",
)
QUICK_TIMM = ("dla34", "hrnet_w18_small", "resnetv2_50", "vgg11_bn")


def torchvision_network(name: str) -> nn.Module:
    untrained = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}
    # RegNet's initialisation does not run on the meta device.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        network: nn.Module = models.get_model(name, **untrained.get(name, {}))
    return network.eval()


@pytest.mark.parametrize("name", quickly(TORCHVISION, QUICK_TORCHVISION))
def test_torchvision(name: str) -> None:
    network = torchvision_network(name)
    blocks = measure_blocks(network, (256, 256))
    assert [block.layer.name for block in blocks] == TORCHVISION[name]
    assert_hooks_see(network, blocks)
    if name in DOCUMENTED:
        total = sum(block.maps for block in blocks)
        rows = (f"{b.layer.name} {b.maps}×{b.size[0]}×{b.size[1]}" for b in blocks)
        assert DOCUMENTED[name] == f"{', '.join(rows)} | {total}"


def test_the_document_has_no_network_that_is_not_checked() -> None:
    assert len(DOCUMENTED) >= 15
    assert DOCUMENTED.keys() <= TORCHVISION.keys()


@pytest.mark.parametrize("name", quickly(TIMM, QUICK_TIMM))
@pytest.mark.filterwarnings("ignore")  # of timm's own
def test_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        network = timm.create_model(name, pretrained=False).eval()
    blocks = measure_blocks(network, (256, 256))
    expected = TIMM[name]
    assert [block.layer.name for block in blocks] == expected[0]
    assert [block.maps for block in blocks] == expected[1]
    assert [block.size for block in blocks] == [(rows, rows) for rows in expected[2]]
    assert_hooks_see(network, blocks)


def assert_hooks_see(network: nn.Module, blocks: tuple[Block, ...]) -> None:
    """Each block's module runs once per pass and returns maps of the block's shape."""
    seen: list[tuple[nn.Module, tuple[int, ...]]] = []
    for block in blocks:
        block.layer.module.register_forward_hook(
            lambda module, _inputs, output: seen.append((module, tuple(output.shape)))
        )
    with torch.no_grad(), torch.device("meta"):
        network.to("meta")(torch.empty(1, 3, 256, 256))
    assert seen == [(block.layer.module, (1, block.maps, *block.size)) for block in blocks]


@pytest.mark.parametrize(
    "name",
    quickly(
        ["resnet18", "densenet121", "mobilenet_v3_small", "shufflenet_v2_x0_5"],
        ["resnet18", "mobilenet_v3_small"],
    ),
)
def test_all_of_the_signal_passes_through_each_block(name: str) -> None:
    """With a block's output held fixed, the logits no longer depend on the image."""
    torch.manual_seed(0)
    network = models.get_model(name).eval()
    images = torch.randn(2, 3, 64, 64)

    def hold(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output[:1].expand_as(output).clone()

    with torch.no_grad():
        free = network(images)
        assert not torch.allclose(free[0], free[1], rtol=1e-3, atol=0)
        for block in measure_blocks(network, (64, 64)):
            handle = block.layer.module.register_forward_hook(hold)
            held = network(images)
            handle.remove()
            torch.testing.assert_close(held[0], held[1], rtol=1e-4, atol=0)


def test_vgg16_layers_are_the_relus_before_its_pools() -> None:
    network = torchvision_network("vgg16")
    for block in measure_blocks(network, (256, 256)):
        following = network.features[int(block.layer.name.split(".")[1]) + 1]
        assert isinstance(block.layer.module, nn.ReLU)
        assert isinstance(following, nn.MaxPool2d)
