"""Weights as people have them: wrapped, contained, old, and what only looks like weights."""

import argparse
import bz2
import gzip
import io
import re
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from sise.architectures import Weightless, build_network
from training.errors import RecipeError, WeightsError
from training.fit import check_explainable
from training.state_dicts import find_state
from training.state_files import read_tensors
from training.weights import head_names, initialise

NET = "shufflenet_v2_x0_5"


def shifted(match: re.Match[str]) -> str:
    """VGG's linear layers, one further back."""
    return f"classifier.{int(match[1]) + 1}."


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return dict(build_network(NET, 7).state_dict())


def named(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def took(tmp_path: Path, content: object, state: dict, part: str = "", net: str = NET) -> None:
    """The network gets every tensor but the head's."""
    torch.save(content, tmp_path / "w.pth")
    network = build_network(net, 5)
    initialise(network, net, str(tmp_path / "w.pth") + part)
    found = network.state_dict()
    for name, tensor in state.items():
        if tensor.shape == found[name].shape:
            assert torch.equal(found[name], tensor.to(found[name].dtype)), name


@pytest.mark.parametrize(
    "prefix",
    ["_orig_mod.", "module.", "model.", "backbone.", "net.", "encoder.", "a.b.c.",
     "module._orig_mod.network.", "model.module.backbone."],
)  # fmt: skip
def test_any_common_prefix_comes_off(tmp_path: Path, state: dict, prefix: str) -> None:
    took(tmp_path, named(state, prefix), state)


@pytest.mark.parametrize(
    "key", ["model", "model_state_dict", "state_dict", "ema", "net", "weights"]
)
def test_the_state_dict_is_found_beside_an_optimizer(tmp_path: Path, state: dict, key: str) -> None:
    adam = {"state": {0: {"exp_avg": torch.zeros(24, 3, 3, 3)}}, "param_groups": [{"lr": 0.1}]}
    args = argparse.Namespace(lr=0.1)
    took(tmp_path, {"epoch": 3, "optimizer": adam, key: state, "args": args}, state)
    took(tmp_path, {"out": [{key: named(state, "module.")}, 3]}, state)


def test_wrappers_in_the_middle_of_names_halves_parameters_and_missing_counters(
    tmp_path: Path, state: dict
) -> None:
    inner = {
        name.replace("stage2.", "stage2.module."): nn.Parameter(t.half(), requires_grad=False)
        for name, t in state.items()
        if not name.endswith("num_batches_tracked")
    }
    halves = {name: t.half() for name, t in state.items() if not name.endswith("tracked")}
    took(tmp_path, inner, halves)


def test_arrays_of_numpy_are_read_by_name(tmp_path: Path, state: dict) -> None:
    np.savez(tmp_path / "w.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    network = build_network(NET, 5)
    initialise(network, NET, str(tmp_path / "w.npz"))
    found = network.state_dict()
    assert torch.equal(found["conv1.0.weight"], state["conv1.0.weight"])
    assert torch.equal(found["conv5.1.running_var"], state["conv5.1.running_var"])


def test_real_weights_of_numpy(steel_data: Path, capsys) -> None:
    network = build_network("squeezenet1_1", 5)
    file = steel_data / "weights" / "squeezenet1_1_imagenet.npz"
    initialise(network, "squeezenet1_1", str(file))
    first = np.load(file)["features.0.weight"]
    assert np.array_equal(network.features[0].weight.detach().numpy(), first)
    assert "the head has other classes" in capsys.readouterr().err


def test_of_two_that_fit_one_is_chosen_by_name(tmp_path: Path, state: dict) -> None:
    other = {name: tensor + 1 for name, tensor in state.items()}
    both = {"model": state, "ema": named(other, "module.")}
    cure = r"2 state dicts that fit .*'model' and 'ema\.module'; choose one: --model\.weights '.*#"
    with pytest.raises(WeightsError, match=cure):
        took(tmp_path, both, state)
    took(tmp_path, both, other, "#ema")
    took(tmp_path, both, state, "#model")
    took(tmp_path, {"model": state, "ema": dict(state)}, state)


@pytest.mark.parametrize(
    ("net", "today", "old", "example"),
    [
        ("densenet121", r"(norm|conv)([12])\.", r"\1.\2.", "denseblock1.denselayer1.norm.1.weight"),
        ("vit_b_32", r"mlp\.0\.", "mlp.linear_1.", "encoder_layer_0.mlp.linear_1.weight"),
        ("vit_b_32", r"mlp\.3\.", "mlp.linear_2.", "encoder_layer_0.mlp.linear_2.bias"),
        ("vgg11_bn", r"^classifier\.([03])\.", shifted, "classifier.4.weight"),
    ],
)
def test_names_of_old_versions(
    net: str, today: str, old: str | Callable[[re.Match[str]], str], example: str
) -> None:
    """On shapes alone; the file has a head of 1000, and an optimiser's numbers around it."""
    with Weightless():
        built = build_network(net, 1000).state_dict()
        own = build_network(net, 5).state_dict()
    file = {
        f"model.{re.sub(today, old, name)}": torch.zeros(()).expand(tensor.shape)
        for name, tensor in built.items()
        if not name.endswith("num_batches_tracked")
    }
    assert any(name.endswith(example) for name in file)
    fit = find_state(file, own, head_names(net), net, "w.pth")
    assert fit.prefix == "model"
    assert {n for n in own if not n.endswith("num_batches_tracked")} == set(fit.known)


def test_mnasnet_of_the_first_version_of_its_state_is_refused(tmp_path: Path) -> None:
    """Its stem had 32 channels at every width, which today's network has not."""
    state = dict(build_network("mnasnet0_5", 1000).state_dict())
    state["layers.0.weight"] = torch.zeros(32, 3, 3, 3)
    message = r"wants layers\.0\.weight \(16×3×3×3\); the file has layers\.0\.weight \(32×3×3×3\)"
    with pytest.raises(WeightsError, match=message):
        took(tmp_path, state, {}, "", "mnasnet0_5")


def test_regnet_and_mnasnet_take_a_file(tmp_path: Path) -> None:
    for net in ("regnet_y_400mf", "mnasnet0_5"):
        state = dict(build_network(net, 1000).state_dict())
        took(tmp_path, state, state, "", net)


def test_auxiliary_heads_are_left_out_with_a_note(tmp_path: Path, capsys) -> None:
    state = dict(build_network("googlenet", 1000).state_dict())
    took(tmp_path, state | {"aux1.fc1.weight": torch.ones(9, 9)}, state, "", "googlenet")
    said = capsys.readouterr().err
    assert "googlenet has no place for 1 tensors, which are left out (aux1.fc1.weight)" in said


def test_a_larger_network_is_no_fit(tmp_path: Path) -> None:
    state = build_network("resnet34", 1000).state_dict()
    message = r"does not fit resnet18: .* more lie within its layers \(layer1\.2\.conv1\.weight"
    with pytest.raises(WeightsError, match=message):
        took(tmp_path, state, {}, "", "resnet18")


def test_both_sides_are_named_where_nothing_fits(tmp_path: Path, state: dict) -> None:
    state = {**state, "conv1.0.weight": torch.zeros(24, 1, 3, 3)}
    message = r"wants conv1\.0\.weight \(24×3×3×3\); the file has conv1\.0\.weight \(24×1×3×3\)"
    with pytest.raises(WeightsError, match=message):
        took(tmp_path, state, {})


def test_a_tensor_that_is_not_finite_is_named(tmp_path: Path, state: dict) -> None:
    broken = {**state, "conv1.1.bias": torch.full((24,), torch.nan)}
    with pytest.raises(
        WeightsError, match=r"w\.pth: weights that are not finite \(conv1\.1\.bias, …\)"
    ):
        took(tmp_path, {"model": broken}, {})
    with pytest.raises(WeightsError, match=r"conv1\.1\.bias is torch\.int8, not torch\.float32"):
        took(tmp_path, {**state, "conv1.1.bias": torch.zeros(24, dtype=torch.int8)}, {})


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("w.pth"))
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("w.pth", b"x")
    return buffer.getvalue()


def npz(array: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{"conv1.0.weight": np.array(array)})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        (b"", "empty; copy or download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "a web page, as a failed download leaves it"),
        (gzip.compress(b"x", mtime=0), r"compressed \(gzip\); unpack it first"),
        (bz2.compress(b"x"), r"compressed \(bzip2\); unpack it first"),
        (tarred(), "a tar archive; unpack it first"),
        (npz(object()), "holds Python objects, not numbers alone; save arrays of numbers"),
        (zipped(), r"a ZIP archive \(w\.pth, …\); unpack it first"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x80\x04\x95", "a pickle that torch.save did not write"),
        (b"garbage", "not a weights file that is safe to load"),
    ],
)
def test_what_is_no_weights_file_has_a_cure(tmp_path: Path, content: bytes, cure: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=cure) as caught:
        initialise(nn.Linear(1, 1), NET, str(tmp_path / "w.pth"))
    assert "\n" not in str(caught.value)


def test_a_pickled_module_torchscript_and_a_cut_file_have_a_cure(
    tmp_path: Path, state: dict
) -> None:
    path = tmp_path / "w.pth"
    torch.save(build_network(NET, 5), path)
    with pytest.raises(WeightsError, match=r"holds torchvision\.models\.shufflenetv2\S* too"):
        initialise(nn.Linear(1, 1), NET, str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, files of it remain
        torch.jit.save(torch.jit.trace(nn.Linear(1, 1), torch.ones(1, 1)), path)
    with pytest.raises(WeightsError, match=r"TorchScript.*torch\.jit\.load\(FILE\)\.state_dict\("):
        initialise(nn.Linear(1, 1), NET, str(path))
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(WeightsError, match="damaged or cut off"):
        initialise(nn.Linear(1, 1), NET, str(path))
    with pytest.raises(
        WeightsError, match=r"a folder; give the file of weights in it, .*w\.pth say"
    ):
        initialise(nn.Linear(1, 1), NET, str(tmp_path))


@pytest.mark.parametrize("save", [torch.save, lambda state, file: np.savez(file, **state)])
def test_an_archive_with_damage_anywhere_in_its_list_has_a_cure(
    tmp_path: Path, save: Callable[..., object]
) -> None:
    content = io.BytesIO()
    save({"fc.bias": torch.zeros(3)}, content)
    whole, file, refused = content.getvalue(), tmp_path / "w.pth", list[str]()
    for place in range(whole.index(b"PK\x01\x02"), len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_tensors(file)
        except WeightsError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert not any("\n" in line for line in refused)


def test_old_files_and_wrong_suffixes_are_read(tmp_path: Path, state: dict) -> None:
    torch.save(state, tmp_path / "old.safetensors", _use_new_zipfile_serialization=False)
    for name in ("w.bin", "w.pth"):
        safetensors.torch.save_file(state, tmp_path / name)
    for name in ("old.safetensors", "w.bin", "w.pth"):
        network = build_network(NET, 5)
        initialise(network, NET, str(tmp_path / name))
        assert torch.equal(network.state_dict()["conv5.0.weight"], state["conv5.0.weight"])


@pytest.mark.parametrize("architecture", ["vit_b_32", "swin_t"])
def test_a_transformer_is_refused_before_the_training(architecture: str) -> None:
    with Weightless():
        network = build_network(architecture, 5)
    with pytest.raises(RecipeError, match=r"SISE cannot explain it on crops of 256×256 px \(.*CNN"):
        check_explainable(network, architecture, (256, 256))
