import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import HandNet
from PIL import Image

from sise import RISE, SISE
from sise.bundle import Calibrated, ModelBundle, ModelCard
from sise.errors import SiseError
from sise.explain_files import Settings, explain_files, record_of, spec_of
from sise.overlay import overlay, to_grey
from sise.registry import METHODS

# HandNet calls an image class 1 where green is stronger than red and twice blue.
CLASSES = ("normal", "class 1")


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    card = ModelCard(
        "by hand", CLASSES, (16, 16), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), temperature=1.0
    )
    return ModelBundle(card, Calibrated(HandNet(), 0.1).eval(), sha256="ab" * 32)


def write_image(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def dotted(width: int, green_at: int | None) -> np.ndarray:
    """Noise in red; a green square from column `green_at` on."""
    noise = np.random.default_rng(0).integers(20, 40, (16, width))
    image = np.zeros((16, width, 3), np.uint8)
    image[:, :, 0] = noise
    if green_at is not None:
        image[4:12, green_at : green_at + 8, 1] = 255
    return image


def test_a_crop_gives_map_picture_overlay_and_record(tmp_path: Path, bundle: ModelBundle) -> None:
    image = dotted(16, green_at=4)
    path = write_image(tmp_path / "тест dir" / "a crop.png", image)
    out = tmp_path / "out"
    outcomes = list(explain_files(bundle, [path], out, Settings(options={"precision": "fp32"})))

    expected = SISE(bundle.model, precision="fp32")(bundle.preprocess(image[None]))
    values = np.load(out / "a crop_map.npy")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, expected.maps[0])
    assert values[5:11, 5:11].mean() > 5 * values[0].mean()
    np.testing.assert_array_equal(np.asarray(Image.open(out / "a crop_map.png")), to_grey(values))
    drawn = np.asarray(Image.open(out / "a crop_overlay.png"))
    np.testing.assert_array_equal(drawn, overlay(image, values))

    record = json.loads((out / "a crop.json").read_text())
    (tile,) = record["tiles"]
    assert tile["explained"] == "class 1"
    assert tile["status"] == "ok"
    assert tile["forwards"] == expected.forwards.item()
    assert [layer["name"] for layer in tile["layers"]] == ["network.block1", "network.block2"]
    assert record["bundle_sha256"] == bundle.sha256
    assert record["settings"]["mu"] == 0.0
    assert [(one.image, one.failed) for one in outcomes] == [(path, False)]
    assert outcomes[0].summary.startswith("class 1 (0.79")
    assert len(list(out.iterdir())) == 4


def test_a_strip_is_tiled_and_its_normal_tiles_are_not_explained(
    tmp_path: Path, bundle: ModelBundle
) -> None:
    path = write_image(tmp_path / "strip.png", dotted(60, green_at=44))
    (outcome,) = explain_files(bundle, [path], tmp_path / "out", Settings(stride=14))
    record = json.loads((tmp_path / "out" / "strip.json").read_text())
    assert [tile["left"] for tile in record["tiles"]] == [0, 14, 28, 42, 44]
    assert [tile["predicted"] for tile in record["tiles"]] == ["normal"] * 3 + ["class 1"] * 2
    assert [tile["status"] for tile in record["tiles"]][:3] == ["normal, not explained"] * 3
    values = np.load(tmp_path / "out" / "strip_map.npy")
    assert values.shape == (16, 60)
    assert values[:, :42].max() == 0
    assert values[4:12, 45:51].mean() > 0.5
    assert outcome.summary.startswith("2 of 5 tiles explained: class 1 (0.79) at 42 px")


def test_a_normal_strip_says_how_to_explain_it_anyway(tmp_path: Path, bundle: ModelBundle) -> None:
    path = write_image(tmp_path / "calm.png", dotted(60, green_at=None))
    (outcome,) = explain_files(bundle, [path], tmp_path / "out", Settings())
    assert "all 4 tiles look normal; --target CLASS" in outcome.summary
    assert np.load(tmp_path / "out" / "calm_map.npy").max() == 0
    (outcome,) = explain_files(bundle, [path], tmp_path / "out", Settings(target="normal"))
    assert outcome.summary.startswith("4 of 4 tiles explained")


