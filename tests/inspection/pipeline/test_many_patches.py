"""Many patches at once: the same figures as one at a time, whatever else is in the call."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import quickly, small_cnn
from toys import FakeExplainer, needs_openvino, strip, toy_classifier, toy_features

from inspection.pipeline.classifier import Classifier
from inspection.pipeline.explainer import PatchEvidence, PatchExplainer, PatchTask
from inspection.pipeline.runner_up import similarity
from inspection.pipeline.settings import SiseOptions
from sise.backends import Backend, scoring_network
from sise.engine import Engine
from sise.errors import SiseError
from sise.explanation import Explanation

SETTINGS = {
    "default": SiseOptions(budget=12),
    "other": SiseOptions(9, fill="grey", context=None, evidence="kept", fusion="hard"),
    "exact": SiseOptions(budget=None, fill="blur", evidence="both"),
    "auto": SiseOptions(budget="auto", fill="inpaint", fusion="soft"),
}
FIGURES = (
    *("map_status", "forwards", "whole_score", "kept_score", "removed_score", "drop"),
    *("region_area", "region_left", "region_top", "region_width", "region_height"),
    *("agreement", "runner_up_status", "runner_up_forwards"),
)
# By the functions that explained a patch at a time until 2026-11-27 (commit 75731e1), by setting
# and patch: FIGURES, and the means of both maps over their quarters.
GOLDEN = {
    ("default", 0): (
        ["ok", 12, 0.00849, 0.06046, 0.00857, 0.0, 3556, 0, 0, 64, 64, 0.0178, "ok", 12],
        [130.77, 150.38, 191.57, 182.09],
        [40.44, 27.38, 4.0, 5.44],
    ),
    ("default", 1): (
        ["ok", 12, 0.05913, 0.12966, 0.05725, 0.0, 2010, 0, 0, 64, 64, 0.06544, "ok", 12],
        [146.1, 142.16, 123.91, 121.39],
        [38.44, 41.46, 51.29, 53.68],
    ),
    ("default", 2): (
        ["ok", 12, 0.18193, 0.17631, 0.14462, 0.03087, 470, 19, 15, 22, 25, 0.81728, "ok", 12],
        [26.03, 20.41, 13.51, 10.57],
        [20.38, 16.77, 11.56, 9.83],
    ),
    ("other", 0): (
        ["ok", 9, 0.00849, 0.0354, 0.01373, 0.0, 80, 6, 6, 58, 58, -0.0065, "ok", 9],
        [0.0, 1.11, 1.88, 5.14],
        [42.25, 28.99, 0.27, 0.51],
    ),
    ("other", 1): (
        ["ok", 9, 0.05913, 0.10969, 0.06771, 0.0, 168, 2, 4, 62, 60, 0.04612, "ok", 9],
        [1.63, 0.95, 4.25, 7.86],
        [0.58, 0.49, 3.08, 5.07],
    ),
    ("other", 2): (
        ["ok", 9, 0.18193, 0.1665, 0.14387, 0.08482, 543, 11, 0, 52, 58, 0.80607, "ok", 9],
        [30.83, 24.34, 15.76, 9.5],
        [16.16, 18.02, 10.31, 9.81],
    ),
    ("exact", 0): (
        ["ok", 23, 0.00849, 0.02318, 0.01451, 0.0, 59, 1, 0, 62, 59, -0.01328, "ok", 23],
        [7.33, 7.11, 2.35, 6.08],
        [25.2, 18.88, 2.81, 3.84],
    ),
    ("exact", 1): (
        ["ok", 25, 0.05913, 0.11182, 0.06813, 0.0, 58, 1, 4, 59, 55, 0.07457, "ok", 25],
        [3.01, 2.09, 3.55, 4.17],
        [3.26, 3.45, 5.31, 6.24],
    ),
    ("exact", 2): (
        ["ok", 23, 0.18193, 0.17108, 0.15573, 0.05963, 457, 19, 15, 38, 26, 0.74108, "ok", 21],
        [20.99, 18.82, 12.75, 9.82],
        [7.55, 8.82, 5.64, 5.4],
    ),
}
EVERY_BACKEND = pytest.mark.parametrize(
    "backend", ["torch", pytest.param("openvino", marks=needs_openvino)]
)


@cache
def small_classifier(
    backend: Backend = "torch", dtype: torch.dtype = torch.float32, batch_size: int = 8
) -> Classifier:
    """An untrained network of patches of 64 px."""
    toy, model = toy_classifier(), small_cnn(classes=5)
    card = replace(toy.bundle.card, input_size=(64, 64), mean=(0.5,) * 3, std=(0.25,) * 3)
    bundle = replace(toy.bundle, model=model, card=card)
    network = scoring_network(model, toy.device, dtype, backend, compiled=False)
    precision = "fp32" if dtype == torch.float32 else "bf16"
    return replace(toy, bundle=bundle, backend=backend, precision=precision, network=network)


def some_tasks() -> list[PatchTask]:
    """Noise with a bright or a dark spot, each for two classes."""
    noise = np.random.default_rng(5)
    pairs = [("class 1", "normal"), ("class 2", "class 3"), ("normal", "class 4")]
    tasks = []
    for place, (target, runner_up) in enumerate(pairs):
        pixels = np.full((64, 64, 3), 128)
        pixels[8 * place : 8 * place + 24, 20:40] = 240 if place % 2 else 20
        pixels += noise.integers(-60, 60, (64, 64, 1))
        tasks.append(PatchTask(pixels.clip(0, 255).astype(np.uint8), target, runner_up))
    return tasks


def with_fakes(
    monkeypatch: pytest.MonkeyPatch, explainer: FakeExplainer, second: FakeExplainer | None = None
) -> PatchExplainer:
    """A PatchExplainer of the toy classifier, whose maps are not computed; its fill is grey."""
    module = "inspection.pipeline.explainer"
    monkeypatch.setattr(f"{module}.make_explainer", lambda *_: explainer)
    monkeypatch.setattr(f"{module}.make_gradcam", lambda *_: second or FakeExplainer())
    monkeypatch.setattr(f"{module}.make_features", lambda *_: toy_features)
    return PatchExplainer(toy_classifier(), SiseOptions(fill="grey"))


def quarters(heat: np.ndarray) -> list[float]:
    return list(heat.reshape(2, 32, 2, 32).mean(axis=(1, 3)).ravel())


@pytest.mark.parametrize("setting", ["default", "other", "exact"])
@EVERY_BACKEND
def test_figures_are_those_of_one_patch_at_a_time(backend: Backend, setting: str) -> None:
    explainer = PatchExplainer(small_classifier(backend), SETTINGS[setting], 8)
    for place, found in enumerate(explainer(some_tasks())):
        figures, heat, second = GOLDEN[setting, place]
        for name, expected in zip(FIGURES, figures, strict=True):
            value = getattr(found, name)
            near = pytest.approx(expected, abs=1e-4) if isinstance(expected, float) else expected
            assert value == near, name
        assert quarters(found.heat) == pytest.approx(heat, abs=0.1)
        assert quarters(found.runner_up_heat) == pytest.approx(second, abs=0.1)


PAIRS = [("class 1", "normal"), ("class 2", ""), ("", "class 3"), ("normal", "class 4")]
POOL = [PatchTask(task.pixels, *pair) for task in some_tasks()[:2] for pair in PAIRS]


@cache
def one_at_a_time(
    backend: Backend, setting: str, batch: int
) -> tuple[PatchExplainer, list[PatchEvidence]]:
    """An explainer, and its evidence of each task of POOL alone."""
    explainer = PatchExplainer(small_classifier(backend), SETTINGS[setting], batch)
    return explainer, [explainer([task])[0] for task in POOL]


def differing(one: PatchEvidence, other: PatchEvidence) -> list[str]:
    """The fields in which two pieces of evidence differ, be it by one bit."""
    pairs = {field.name: (vars(one)[field.name], vars(other)[field.name]) for field in fields(one)}
    return [
        name
        for name, (mine, theirs) in pairs.items()
        if not np.array_equal(mine, theirs, equal_nan=isinstance(mine, float))
    ]


@EVERY_BACKEND
@pytest.mark.parametrize("setting", quickly(SETTINGS, ["default", "other"]))
@settings(max_examples=10, deadline=None)
@given(
    batch=st.sampled_from([1, 5, 16]),
    places=st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=6),
)
def test_a_patch_has_the_bits_that_it_has_alone(
    backend: Backend, setting: str, batch: int, places: list[int]
) -> None:
    explainer, alone = one_at_a_time(backend, setting, batch)
    found = explainer([POOL[place] for place in places])
    for place, one in zip(places, found, strict=True):
        assert differing(one, alone[place]) == []


def test_a_bit_is_enough_to_differ() -> None:
    _, (one, *_) = one_at_a_time("torch", "default", 8)
    assert one.heat is not None
    heat = one.heat.copy()
    heat[3, 5] ^= 1
    assert differing(one, replace(one, heat=heat)) == ["heat"]
    assert differing(one, replace(one, drop=math.nan)) == ["drop"]
    assert differing(one, replace(one, kept_score=np.nextafter(one.kept_score, 1))) == [
        "kept_score"
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("setting", SETTINGS)
def test_where_many_are_captured_at_once_only_rounding_differs(
    setting: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a GPU does: see Engine.keep_images_apart.
    monkeypatch.setattr(Engine, "_alone", lambda *_: False)
    explainer = PatchExplainer(small_classifier(dtype=dtype), SETTINGS[setting], 32)
    for task, found in zip(POOL, explainer(POOL), strict=True):
        (alone,) = explainer([task])
        assert found.map_status == alone.map_status
        assert found.forwards == alone.forwards
        for name in ("whole_score", "kept_score", "removed_score"):
            mine, theirs = vars(found)[name], vars(alone)[name]
            assert mine == pytest.approx(theirs, abs=0.01, nan_ok=True)
        for mine, theirs in (
            (found.heat, alone.heat),
            (found.runner_up_heat, alone.runner_up_heat),
        ):
            assert mine is theirs is None or similarity(mine, theirs) > 0.99


def test_each_task_is_explained_for_what_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeExplainer(statuses={2: "no positive gradient"})
    pixels = strip(256, bright=[64])
    tasks = [
        PatchTask(pixels, "class 1", "normal"),
        PatchTask(pixels, "class 2"),
        PatchTask(pixels, "", "class 3"),
        PatchTask(pixels, ""),
    ]
    found = with_fakes(monkeypatch, fake)(tasks)
    assert fake.targets == [1, 2, 0, 3]
    assert [one.map_status for one in found] == ["ok", "no positive gradient", "", ""]
    assert [one.runner_up_status for one in found] == ["ok", "", "ok", ""]
    assert [one.forwards for one in found] == [11, 11, 0, 0]
    assert [one.runner_up_forwards for one in found] == [11, 0, 11, 0]
    assert found[0].heat is not None
    assert found[0].heat.dtype == np.uint8
    assert found[0].heat[100, 70] == 255
    assert found[1].heat is not None
    assert found[1].heat.max() == 0
    assert found[2].heat is None
    assert found[3].runner_up_heat is None
    assert found[2].runner_up_heat is not None
    assert found[2].runner_up_heat[100, 70] == 255
    # The fake second method has the same map for class 1.
    assert found[0].agreement == pytest.approx(1)
    for one in found[1:]:
        assert math.isnan(one.agreement)
        assert math.isnan(one.drop)
        assert math.isnan(one.region_area)
        assert one.region_contour == ""


def test_no_tasks_are_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_fakes(monkeypatch, FakeExplainer())([]) == []


def test_agreement_is_nan_where_the_second_method_has_no_map(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = FakeExplainer(statuses={2: "constant map"})
    explainer = with_fakes(monkeypatch, FakeExplainer(), second)
    pixels = strip(256, black=[64])
    found = explainer([PatchTask(pixels, "class 1"), PatchTask(pixels, "class 2")])
    assert found[0].agreement == pytest.approx(1)
    assert math.isnan(found[1].agreement)
    assert found[1].drop == 0.0


def probability_of_class_1(bright_share: float) -> float:
    logits = np.array([2, 40 * bright_share, 0, 0, 0])
    return float(np.exp(logits[1]) / np.exp(logits).sum())


def test_drop_is_the_papers_on_a_patch_computed_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # A bright square of 64 x 64 px is 1/16 of the patch. The map is 1 there and 0 elsewhere, so
    # its top 15 % hold the whole square, and without them nothing bright is left.
    task = PatchTask(strip(256, bright=[64]), "class 1")
    other = PatchTask(strip(256, black=[64]), "class 2")
    _, found = with_fakes(monkeypatch, FakeExplainer())([other, task])
    whole = probability_of_class_1(1 / 16)
    kept_logits = np.array([2, 40 / 16, 40 * (1 - round(0.15 * 65536) / 65536), 0, 0])
    kept = float(np.exp(kept_logits[1]) / np.exp(kept_logits).sum())
    assert found.whole_score == pytest.approx(whole, abs=1e-6)
    assert found.kept_score == pytest.approx(kept, abs=1e-6)
    assert found.drop == pytest.approx((whole - kept) / whole, abs=1e-5)
    removed_logits = np.array([2, 0, 40 * round(0.15 * 65536) / 65536, 0, 0])
    removed = float(1 / np.exp(removed_logits).sum())
    assert found.removed_score == pytest.approx(removed, abs=1e-6)
    assert (found.region_left, found.region_top, found.region_area) == (64, 96, 64 * 64)


def test_drop_is_zero_where_the_kept_part_scores_higher(monkeypatch: pytest.MonkeyPatch) -> None:
    # Filled with black, nearly all of the patch is black: class 2 rises.
    task = PatchTask(strip(256, black=[64]), "class 2")
    (found,) = with_fakes(monkeypatch, FakeExplainer())([task])
    assert found.kept_score > found.whole_score
    assert found.drop == 0.0


class Starving(torch.nn.Module):
    """A network that has memory for `fits` images at a time."""

    def __init__(self, network: torch.nn.Module, fits: int) -> None:
        super().__init__()
        self.network, self.fits = network, fits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        logits: torch.Tensor = self.network(images)
        return logits


def starving(fits: int) -> PatchExplainer:
    toy = small_classifier()
    model = Starving(toy.bundle.model, fits).eval()
    network = replace(toy.network, forward=model)
    classifier = replace(toy, bundle=replace(toy.bundle, model=model), network=network)
    return PatchExplainer(classifier, SETTINGS["other"], 32)


def test_out_of_memory_every_stage_goes_on_with_less() -> None:
    tasks = some_tasks()[:2]
    plenty, little = (starving(fits)(tasks) for fits in (64, 2))
    for one, other in zip(plenty, little, strict=True):
        assert one.whole_score == pytest.approx(other.whole_score, abs=1e-5)
        assert one.kept_score == pytest.approx(other.kept_score, abs=1e-3)
        assert one.agreement == pytest.approx(other.agreement, abs=1e-3)
        assert quarters(one.heat) == pytest.approx(quarters(other.heat), abs=1)
        assert quarters(one.runner_up_heat) == pytest.approx(quarters(other.runner_up_heat), abs=1)


def test_out_of_memory_outside_of_the_networks_there_are_fewer_patches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    explainer = with_fakes(monkeypatch, FakeExplainer())
    tasks = [PatchTask(strip(256, bright=[left]), "class 1") for left in (0, 64, 128)]
    expected = [one.region_left for one in explainer(tasks)]
    sizes = []

    def stingy(pixels: Sequence[np.ndarray]) -> np.ndarray:
        sizes.append(len(pixels))
        if len(pixels) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return np.asarray(pixels)

    monkeypatch.setattr("inspection.pipeline.explainer.np.stack", stingy)
    fits = 1
    assert [one.region_left for one in explainer(tasks)] == expected == [0, 64, 128]
    assert sizes == [3, 1, 2, 1, 1]
    fits = 0
    with pytest.raises(SiseError, match="out of memory with one patch; use a smaller network"):
        explainer(tasks)


def test_not_even_one_image_is_one_line() -> None:
    with pytest.raises(SiseError, match="out of memory"):
        starving(0)(some_tasks()[:1])


def test_memory_holds_a_few_patches_however_many_are_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = []

    class Counting(FakeExplainer):
        def __call__(self, images: torch.Tensor, target: Any = None) -> Explanation:
            held.append(len(images))
            return super().__call__(images, target)

    tasks = [PatchTask(strip(256, bright=[8 * place]), "class 1") for place in range(20)]
    found = with_fakes(monkeypatch, Counting())(tasks)
    assert held == [8, 8, 4]
    assert [one.region_left for one in found] == [8.0 * place for place in range(20)]


def test_a_call_takes_as_many_patches_as_fill_its_batches() -> None:
    classifier = toy_classifier()
    # Two maps of 98 passes: 196 masks fill eight batches of 16, but not of 64.
    assert PatchExplainer(classifier, SiseOptions(), 16).patches_at_once == 1
    assert PatchExplainer(classifier, SiseOptions(), 64).patches_at_once == 3
    assert PatchExplainer(classifier, SiseOptions(budget=4), 16).patches_at_once == 16
    assert PatchExplainer(classifier, SiseOptions(budget=None), 16).patches_at_once == 4
