import copy
from collections.abc import Callable
from types import MethodType

import pytest
import torch
from networks import HandNet, small_cnn
from torch import nn
from torch.nn import functional
from torchvision import models, transforms
from torchvision.transforms import v2

from sise.blocks import find_blocks, measure_blocks, resolve_layers
from sise.bundle import Calibrated
from sise.errors import LayerError

RESNET = ["relu", "layer1", "layer2", "layer3", "layer4"]


def names(model: nn.Module, size: tuple[int, int] = (16, 16)) -> list[str]:
    return [layer.name for layer in find_blocks(model, size)]


class Net(nn.Module):
    """Two blocks of convolutions, whose forward pass the tests replace."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 6, 3, padding=1, stride=2)
        self.head = nn.Linear(6, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.second(self.first(images)).mean((2, 3)))
        return logits


class Branching(nn.Module):
    """Control flow on values, which nothing can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        flat: torch.Tensor = self.flatten(images)
        return flat if images.sum() > 0 else -flat


# The rule, on networks small enough to see through.


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

    assert names(Residual()) == ["after"]


def test_pooling_without_a_convolution_after_it_is_no_block() -> None:
    assert names(small_cnn()) == ["2", "6"]
    assert names(HandNet(), (4, 4)) == ["block1", "block2"]


def test_a_pool_that_enlarges_a_small_map_is_no_block() -> None:
    # On 32×32 images VGG's last pool leaves 1×1, which its adaptive pool spreads over 7×7.
    with torch.device("meta"):
        network = models.vgg11()
    found = [block.size[0] for block in measure_blocks(network, (32, 32))]
    assert found == [32, 16, 8, 4, 2]


def test_convolutions_without_padding_do_not_end_a_block() -> None:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, 2), *head)
    blocks = measure_blocks(network, (32, 48))
    assert [(block.layer.name, block.maps, block.size) for block in blocks] == [
        ("1", 8, (28, 44)),
        ("2", 8, (13, 21)),
    ]
    assert blocks[0].stride == (32 / 28, 48 / 44)


def test_maps_of_class_scores_are_taken_only_where_there_are_no_others() -> None:
    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    scores = nn.Sequential(nn.Conv2d(8, 5, 1), nn.ReLU(), *pooled)
    assert names(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Dropout(), *scores)) == ["0"]
    assert names(nn.Sequential(nn.Conv2d(3, 5, 3), *pooled)) == ["0"]


def test_a_size_read_from_a_tensor_does_not_bypass_what_follows() -> None:
    class Sized(Net):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            first = self.first(images)
            second = self.second(first)
            back = functional.interpolate(second, size=first.shape[2:])
            logits: torch.Tensor = self.head(back.mean((2, 3)))
            return logits

    assert names(Sized()) == ["first", "second"]


def test_before_a_functional_relu_the_last_module_counts() -> None:
    class Functional(Net):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            first = functional.max_pool2d(functional.relu(self.first(images)), 2)
            logits: torch.Tensor = self.head(functional.relu(self.second(first)).mean((2, 3)))
            return logits

    assert names(Functional()) == ["first", "second"]


@pytest.mark.parametrize("size", [(64, 64), (256, 1600), (97, 131)])
def test_blocks_do_not_depend_on_the_images_size(size: tuple[int, int]) -> None:
    with torch.device("meta"):
        network = models.resnet18()
    assert names(network, size) == RESNET


@pytest.mark.parametrize(
    ("size", "expected"), [(16, RESNET[:3]), (8, RESNET[:2]), (4, ["relu"]), (33, RESNET)]
)
def test_small_images_leave_the_blocks_with_more_than_one_location(
    size: int, expected: list[str]
) -> None:
    with torch.device("meta"):
        network = models.resnet18()
    assert names(network, (size, size)) == expected


# Models as people have them.


def normalised(normalise: nn.Module) -> nn.Module:
    return nn.Sequential(normalise, models.resnet18())


def plain_attributes(network: models.ResNet) -> nn.Module:
    """Tensors and modules in plain attributes, and tensors made on the way."""

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.mean = torch.tensor([0.5, 0.5, 0.5]).view(1, 3, 1, 1)
            self.steps = [network]

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            shifted = (images - self.mean) / torch.tensor([0.2, 0.2, 0.2]).view(1, 3, 1, 1)
            logits: torch.Tensor = self.steps[0](shifted)
            return logits

    return Plain()


def patched(network: models.ResNet) -> nn.Module:
    original = type(network).forward
    network.forward = MethodType(lambda self, images: 2 * original(self, images), network)
    return network


def weight_normed(network: models.ResNet) -> nn.Module:
    nn.utils.parametrizations.weight_norm(network.conv1)
    return network


def made_in_inference_mode(_: models.ResNet) -> nn.Module:
    with torch.inference_mode():
        return models.resnet18()


def compiled_in_place(network: models.ResNet) -> nn.Module:
    network.compile()
    return network