def test_a_second_run_computes_nothing_unless_something_changed(
    tmp_path: Path, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_image(tmp_path / "a.png", dotted(16, green_at=4))
    out = tmp_path / "out"

    def run(settings: Settings) -> str:
        (outcome,) = explain_files(bundle, [path], out, settings)
        return outcome.summary

    assert run(Settings()) != "up to date"
    assert run(Settings()) == "up to date"
    assert run(Settings(options={"mu": 0.5})) != "up to date"
    assert run(Settings("sise:mu=0.5")) == "up to date"  # the same, said otherwise
    write_image(path, dotted(16, green_at=6))
    assert run(Settings(options={"mu": 0.5})) != "up to date"
    with monkeypatch.context() as before:
        before.setattr("sise.explain_files.REVISION", 1)
        assert run(Settings(options={"mu": 0.5})) != "up to date"
    assert run(Settings(options={"mu": 0.5})) != "up to date"
    (out / "a.json").write_text("{ cut off")
    assert run(Settings(options={"mu": 0.5})) != "up to date"
    for lost in ("a_map.npy", "a_map.png", "a_overlay.png"):
        (out / lost).unlink()
        assert run(Settings(options={"mu": 0.5})) != "up to date"
        assert (out / lost).is_file()


def test_unreadable_images_are_outcomes_and_the_others_go_on(
    tmp_path: Path, bundle: ModelBundle
) -> None:
    good = write_image(tmp_path / "good.png", dotted(16, green_at=4))
    small = write_image(tmp_path / "small.png", dotted(16, green_at=4)[:8])
    text = tmp_path / "text.png"
    text.write_text("not an image")
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:150])
    missing = tmp_path / "missing.png"
    images = [missing, text, small, cut, good]
    outcomes = list(explain_files(bundle, images, tmp_path / "out", Settings()))
    assert [outcome.failed for outcome in outcomes] == [True, True, True, True, False]
    assert "missing.png: no such file" in outcomes[0].summary
    assert "text.png: not an image" in outcomes[1].summary
    assert "small.png: 16x8 px; this bundle takes 16x16 px" in outcomes[2].summary
    assert "cut.png: truncated" in outcomes[3].summary
    written = {path.name.split("_")[0].split(".")[0] for path in (tmp_path / "out").iterdir()}
    assert written == {"good"}


def test_two_images_of_one_name_are_refused_before_anything_is_written(
    tmp_path: Path, bundle: ModelBundle
) -> None:
    images = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.jpg"]
    with pytest.raises(SiseError, match="would write the same files"):
        list(explain_files(bundle, images, tmp_path / "out", Settings()))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("given", "explained"), [("class 1", "class 1"), ("0", "normal")])
def test_a_target_is_a_name_or_an_index(
    tmp_path: Path, bundle: ModelBundle, given: str, explained: str
) -> None:
    path = write_image(tmp_path / "a.png", dotted(16, green_at=4))
    list(explain_files(bundle, [path], tmp_path / "out", Settings(target=given)))
    record = json.loads((tmp_path / "out" / "a.json").read_text())
    assert record["tiles"][0]["explained"] == explained


@pytest.mark.parametrize("target", ["2", "class 9", "-1", ""])
def test_an_unknown_target_lists_the_classes(
    tmp_path: Path, bundle: ModelBundle, target: str
) -> None:
    with pytest.raises(SiseError, match=r"this bundle has the classes 0 \(normal\), 1 \(class 1\)"):
        list(explain_files(bundle, [], tmp_path, Settings(target=target)))


def test_grad_cam_is_another_method(tmp_path: Path, bundle: ModelBundle) -> None:
    path = write_image(tmp_path / "a.png", dotted(16, green_at=4))
    list(explain_files(bundle, [path], tmp_path / "out", Settings(method="gradcam")))
    record = json.loads((tmp_path / "out" / "a.json").read_text())
    assert record["tiles"][0]["forwards"] == 1
    assert torch.from_numpy(np.load(tmp_path / "out" / "a_map.npy"))[8, 8] > 0.9


