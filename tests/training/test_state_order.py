"""Weights under the names of other libraries, matched tensor by tensor."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sise.architectures import Weightless, build_network
from training.errors import WeightsError
from training.state_dicts import Fit
from training.state_order import in_line, in_order
from training.weights import initialise

LITE = "timm:tf_efficientnet_lite0"
State = dict[str, torch.Tensor]


def stirred(network: nn.Module) -> nn.Module:
    """Every tensor its own, so that two that change places show."""
    generator = torch.Generator().manual_seed(0)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.2 + 0.4)
    return network.eval()


@pytest.fixture(scope="module")
def lite() -> nn.Module:
    return stirred(build_network(LITE, 7))


def renamed(state: State) -> State:
    """As the EfficientNets of Melas-Kyriazi's library are called, on PyPI for instance.

    Blocks are counted through; a block has a convolution that expands it, but for the first.
    """
    blocks = list(dict.fromkeys(re.findall(r"blocks\.\d+\.\d+", " ".join(state))))
    layers = {
        "conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
        "classifier": "_fc",
    }  # fmt: skip
    for number, block in enumerate(blocks):
        own = ["conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"]
        theirs = ["_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
        if number == 0:
            own, theirs = ["conv_dw", "bn1", "conv_pw", "bn2"], theirs[2:]
        for one, other in zip(own, theirs, strict=True):
            layers[f"{block}.{one}"] = f"_blocks.{number}.{other}"
    new = {}
    for name, tensor in state.items():
        layer, _, leaf = name.rpartition(".")
        new[f"{layers[layer]}.{leaf}"] = tensor
    assert len(new) == len(state)
    return new


def loaded(file: Path, architecture: str = LITE, classes: int = 7, part: str = "") -> nn.Module:
    torch.manual_seed(3)
    network = build_network(architecture, classes)
    initialise(network, architecture, f"{file}{part}")
    return network.eval()


def same_answer(one: nn.Module, other: nn.Module) -> None:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(one(images), other(images))


def test_other_names_in_the_same_order(tmp_path: Path, lite: nn.Module, capsys) -> None:
    torch.save(renamed(lite.state_dict()), tmp_path / "w.pth")
    same_answer(loaded(tmp_path / "w.pth"), lite)
    said = capsys.readouterr().err
    assert (
        "matched in order, as its names are others (_conv_stem.weight is conv_stem.weight" in said
    )
    assert "_fc.bias is classifier.bias" in said


def test_counters_may_be_missing_and_the_head_of_other_classes(
    tmp_path: Path, lite: nn.Module, capsys
) -> None:
    state = renamed(lite.state_dict())
    plain = {n: t.numpy() for n, t in state.items() if not n.endswith("num_batches_tracked")}
    np.savez(tmp_path / "w.npz", **plain)
    found = loaded(tmp_path / "w.npz", classes=3).state_dict()
    assert torch.equal(found["bn2.running_var"], lite.state_dict()["bn2.running_var"])
    assert found["classifier.weight"].shape == (3, 1280)
    assert "the head has other classes and starts anew" in capsys.readouterr().err


def ordered(tensors: State, network: nn.Module, part: str | None = None) -> Fit | None:
    head = frozenset({"classifier.weight", "classifier.bias"})
    return in_order(tensors, network, head, LITE, "w.pth", part)


def test_one_of_several_is_chosen_by_name(lite: nn.Module) -> None:
    one = renamed(lite.state_dict())
    both = {f"model.{name}": tensor for name, tensor in one.items()}
    both |= {f"ema.{name}": tensor + 1 for name, tensor in one.items()}
    with pytest.raises(WeightsError, match=r"2 state dicts that fit .*'model' and 'ema'; choose"):
        ordered(both, lite)
    chosen = ordered(both, lite, "model")
    assert chosen is not None
    assert torch.equal(chosen.known["conv_stem.weight"], one["_conv_stem.weight"])


def swapped(state: State) -> State:
    """The first two layers in the other order: shapes tell."""
    names = list(state)
    return {name: state[name] for name in [*names[1:6], names[0], *names[6:]]}


def nameless(state: State) -> State:
    """A batch norm's weight, bias, mean and variance are of one shape: nothing tells."""
    return {f"arr.{number}": tensor for number, tensor in enumerate(state.values())}


def by_name(state: State) -> State:
    """As safetensors leaves them: the order is lost."""
    return dict(sorted(state.items()))


def one_less(state: State) -> State:
    return dict(list(state.items())[1:])


def larger(state: State) -> State:
    return {**state, "_more.weight": torch.zeros(3, 3)}


@pytest.mark.parametrize("change", [swapped, nameless, by_name, one_less, larger])
def test_what_is_not_certain_is_no_match(lite: nn.Module, change: Callable[[State], State]) -> None:
    assert ordered(change(renamed(lite.state_dict())), lite) is None


def test_the_message_is_that_of_names_where_no_order_fits(tmp_path: Path, lite: nn.Module) -> None:
    torch.save(swapped(renamed(lite.state_dict())), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"does not fit timm:\S+: 294 of its 296 tensors are"):
        loaded(tmp_path / "w.pth")


def test_a_sequence_sorted_by_name_is_refused_where_shapes_would_fit(tmp_path: Path) -> None:
    """Ten equal layers, of which the tenth would come after the first."""
    network = stirred(nn.Sequential(*(nn.Conv2d(3, 3, 1, bias=False) for _ in range(11))))
    state = network.state_dict()
    theirs = {f"layer{name}": tensor for name, tensor in state.items()}
    fit = in_order(theirs, network, frozenset(), "mine", "w.pth")
    assert fit is not None
    assert torch.equal(fit.known["10.weight"], state["10.weight"])
    assert in_order(by_name(theirs), network, frozenset(), "mine", "w.pth") is None


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("vgg11_bn", True),
        (LITE, True),  # skip connections bear no weights
        ("resnet18", False),  # two convolutions of a block that starts a stage run side by side
        ("squeezenet1_1", False),
        *(
            pytest.param(name, expected, marks=pytest.mark.slow)
            for name, expected in [
                ("efficientnet_b0", True),
                ("timm:efficientnet_b0", True),
                ("googlenet", False),
                ("timm:resnet18", False),
            ]
        ),
    ],
)
def test_where_only_one_order_is_possible(architecture: str, expected: bool) -> None:
    with Weightless():
        network = build_network(architecture, 5)
    assert in_line(network) is expected


class Reversed(nn.Module):
    """Its layers run in another order than they are kept in."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(3, 3, 1)
        self.first = nn.Conv2d(3, 3, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.last(self.first(images))
        return out


def test_layers_kept_in_another_order_than_they_run_in() -> None:
    assert not in_line(Reversed())


@pytest.mark.slow
def test_timms_efficientnet_into_torchvisions(tmp_path: Path) -> None:
    theirs = stirred(build_network("timm:efficientnet_b0", 7))
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "w.pth")
    ours = loaded(tmp_path / "w.pth", "efficientnet_b0")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


def test_timms_resnet_has_the_names_of_torchvisions(tmp_path: Path, capsys) -> None:
    theirs = stirred(build_network("timm:resnet18", 7))
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    ours = loaded(tmp_path / "w.pth", "resnet18")
    assert capsys.readouterr().err == ""
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))
