import re
from pathlib import Path
from urllib.error import URLError

import pytest
import safetensors.torch
import torch
import torchvision

from sise.architectures import Weightless, build_network
from training.errors import WeightsError
from training.weights import classes_of, head_names, initialise, initialise_grey

NET = "shufflenet_v2_x0_5"
LITE = "timm:tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def trained() -> dict[str, torch.Tensor]:
    """The weights of a network with seven classes."""
    torch.manual_seed(1)
    return build_network(NET, 7).state_dict()


def fresh() -> torch.nn.Module:
    torch.manual_seed(2)
    return build_network(NET, 5)


def save(path: Path, state: dict) -> str:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return str(path)


def test_none_leaves_the_network_as_built() -> None:
    network, same = fresh(), fresh().state_dict()
    initialise(network, NET, "none")
    assert all(torch.equal(tensor, same[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_file_gives_the_backbone_and_not_the_head(tmp_path, trained, capsys, name) -> None:
    network, built = fresh(), fresh().state_dict()
    initialise(network, NET, save(tmp_path / name, trained))
    state = network.state_dict()
    for tensor in state:
        source = built if tensor.startswith("fc.") else trained
        assert torch.equal(state[tensor], source[tensor]), tensor
    assert "the head has other classes and starts anew (fc.weight, …)" in capsys.readouterr().err


def test_the_demos_weights_are_all_but_the_head(capsys) -> None:
    network, built = fresh(), fresh().state_dict()
    initialise(network, NET, "demo")
    same = {
        name for name, tensor in network.state_dict().items() if torch.equal(tensor, built[name])
    }
    assert {name for name in same if not name.endswith("num_batches_tracked")} == {
        "fc.weight",
        "fc.bias",
    }
    assert "weights demo: learned on generated strips of another seed" in capsys.readouterr().err


def test_the_demos_weights_are_of_one_architecture(capsys) -> None:
    network = build_network("squeezenet1_1", 5)
    built = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    initialise(network, "squeezenet1_1", "demo")
    assert all(torch.equal(tensor, built[name]) for name, tensor in network.state_dict().items())
    assert "of shufflenet_v2_x0_5; squeezenet1_1 starts from none" in capsys.readouterr().err


def test_head_of_as_many_classes_is_kept_without_a_word(tmp_path, capsys) -> None:
    torch.manual_seed(3)
    source = build_network(NET, 5).state_dict()
    network = fresh()
    initialise(network, NET, save(tmp_path / "w.pth", source))
    assert torch.equal(network.state_dict()["fc.weight"], source["fc.weight"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("prefix", ["network.", "module."])
def test_wrapped_state_dicts_are_unwrapped(tmp_path, trained, prefix) -> None:
    wrapped = {"state_dict": {prefix + name: tensor for name, tensor in trained.items()}}
    network = fresh()
    initialise(network, NET, save(tmp_path / "w.pth", wrapped))
    name = "conv1.0.weight"
    assert torch.equal(network.state_dict()[name], trained[name])


def test_another_architecture_does_not_fit(tmp_path, trained) -> None:
    file = save(tmp_path / "w.pth", trained)
    message = r"w\.pth: does not fit squeezenet1_1: 50 of its 52 tensors are missing"
    network = build_network("squeezenet1_1", 5)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        initialise(network, "squeezenet1_1", file)
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())


def test_files_that_are_no_weights(tmp_path) -> None:
    garbage = tmp_path / "w.pth"
    garbage.write_bytes(b"not a checkpoint")
    also_garbage = tmp_path / "w.safetensors"
    also_garbage.write_bytes(b"\xff" * 20)
    for path in (garbage, also_garbage):
        with pytest.raises(WeightsError, match="not a weights file that is safe to load"):
            initialise(fresh(), NET, str(path))
    with pytest.raises(WeightsError, match=r"no such file; model\.weights is none, imagenet or"):
        initialise(fresh(), NET, str(tmp_path / "imagnet"))
    with pytest.raises(WeightsError, match="holds no state dict"):
        initialise(fresh(), NET, save(tmp_path / "list.pth", {"epoch": 3}))


class Evil:
    def __reduce__(self):
        return (Path("/tmp/steel-sise-was-here").touch, ())  # noqa: S108


def test_pickled_code_is_not_run(tmp_path) -> None:
    torch.save({"x": Evil()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="safe to load"):
        initialise(fresh(), NET, str(tmp_path / "w.pth"))
    assert not Path("/tmp/steel-sise-was-here").exists()  # noqa: S108


def test_imagenet_weights_out_of_reach(monkeypatch, tmp_path) -> None:
    def unreachable(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        initialise(fresh(), NET, "imagenet")
    message = str(caught.value)
    url = torchvision.models.get_model_weights(NET).DEFAULT.url
    assert "\n" not in message
    assert "no route to host" in message
    assert f"download {url} elsewhere" in message
    target = re.search(r"put it at (\S+),", message)
    assert target
    assert Path(target[1]) == Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


def test_imagenet_weights_put_by_hand_are_found(monkeypatch, tmp_path) -> None:
    torch.manual_seed(4)
    source = build_network(NET, 1000).state_dict()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = torchvision.models.get_model_weights(NET).DEFAULT
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    save(folder / weights.url.rsplit("/", 1)[1], source)
    network = fresh()
    initialise(network, NET, "imagenet")
    assert torch.equal(network.state_dict()["conv1.0.weight"], source["conv1.0.weight"])
    assert network.state_dict()["fc.weight"].shape == (5, 1024)


class OfflineError(OSError):
    """What a client of the hub may raise."""


def unreachable(*_: object, **__: object) -> None:
    raise OfflineError("cannot connect\nat all")


def test_timms_weights_out_of_reach(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    with pytest.raises(WeightsError) as caught:
        initialise(build_network(LITE, 5), LITE, "imagenet")
    assert str(caught.value) == (
        "ImageNet weights cannot be had (cannot connect): download "
        "https://huggingface.co/timm/tf_efficientnet_lite0.in1k/resolve/main/model.safetensors "
        "elsewhere and give it as --model.weights FILE, or train with --model.weights none"
    )
    never = "timm:efficientnet_lite1"
    with pytest.raises(WeightsError, match=r"timm has no ImageNet weights for 'efficientnet_lite1"):
        initialise(build_network(never, 5), never, "imagenet")


def test_timms_weights_are_read_from_the_hubs_file(monkeypatch, tmp_path, capsys) -> None:
    torch.manual_seed(4)
    source = build_network(LITE, 1000).state_dict()
    file = save(tmp_path / "model.safetensors", source)
    asked = []

    def download(*names: str) -> str:
        asked.append(names)
        return file

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    network = build_network(LITE, 5)
    initialise(network, LITE, "imagenet")
    assert asked == [("timm/tf_efficientnet_lite0.in1k", "model.safetensors")]
    state = network.state_dict()
    assert torch.equal(state["blocks.3.1.bn2.weight"], source["blocks.3.1.bn2.weight"])
    assert torch.equal(state["conv_stem.weight"], source["conv_stem.weight"])
    assert state["classifier.weight"].shape == (5, 1280)
    assert "the head has other classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        (NET, {"fc.weight", "fc.bias"}),
        (LITE, {"classifier.weight", "classifier.bias"}),
        ("squeezenet1_1", {"classifier.1.weight", "classifier.1.bias"}),
        ("vgg16", {"classifier.6.weight", "classifier.6.bias"}),
    ],
)
def test_head_is_what_depends_on_the_classes(architecture: str, head: set) -> None:
    assert head_names(architecture) == head


@pytest.mark.parametrize("mean", [(0.4, 0.4, 0.4), (0.485, 0.456, 0.406)])
def test_weights_for_three_channels_make_one(tmp_path, trained, capsys, mean) -> None:
    """The backbone's answer is the same on grey images; the head has other classes."""
    std = (0.2, 0.25, 0.3)
    file = save(tmp_path / "w.pth", trained)
    three, one = build_network(NET, 5), build_network(NET, 5, channels=1)
    initialise(three, NET, file)
    initialise_grey(one, NET, file, mean, std)
    assert "the head has other classes" in capsys.readouterr().err
    one.fc, images = three.fc, torch.rand(2, 1, 64, 64).expand(-1, 3, -1, -1)
    images = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    answers = []
    for network in (three, one):  # of batch statistics, as untrained ones hide the image
        with torch.no_grad():
            answers.append(network.train()(images))
    torch.testing.assert_close(answers[0], answers[1], rtol=0, atol=1e-4)
    assert (answers[0][0] - answers[0][1]).abs().max() > 0.1
    built = build_network(NET, 5, channels=1)
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    initialise_grey(built, NET, "none", mean, std)
    assert all(torch.equal(t, before[name]) for name, t in built.state_dict().items())


@pytest.mark.parametrize("architecture", [NET, "squeezenet1_1", LITE])
def test_how_many_classes_a_network_has(architecture: str) -> None:
    with Weightless():
        assert classes_of(build_network(architecture, 13), architecture) == 13