def test_a_method_of_the_registry_with_options(tmp_path: Path, bundle: ModelBundle) -> None:
    image = dotted(16, green_at=4)
    path = write_image(tmp_path / "a.png", image)
    settings = Settings("rise:n_masks=20,seed=3", options={"fill": "mean", "precision": "fp32"})
    list(explain_files(bundle, [path], tmp_path / "out", settings))
    explainer = RISE(bundle.model, n_masks=20, seed=3, fill="mean", precision="fp32")
    expected = explainer(bundle.preprocess(image[None]))
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "a_map.npy"), expected.maps[0])
    record = json.loads((tmp_path / "out" / "a.json").read_text())
    assert record["tiles"][0]["forwards"] == 21
    assert record["settings"] == {
        "method": "rise",
        "target": None,
        "n_masks": 20,
        "cells": 8,
        "share": 0.5,
        "seed": 3,
        "fill": "mean",
        "output": "softmax",
        "precision": "fp32",
        "batch_size": "auto",
        "backend": "torch",
        "compile": False,
        "stride": 224,
        "palette": "inferno",
    }


def test_every_method_of_the_registry_has_a_record() -> None:
    for method in METHODS:
        record = record_of(Settings(method))
        assert record["method"] == method
        assert record["output"] == "softmax"
    # The methods' own defaults differ, and nothing that was not asked for is forced on them.
    assert record_of(Settings("extremal-perturbation"))["fill"] == "blur"
    assert record_of(Settings("extremal-perturbation"))["areas"] == [0.025, 0.05, 0.1, 0.2]
    assert record_of(Settings("untrained:seed=2,mu=0.3"))["mu"] == 0.3
    assert "fill" not in record_of(Settings("gradcam"))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (Settings("lime"), "method 'lime': one of sise, gradcam, "),
        (Settings("sise:mu=.nan"), "method 'sise:mu=.nan': mu is nan, no finite number"),
        (Settings("sise", options={"mu": np.inf}), "method sise: mu is inf, no finite number"),
        (Settings("rise:seed=2026-01-01"), "seed is 2026-01-01, no finite number and no word"),
        (Settings("rise:mu=1"), "has no option 'mu'"),
        (Settings("rise", options={"mu": 0.0}), "method rise has no option 'mu'; it has n_masks, "),
        (
            Settings("sise:mu=0.3", options={"mu": 0.3}),
            "'mu' is given twice: leave it out of 'sise:mu=0.3'",
        ),
    ],
)
def test_an_option_that_a_method_does_not_know_is_an_error(
    tmp_path: Path, bundle: ModelBundle, settings: Settings, complaint: str
) -> None:
    with pytest.raises(SiseError, match=complaint):
        spec_of(settings)
    with pytest.raises(SiseError, match=complaint):
        list(explain_files(bundle, [], tmp_path / "out", settings))
    assert not (tmp_path / "out").exists()


class OneColour(torch.nn.Module):
    """One logit: how far the image is green rather than red."""

    def __init__(self) -> None:
        super().__init__()
        self.body = HandNet()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body(images)
        return logits[:, 1:] - logits[:, :1]


