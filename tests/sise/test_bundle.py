import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from sise import bundle as bundles
from sise.bundle import ModelCard
from sise.errors import BundleError

CLASSES = ("normal", "class 1", "class 2")


def card(**changes: object) -> ModelCard:
    values: dict[str, object] = {
        "architecture": "squeezenet1_1",
        "classes": CLASSES,
        "input_size": (64, 64),
        "mean": (0.5, 0.25, 0.0),
        "std": (0.25, 0.5, 1.0),
        "thresholds": {"class 1": 0.4},
        "metrics": {"macro_recall": 0.75},
    }
    return ModelCard(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "тест dir" / "bundle"
    torch.manual_seed(0)
    bundles.save(path, card(), bundles.build_network("squeezenet1_1", 3))
    return path


def test_what_is_saved_is_loaded(folder: Path) -> None:
    torch.manual_seed(0)
    network = bundles.build_network("squeezenet1_1", 3).eval()
    loaded = bundles.load(folder)
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(loaded.model(images), network(images))
    assert loaded.card.classes == CLASSES
    assert loaded.card.thresholds == {"class 1": 0.4}
    assert loaded.card.metrics == {"macro_recall": 0.75}
    assert loaded.card.versions["torch"] == torch.__version__.split("+")[0]
    assert not loaded.model.training
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "weights.safetensors"]


def test_the_identity_is_the_cards_hash_which_holds_the_weights(folder: Path) -> None:
    loaded = bundles.load(folder)
    assert loaded.sha256 == bundles.file_sha256(folder / "model.json")
    assert loaded.card.weights_sha256 == bundles.file_sha256(folder / "weights.safetensors")


def test_the_temperature_divides_the_logits(tmp_path: Path, folder: Path) -> None:
    network = bundles.load(folder).model.network
    hot = bundles.save(tmp_path / "hot", card(temperature=4.0), network)
    images = torch.rand(1, 3, 64, 64)
    assert torch.allclose(hot.model(images) * 4, bundles.load(folder).model(images), rtol=1e-6)


def test_preprocessing_by_hand(folder: Path) -> None:
    images = np.array([[[[255, 0, 51]]]], np.uint8)
    normalised = bundles.load(folder).preprocess(images)
    # (1 - 0.5) / 0.25, (0 - 0.25) / 0.5, (0.2 - 0) / 1
    assert normalised.shape == (1, 3, 1, 1)
    assert normalised.flatten().tolist() == pytest.approx([2.0, -0.5, 0.2])


def test_half_precision_weights_are_saved_in_float32(tmp_path: Path) -> None:
    network = bundles.build_network("squeezenet1_1", 3).half()
    bundles.save(tmp_path / "half", card(), network)
    weights = safetensors.torch.load_file(tmp_path / "half" / "weights.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_saving_over_a_bundle_replaces_it(folder: Path) -> None:
    before = bundles.load(folder).sha256
    bundles.save(folder, card(), bundles.build_network("squeezenet1_1", 3))
    assert bundles.load(folder).sha256 != before


def test_changed_weights_are_refused(folder: Path) -> None:
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BundleError, match=r"weights\.safetensors: SHA-256 differs"):
        bundles.load(folder)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    wide = bundles.build_network("squeezenet1_1", 7)
    with pytest.raises(BundleError, match="do not fit squeezenet1_1 with 3 classes"):
        bundles.save(tmp_path / "b", card(), wide)


def spoil(network: torch.nn.Module, name: str, value: float) -> torch.nn.Module:
    with torch.no_grad():
        network.state_dict()[name].view(-1)[-1] = value
    return network


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["fc.weight", "conv1.1.running_var"])
def test_weights_that_are_not_finite_are_not_written(
    tmp_path: Path, name: str, value: float
) -> None:
    network = spoil(bundles.build_network("shufflenet_v2_x0_5", 3), name, value)
    with pytest.raises(BundleError, match=rf"no bundle is written: 1 of .*infinity \({name}, …"):
        bundles.save(tmp_path / "b", card(architecture="shufflenet_v2_x0_5"), network)
    assert not (tmp_path / "b").exists()


def test_weights_that_float32_cannot_hold_are_not_written(tmp_path: Path) -> None:
    network = bundles.build_network("squeezenet1_1", 3).double()
    spoil(network, "classifier.1.bias", 1e39)
    with pytest.raises(BundleError, match=r"infinity \(classifier\.1\.bias, …"):
        bundles.save(tmp_path / "b", card(), network)


def test_a_bundle_there_outlives_one_that_is_not_written(folder: Path) -> None:
    before = bundles.load(folder).sha256
    network = spoil(bundles.build_network("squeezenet1_1", 3), "features.0.bias", float("nan"))
    with pytest.raises(BundleError, match="no bundle is written"):
        bundles.save(folder, card(), network)
    assert bundles.load(folder).sha256 == before


def test_weights_that_are_not_finite_are_not_loaded(folder: Path) -> None:
    path = folder / "weights.safetensors"
    weights = safetensors.torch.load_file(path)
    weights["classifier.1.weight"][2, 0] = float("nan")
    safetensors.torch.save_file(weights, path)
    content = json.loads((folder / "model.json").read_text())
    content["weights_sha256"] = bundles.file_sha256(path)
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"safetensors: .*1 of 52 .*\(classifier\.1\.weight, …"):
        bundles.load(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metrics", {"recall": {"class 1": float("nan")}}),
        ("temperature", float("inf")),
        ("thresholds", {"class 1": float("nan")}),
    ],
)
def test_a_card_with_a_number_that_is_not_finite_is_not_written(
    tmp_path: Path, field: str, value: object
) -> None:
    with pytest.raises(BundleError, match=f"no bundle is written: the card's {field} holds NaN"):
        bundles.save(tmp_path / "b", card(**{field: value}), torch.nn.Linear(1, 1))
    assert not (tmp_path / "b").exists()


def test_missing_parts_are_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BundleError, match=r"no model bundle here \(model.json is missing\)"):
        bundles.load(tmp_path)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(BundleError, match="the weights are missing"):
        bundles.load(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": "steel-sise bundle 1"}', '{"format": "other"}', "null"],
)
def test_a_card_that_is_no_card_is_refused(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    with pytest.raises(BundleError, match=r"model\.json: not a readable model card"):
        bundles.load(folder)


def test_a_temperature_of_zero_is_refused(folder: Path) -> None:
    content = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(content | {"temperature": 0}))
    with pytest.raises(BundleError, match="temperature must be positive, not 0"):
        bundles.load(folder)


def test_an_unknown_architecture_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no classifier named 'resnet99'.*resnet101"):
        bundles.build_network("resnet99", 3)


@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3"])
def test_networks_with_auxiliary_heads_are_built_without_them(architecture: str) -> None:
    with torch.device("meta"):
        names = bundles.build_network(architecture, 3).state_dict().keys()
    assert not any("aux" in name.lower() for name in names)
