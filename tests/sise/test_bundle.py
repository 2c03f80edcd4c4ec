import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from sise import GradCAM
from sise import bundle as bundles
from sise.bundle import ModelCard
from sise.errors import BundleError, SiseError
from sise.model_card import markdown

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
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["MODEL_CARD.md", "model.json", "weights.safetensors"]


def test_the_markdown_says_what_the_card_says_and_is_not_needed(folder: Path) -> None:
    written = folder / "MODEL_CARD.md"
    assert written.read_text("utf-8") == markdown(bundles.read_card(folder))
    written.unlink()
    assert bundles.load(folder).card.classes == CLASSES


def test_the_identity_is_the_cards_hash_which_holds_the_weights(folder: Path) -> None:
    loaded = bundles.load(folder)
    assert loaded.sha256 == bundles.file_sha256(folder / "model.json")
    assert loaded.card.weights_sha256 == bundles.file_sha256(folder / "weights.safetensors")


def test_the_temperature_divides_the_logits(tmp_path: Path, folder: Path) -> None:
    network = bundles.load(folder).model.network
    hot = bundles.save(tmp_path / "hot", card(temperature=4.0), network)
    images = torch.rand(1, 3, 64, 64)
    assert torch.allclose(hot.model(images) * 4, bundles.load(folder).model(images), rtol=1e-6)