def described(classes: tuple[str, ...], network: torch.nn.Module) -> ModelBundle:
    card = ModelCard("by hand", classes, (16, 16), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return ModelBundle(card, network.eval(), sha256="cd" * 32)


def explained(bundle: ModelBundle, tmp_path: Path, settings: Settings) -> tuple[str, dict]:
    path = write_image(tmp_path / "a.png", dotted(16, green_at=4))
    (outcome,) = explain_files(bundle, [path], tmp_path / "out", settings)
    return outcome.summary, json.loads((tmp_path / "out" / "a.json").read_text())["tiles"][0]


def test_probabilities_are_those_of_the_output_that_was_asked_for(tmp_path: Path) -> None:
    network = Calibrated(HandNet(), 0.1).eval()
    inputs = described(CLASSES, network).preprocess(dotted(16, green_at=4)[None])
    expected = network(inputs)[0].sigmoid().tolist()
    said, tile = explained(
        described(CLASSES, network), tmp_path, Settings(options={"output": "sigmoid"})
    )
    assert list(tile["probabilities"].values()) == pytest.approx(expected)
    assert said == f"class 1 ({expected[1]:.2f})"
    within = torch.nn.Sequential(network, torch.nn.Sigmoid())
    again = explained(
        described(CLASSES, within), tmp_path, Settings(options={"output": "probabilities"})
    )
    assert again[0] == said
    assert list(again[1]["probabilities"].values()) == pytest.approx(expected)
    with pytest.raises(SiseError, match=r'returns probabilities already .*output="probabilities"'):
        explained(described(CLASSES, within), tmp_path / "refused", Settings())
    assert not (tmp_path / "refused" / "out").exists()


@pytest.mark.parametrize("target", [None, "0", "1", "not dent", "dent"])
def test_one_output_is_explained_for_and_against(tmp_path: Path, target: str | None) -> None:
    bundle = described(("dent",), OneColour())
    positive = bundle.model(bundle.preprocess(dotted(16, green_at=4)[None])).sigmoid().item()
    said, tile = explained(bundle, tmp_path, Settings(target=target, options={"output": "sigmoid"}))
    assert tile["probabilities"] == pytest.approx({"not dent": 1 - positive, "dent": positive})
    assert tile["predicted"] == "dent"
    assert said.startswith("not dent (" if target in ("0", "not dent") else "dent (")
    with pytest.raises(SiseError, match=r"the classes 0 \(not dent\), 1 \(dent\)"):
        explained(bundle, tmp_path, Settings(target="scratch"))


class Overflowing(torch.nn.Module):
    """HandNet, whose second logit is `value` where an image has a white pixel at top left."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.body = HandNet()
        self.value = value

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body(images)
        lost = (images[:, :, 0, 0] >= 1).all(dim=1)
        return torch.stack([logits[:, 0], logits[:, 1].masked_fill(lost, self.value)], dim=1)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_an_answer_that_is_not_finite_is_no_map_and_the_others_go_on(
    value: float, output: str, tmp_path: Path
) -> None:
    image = dotted(60, green_at=44)
    good = write_image(tmp_path / "good.png", image)
    image[0, 28] = 255
    strip = write_image(tmp_path / "strip.png", image)
    image[0, 44] = 255
    crop = write_image(tmp_path / "crop.png", image[:, 44:])
    bundle = described(CLASSES, Overflowing(value))
    settings = Settings("rise:n_masks=20", stride=14, options={"output": output})
    outcomes = list(explain_files(bundle, [crop, strip, good], tmp_path / "out", settings))
    assert [one.failed for one in outcomes] == [True, True, False]
    cure = "not finite{}: numbers too large for it; give --precision fp32 or fp64, or another model"
    assert outcomes[0].summary == f"{crop}: the model's answer is {cure.format('')}"
    at = " at 28 px (1 of 5)"
    assert outcomes[1].summary == f"{strip}: the model's answer is {cure.format(at)}"
    assert {path.name.split("_")[0] for path in (tmp_path / "out").iterdir()} == {
        "good.json",
        "good",
    }


def test_a_map_that_is_not_finite_is_no_map(
    tmp_path: Path, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_image(tmp_path / "a.png", dotted(16, green_at=4))
    explain = SISE.__call__

    def lost(self: SISE, images: torch.Tensor, target: object = None) -> object:
        return replace(explain(self, images, target), status=("not finite",))

    monkeypatch.setattr(SISE, "__call__", lost)
    (outcome,) = explain_files(bundle, [path], tmp_path / "out", Settings())
    assert outcome.failed
    assert outcome.summary.startswith(f"{path}: the map is not finite: ")
    assert not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "spoil", [lambda tile: tile.update(status="not finite"), lambda tile: tile.update(score=np.nan)]
)
def test_what_an_earlier_version_wrote_of_such_an_answer_is_not_up_to_date(
    spoil: Callable[[dict], None], tmp_path: Path, bundle: ModelBundle
) -> None:
    image = dotted(16, green_at=4)
    path = write_image(tmp_path / "a.png", image)
    out = tmp_path / "out"
    list(explain_files(bundle, [path], out, Settings()))
    record = json.loads((out / "a.json").read_text())
    spoil(record["tiles"][0])
    (out / "a.json").write_text(json.dumps(record))
    (outcome,) = explain_files(bundle, [path], out, Settings())
    assert outcome.summary.startswith("class 1 (0.79")
    (out / "a.json").write_text(json.dumps(record))
    nowhere = replace(bundle, model=torch.nn.Sequential(HandNet(), Lost()).eval())
    (outcome,) = explain_files(nowhere, [path], out, Settings())
    assert outcome.summary.startswith(f"{path}: the model's answer is not finite: ")
    assert not any(out.iterdir())


class Lost(torch.nn.Module):
    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits * torch.nan
