"""Every classifier of torchvision as a bundle."""

import re
import sys
from collections import OrderedDict
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import torchvision
from networks import quickly
from torch import nn

from sise import bundle as bundles
from sise.architectures import Weightless, architectures, build_network, load_state, state_of
from sise.blocks import find_blocks
from sise.bundle import ModelCard
from sise.errors import BundleError, LayerError

EVERY = torchvision.models.list_models(module=torchvision.models)
REAL = ("densenet121", "googlenet", "mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf")
QUICK = {re.sub("[^a-z].*", "", name): name for name in EVERY}.values()
"""One of each family."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def card(architecture: str) -> ModelCard:
    return ModelCard(architecture, ("normal", "class 1"), (64, 64), *IMAGENET)


@pytest.mark.parametrize("architecture", quickly(EVERY, QUICK))
def test_every_classifier_takes_its_state_from_a_file(architecture: str) -> None:
    with Weightless():
        network = build_network(architecture, 2)
    assert all(parameter.is_meta for parameter in network.parameters())
    # What safetensors gives back: names and tensors, in its own order, without versions.
    load_state(network, dict(sorted(state_of(network).items())))


def stirred(network: nn.Module) -> nn.Module:
    """Statistics of batch norm that a mistake would show in, too."""
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("architecture", quickly(REAL, REAL[1:4]))
def test_a_bundle_answers_as_the_network_did(tmp_path: Path, architecture: str) -> None:
    torch.manual_seed(0)
    network = stirred(build_network(architecture, 2))
    bundles.save(tmp_path, card(architecture), network)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(bundles.load(tmp_path).model(images), network(images))
    assert "transform_input" not in (tmp_path / "model.json").read_text()


def test_torchvisions_own_googlenet_keeps_its_inputs_and_leaves_its_auxiliary_heads(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    given = torchvision.models.googlenet(num_classes=2, transform_input=True, init_weights=False)
    network = stirred(given)
    loaded = bundles.save(tmp_path, card("googlenet"), network)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded.model(images), network(images))
    assert loaded.card.transform_input
    assert '"transform_input": true' in (tmp_path / "model.json").read_text()


def test_a_wrapped_network_is_saved_bare(tmp_path: Path) -> None:
    network = build_network("squeezenet1_1", 2).eval()
    loaded = bundles.save(tmp_path, card("squeezenet1_1"), nn.DataParallel(network))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded.model(images), network(images))


def test_an_earlier_bundle_stays_if_the_new_weights_do_not_fit(tmp_path: Path) -> None:
    kept = bundles.save(tmp_path, card("squeezenet1_1"), build_network("squeezenet1_1", 2))
    with pytest.raises(BundleError, match=r"no bundle is written: the weights do not fit"):
        bundles.save(tmp_path, card("squeezenet1_1"), build_network("squeezenet1_1", 7))
    assert bundles.load(tmp_path).sha256 == kept.sha256


def test_the_versions_of_the_network_stand_for_those_of_the_file() -> None:
    with Weightless():
        network = build_network("mnasnet1_0", 2)
    with pytest.raises(ValueError, match="version"):
        network.load_state_dict(OrderedDict(network.state_dict().items()))
    load_state(network, dict(network.state_dict()))


TIMM = ("tf_efficientnet_lite0", "resnet18", "convnext_atto", "regnety_002", "resnetv2_50")


@pytest.mark.parametrize("name", quickly(TIMM, TIMM[:1]))
def test_a_bundle_rebuilds_a_network_of_timm(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    network = stirred(build_network(f"timm:{name}", 2))
    assert type(network).__module__.startswith("timm.")
    saved = bundles.save(tmp_path, card(f"timm:{name}"), network)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(saved.model(images), network(images))
    assert saved.card.versions["timm"] == version("timm")


def test_without_timm_there_are_torchvisions_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(BundleError, match=r'need timm: pip install "steel-sise\[timm\]"'):
        build_network("timm:resnet18", 2)
    assert {one.source for one in architectures()} == {"torchvision"}
    build_network("squeezenet1_1", 2)


def test_the_list_has_cnns_of_both_and_no_transformer() -> None:
    listed = {one.name: one for one in architectures()}
    assert {"resnet18", "vgg16", "timm:resnet18", "timm:tf_efficientnet_lite0"} <= listed.keys()
    assert not [name for name in listed if re.search(r"(^|:)(vit|deit|swin|beit)_", name)]
    assert listed["timm:tf_efficientnet_lite0"].pretrained
    assert not listed["timm:efficientnet_lite1"].pretrained  # never trained, its tf_ twin was
    assert [one.name for one in architectures("*lite0")] == [
        "timm:efficientnet_lite0",
        "timm:tf_efficientnet_lite0",
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet51", "did you mean resnet50, "),
        ("timm:resnet51", "did you mean timm:resnet51q, timm:resnet50"),
        ("timm:resnet18.mine", "no weights named 'resnet18.mine'; it has resnet18.a1_in1k, "),
        ("timm:hf_hub:timm/resnet18.a1_in1k", "timm has no classifier named 'hf_hub:"),
        ("timm:local-dir:/tmp/net", "timm has no classifier named 'local-dir:"),
    ],
)
def test_a_wrong_name_is_one_line(name: str, told: str) -> None:
    with pytest.raises(BundleError, match=re.escape(told)) as caught:
        build_network(name, 2)
    assert "\n" not in str(caught.value)


def families() -> list[str]:
    """A small network of each family (module) of timm."""
    timm = pytest.importorskip("timm")
    return [
        min(names, key=lambda name: (not re.search("atto|nano|tiny|18|_s|_b0", name), len(name)))
        for names in (timm.list_models(module=module) for module in timm.list_modules())
        if names
    ]


@pytest.mark.slow(minutes=3)
@pytest.mark.filterwarnings("ignore")  # of timm's own
def test_what_the_list_leaves_out_is_what_cannot_be_explained() -> None:
    listed = {one.name for one in architectures()}
    wrong = []
    for name in families():
        with Weightless():
            network = build_network(f"timm:{name}", 2)
        try:
            found = bool(find_blocks(network, (256, 256)))
        except LayerError:
            found = False
        wrong += [name] * (found != (f"timm:{name}" in listed))
    assert wrong == []