def test_the_logits_of_a_bundle_are_not_taken_for_probabilities(tmp_path: Path) -> None:
    network = bundles.build_network("squeezenet1_1", 3)
    head = network.classifier[1]
    torch.nn.init.zeros_(head.weight)
    head.weight.data[:, 0] = 1e-3  # before its ReLU; all that the network returns is in [0, 1]
    torch.nn.init.constant_(head.bias, 0.1)
    model = bundles.save(tmp_path / "bundle", card(), network).model
    images = torch.randn(1, 3, 64, 64)
    assert 0 < model(images).min() <= model(images).max() < 1
    explanation = GradCAM(model)(images, 1)
    assert explanation.scores.tolist() == pytest.approx([1 / 3])
    with pytest.raises(SiseError, match="probabilities already"):
        GradCAM(network.eval())(images, 1)


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


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("temperature", "0", "temperature: Input should be greater than or equal to 0.001, not 0"),
        ("temperature", "NaN", "temperature: not a finite number"),
        ("temperature", "1e400", "temperature: not a finite number"),
        ("temperature", "true", "temperature: Input should be a valid number, not true"),
        ("temperature", "[" * 30 + "]" * 30, "temperature: Input should be a valid number"),
        ("thresholds", '{"class 1": 2}', "thresholds, class 1: Input should be less than or equal"),
        ("thresholds", '{"class 1": -1}', "thresholds, class 1: Input should be greater than or"),
        ("thresholds", '{"class 1": 1e400}', "thresholds, class 1: not a finite number"),
        ("thresholds", '{"class 1": null}', "thresholds, class 1: Input should be a valid number"),
        (
            "thresholds",
            '{"class 1": "x"}',
            "thresholds, class 1: Input should be a valid number, not 'x'",
        ),
        (
            "thresholds",
            '{"class 1": "0.5"}',
            "thresholds, class 1: Input should be a valid number, not '0.5'",
        ),
        ("thresholds", '{"class 9": 0.5}', "thresholds: there is no class 'class 9'"),
        ("thresholds", '{"class 1": 0.5, "class 1": 1}', "class 1: stands twice"),
        ("thresholds", "[0.5]", "thresholds: Input should be"),
        ("thresholds", '{"a\\u001b": 2}', "thresholds, 'a\\x1b': Input should be less"),
        ("metrics", "[]", "metrics: Input should be an object"),
        ("metrics", '{"crops": 1e999}', "metrics, crops: not a finite number"),
        ("metrics", f'{{"crops": {"9" * 5000}}}', "metrics, crops: not a finite number"),
        ("metrics", f'{{"crops": {2**63}}}', "metrics, crops: not a finite number of 64 bits"),
        ("dataset", '"x"', "dataset: Input should be an object, not 'x'"),
        ("dataset", "null", "dataset: Input should be an object, not null"),
        ("dataset", '{"a": "\\ud800"}', "dataset, a: half a character (a lone surrogate)"),
        ("dataset", "[" * 1000 + "]" * 1000, "nested deeper than 50 levels"),
        ("dataset", '{"a":' * 60 + "1" + "}" * 60, "dataset: nested deeper than 50 levels"),
        ("versions", '{"torch": 2}', "versions, torch: Input should be a valid string, not 2"),
        ("classes", "[]", "classes: Tuple should have at least 1 item"),
        ("classes", '"abc"', "classes: Input should be a valid"),
        ("classes", '["a", ""]', "classes 2: String should have at least 1 character, not ''"),
        ("classes", '["a", " "]', "classes 2: must be one line"),
        ("classes", '["a", "b\\u0007"]', "classes 2: must be one line"),
        ("classes", '["a", "\\u202eb"]', "classes 2: must be one line"),
        ("classes", '["a", 1]', "classes 2: Input should be a valid string, not 1"),
        ("classes", '["class 1", "class 1"]', "classes: a name stands twice"),
        ("input_size", "[64]", "input_size 2: Field required"),
        ("input_size", "[64, 0]", "input_size 2: Input should be greater than or equal to 1"),
        ("input_size", "[64, 64.5]", "input_size 2: Input should be a valid integer, not 64.5"),
        ("input_size", "[64, 1000000]", "input_size 2: Input should be less than or equal to"),
        ("mean", "[0.5, 0.5]", "mean 3: Field required"),
        ("mean", "[0.5, 0.5, 123.7]", "mean 3: Input should be less than or equal to 1, not 123.7"),
        (
            "std",
            "[0.5, 0.5, 0]",
            "std 3: Input should be greater than or equal to 0.0000001, not 0",
        ),
        ("std", "[0.5, 0.5, -Infinity]", "std 3: not a finite number"),
        ("architecture", "3", "architecture: Input should be a valid string, not 3"),
        ("treshold", "1", "treshold: no entry of this name is known;"),
    ],
)
def test_a_card_out_of_range_is_one_line_with_the_field(
    tmp_path: Path, field: str, value: str, message: str
) -> None:
    content = {name: json.dumps(entry) for name, entry in asdict(card()).items()}
    content |= {"format": '"steel-sise bundle 1"', field: value}
    text = ",".join(f'"{name}": {entry}' for name, entry in content.items())
    (tmp_path / "model.json").write_text(f"{{{text}}}", "utf-8")
    with pytest.raises(BundleError) as refused:
        bundles.read_card(tmp_path)
    assert f"model.json: not a readable model card: {message}" in str(refused.value)
    assert str(refused.value).isprintable()
    assert str(refused.value).endswith("; copy the bundle again, or make it anew with "
                                       "defect-train export")  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe{\x00}\x00", "not UTF-8 at byte 0; save it as UTF-8"),
        (b'{"format":' * 100_000, "nested deeper than 50 levels"),
        (b'{"format": "steel-sise bundle 1", "a": ', "not JSON: Expecting value"),
        (b" " * (64 * 2**20 + 1), "larger than 64 MiB"),
    ],
)
def test_a_file_that_is_no_card_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(BundleError, match=f"not a readable model card: {message}") as refused:
        bundles.read_card(tmp_path)
    assert str(refused.value).isprintable()


def test_a_card_with_a_byte_order_mark_is_read(folder: Path) -> None:
    path = folder / "model.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert bundles.load(folder).card.classes == CLASSES


def test_a_card_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle is written: the card's std 1: Input should"):
        bundles.save(tmp_path / "b", card(std=(0.0, 1.0, 1.0)), torch.nn.Linear(1, 1))
    assert not (tmp_path / "b").exists()


def test_an_unknown_architecture_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no classifier named 'resnet99'; did you mean") as told:
        bundles.build_network("resnet99", 3)
    assert "vgg" not in str(told.value)


@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3"])
def test_networks_with_auxiliary_heads_are_built_without_them(architecture: str) -> None:
    with torch.device("meta"):
        names = bundles.build_network(architecture, 3).state_dict().keys()
    assert not any("aux" in name.lower() for name in names)