@pytest.mark.parametrize(
    ("wrap", "prefix"),
    [
        (lambda net: Calibrated(net, 2.0), "network."),
        (nn.DataParallel, "module."),
        (torch.compile, "_orig_mod."),
        (lambda net: Calibrated(torch.compile(nn.DataParallel(net)), 2.0), None),
        (lambda net: nn.Sequential(transforms.Normalize([0.5] * 3, [0.5] * 3), net), "1."),
        (lambda net: nn.Sequential(v2.Normalize([0.5] * 3, [0.5] * 3), net), "1."),
        (plain_attributes, "network."),
        (patched, ""),
        (weight_normed, ""),
        (made_in_inference_mode, ""),
        (compiled_in_place, ""),
        (lambda net: net.half(), ""),
        (lambda net: net.double(), ""),
        (lambda net: net.train(), ""),
    ],
)
def test_models_as_people_have_them(
    wrap: Callable[[models.ResNet], nn.Module], prefix: str | None
) -> None:
    if prefix is None:
        prefix = "network._orig_mod.module."
    model = wrap(models.resnet18())
    found = find_blocks(model, (64, 64))
    assert [layer.name for layer in found] == [prefix + name for name in RESNET]
    modules = dict(model.named_modules())
    assert all(layer.module is modules[layer.name] for layer in found)


def test_auxiliary_heads_of_training_do_not_count() -> None:
    with torch.device("meta"):
        network = models.googlenet(aux_logits=True, init_weights=False).train()
    assert names(network, (64, 64))[-1] == "inception5b"


def test_the_model_is_not_touched() -> None:
    network = models.resnet18().train()
    network.layer1.eval()
    called: list[object] = []
    network.layer1.register_forward_hook(lambda *seen: called.append(seen))
    state = copy.deepcopy(network.state_dict())
    attributes = {name: dict(vars(module)) for name, module in network.named_modules()}
    modes = [module.training for module in network.modules()]

    find_blocks(network, (64, 64))
    with pytest.raises(LayerError):
        find_blocks(nn.Sequential(network, Branching()), (64, 64))

    assert called == []
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    for name, module in network.named_modules():
        assert vars(module).keys() == attributes[name].keys()
        assert all(vars(module)[key] is value for key, value in attributes[name].items())


class ByShape(Net):
    """Control flow on a shape, which torch.fx cannot follow and torch.export can."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[2] > 8:
            images = torch.relu(images)
        residual = self.first(images)
        logits: torch.Tensor = self.head(self.second(torch.relu(residual)).mean((2, 3)))
        return logits


class Repeated(Net):
    """As above, with a module that runs twice, and a residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = self.relu(self.first(images))
        summed = self.relu(first + self.inside(first)) if images.shape[2] > 8 else first
        logits: torch.Tensor = self.head(self.second(self.block(summed)).mean((2, 3)))
        return logits


@pytest.mark.parametrize(
    ("network", "expected"), [(ByShape(), ["first", "second"]), (Repeated(), ["block", "second"])]
)
def test_what_fx_cannot_trace_is_exported(network: nn.Module, expected: list[str]) -> None:
    with pytest.raises(torch.fx.proxy.TraceError):
        torch.fx.symbolic_trace(network)
    assert names(network) == expected
    assert names(nn.DataParallel(network)) == [f"module.{name}" for name in expected]
    assert not any(p.is_meta for p in network.parameters())


# Errors, each with its cure.


def test_a_model_that_cannot_be_traced_names_its_own_modules(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(LayerError, match=r"cannot trace Branching.*pass layers=.*it has none"):
        find_blocks(Branching(), (8, 8))
    model = nn.Sequential(small_cnn(), Branching())
    with pytest.raises(LayerError) as raised:
        find_blocks(model, (16, 16))
    message = str(raised.value)
    assert "\n" not in message
    assert message.endswith(
        "pass layers= with modules that return feature maps (B, N, h, w), shallow to deep, "
        "for instance ['0.2', '0.6']"
    )
    assert capfd.readouterr() == ("", "")


def test_a_model_without_convolutions_says_what_to_do() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))
    with pytest.raises(LayerError, match=r"no convolutional block.*pass layers="):
        find_blocks(flat, (8, 8))


@pytest.mark.parametrize(
    ("architecture", "patches"),
    [("vit_b_16", r"conv_proj \(768×14×14\): 1"), ("swin_t", r"features\.0\.0 \(96×56×56\): 1")],
)
def test_a_transformer_is_not_a_cnn(architecture: str, patches: str) -> None:
    with torch.device("meta"):
        network = models.get_model(architecture)
    with pytest.raises(LayerError, match=rf"is not a CNN: .*{patches}; linear.*pass layers="):
        find_blocks(network, (224, 224))


def test_features_that_only_branches_see_are_not_left_out_in_silence() -> None:
    class Branches(Net):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            first = self.first(images)
            left, right = self.second(first), self.second(-first)
            logits: torch.Tensor = self.head((left + right).mean((2, 3)))
            return logits

    with pytest.raises(LayerError, match=r"are first \(16×16\), but .* go on to 8×8; pass layers="):
        find_blocks(Branches(), (16, 16))


def test_images_too_small_are_told_from_other_troubles() -> None:
    with torch.device("meta"):
        resnet = models.resnet18()
        vgg = models.vgg11()
    with pytest.raises(LayerError, match=r"images of 2×2 are too small for ResNet: .* larger"):
        find_blocks(resnet, (2, 2))
    with pytest.raises(
        LayerError, match=r"VGG does not run on an image \(1, 3, 16, 16\): .*too small"
    ):
        find_blocks(vgg, (16, 16))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
def test_torchscript_cannot_be_hooked() -> None:
    with pytest.raises(LayerError, match="TorchScript, whose modules cannot be hooked"):
        find_blocks(torch.jit.script(small_cnn()), (16, 16))


def test_resolving_names_and_modules() -> None:
    network = small_cnn()
    first, second = resolve_layers(network, ["2", network[6]])
    assert (first.name, first.module) == ("2", network[2])
    assert (second.name, second.module) == ("6", network[6])
    with pytest.raises(LayerError, match="layers is empty"):
        resolve_layers(network, [])
