import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sise.errors import SiseError
from sise.metrics import (
    METRICS,
    Case,
    Probe,
    bbox,
    border_energy,
    drop,
    ebpg,
    increase,
    measure,
    miou,
    top_pixels,
    top_share,
)

NAN = float("nan")
# Ten pixels in two rows; the defect is the left half of the first row and one pixel more.
MAP = torch.tensor([[[0.9, 0.2, 0.0, 0.5, 0.0], [0.4, 0.8, 0.0, 0.0, 0.2]]])
TRUTH = torch.tensor([[[1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]], dtype=torch.bool)
ZEROS = torch.zeros(1, 2, 5)
EVEN = torch.full((1, 2, 5), 0.5)
NOTHING = torch.zeros(1, 2, 5, dtype=torch.bool)
EVERYTHING = ~NOTHING


@pytest.mark.parametrize(
    ("metric", "maps", "truth", "expected"),
    [
        (ebpg, MAP, TRUTH, 1.5 / 3.0),
        (ebpg, MAP, EVERYTHING, 1.0),
        (ebpg, MAP, NOTHING, NAN),
        (ebpg, EVEN, TRUTH, 0.3),
        (ebpg, ZEROS, TRUTH, NAN),
        # The top 20 % are the pixels of 0.9 (in the truth) and 0.8 (not): 1 of 4.
        (miou, MAP, TRUTH, 1 / 4),
        (miou, MAP, EVERYTHING, 2 / 10),
        (miou, MAP, NOTHING, NAN),
        (miou, EVEN, TRUTH, NAN),
        # The top 3 are 0.9, 0.8 and 0.5: one of the truth's three.
        (bbox, MAP, TRUTH, 1 / 3),
        (bbox, MAP, EVERYTHING, 1.0),
        (bbox, MAP, NOTHING, NAN),
        (bbox, EVEN, TRUTH, NAN),
    ],
)
def test_against_the_truth_by_hand(
    metric: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    maps: torch.Tensor,
    truth: torch.Tensor,
    expected: float,
) -> None:
    assert metric(maps, truth).tolist() == pytest.approx([expected], nan_ok=True)


def test_drop_and_increase_by_hand() -> None:
    whole = torch.tensor([0.8, 0.8, 0.5, 0.5, 0.0, 0.5])
    kept = torch.tensor([0.2, 0.9, 0.5, 0.0, 0.1, NAN])
    assert drop(whole, kept).tolist() == pytest.approx([0.75, 0, 0, 1, NAN, NAN], nan_ok=True)
    assert increase(whole, kept).tolist() == pytest.approx([0, 1, 0, 0, 1, NAN], nan_ok=True)


def test_border_energy_by_hand() -> None:
    # The outer ring of 4 x 5 px has 14 of 20 pixels.
    maps = torch.zeros(4, 4, 5)
    maps[0] = 0.3
    maps[1, 0, 0] = 1.0
    maps[2, 1:3, 1:4] = 1.0
    maps[3, 1, 1], maps[3, 3, 4] = 0.75, 0.25
    expected = [1, 20 / 14, 0, 0.25 * 20 / 14]
    assert border_energy(maps, rim=1).tolist() == pytest.approx(expected, abs=1e-6)
    assert border_energy(maps, rim=2).tolist() == pytest.approx([1, 1, 1, 1])
    assert math.isnan(border_energy(ZEROS, rim=1).item())


def test_the_first_among_equals_is_taken() -> None:
    assert top_share(torch.ones(1, 2, 4), 0.375).tolist() == [
        [[True, True, True, False], [False] * 4]
    ]
    # Maps gated by SISE's fusion are 0 nearly everywhere: rank them all the same.
    gated = torch.zeros(1, 40, 50)
    gated[0, 30, 7] = 1.0
    top = top_share(gated, 0.15)
    assert top.sum() == 300
    assert top[0, 30, 7]
    assert top[0].flatten()[:299].all()


def model(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean of the first channel for class 0, of its negative for class 1."""
    return images[:, 0].mean(dim=(1, 2)) * (1 - 2 * targets)


def test_the_models_metrics_ask_it_about_the_top_15_percent() -> None:
    # 20 pixels, of which the map ranks the three of 8 first; all else is 1: the mean is 2.05.
    image = torch.ones(3, 4, 5)
    image[:, 1, :3] = 8.0
    maps = (image[0] == 8).float()
    probe = Probe(image[None], torch.tensor([0]), model)
    found = measure(Case(maps[None], probe=probe))
    assert set(found) == {"drop", "increase", "border"}
    assert found["drop"].item() == pytest.approx(1 - 24 / 41)
    assert found["increase"].item() == 0
    # With the image's own mean in place of grey the rest does not vanish, and the score rises.
    filled = measure(Case(maps[None], probe=Probe(image[None], torch.tensor([0]), model, "mean")))
    assert filled["drop"].item() == 0
    assert filled["increase"].item() == 1
    negative = measure(Case(maps[None], probe=Probe(-image[None], torch.tensor([1]), model)))
    assert negative["drop"].item() == pytest.approx(1 - 24 / 41)


def test_a_map_without_order_has_no_drop() -> None:
    probe = Probe(torch.ones(1, 3, 2, 5), torch.tensor([0]), model)
    for maps in (ZEROS, EVEN):
        found = measure(Case(maps, TRUTH, probe))
        assert {name for name, value in found.items() if value.isnan()} >= {"drop", "increase"}


def test_images_are_measured_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand((3, 20, 24), generator=generator)
    truth = torch.rand((3, 20, 24), generator=generator) > 0.7
    images = torch.randn((3, 3, 20, 24), generator=generator)
    targets = torch.tensor([0, 1, 0])
    together = measure(Case(maps, truth, Probe(images, targets, model, "blur")))
    assert list(together) == list(METRICS)
    for index in range(3):
        one = slice(index, index + 1)
        alone = measure(
            Case(maps[one], truth[one], Probe(images[one], targets[one], model, "blur"))
        )
        for name, values in together.items():
            torch.testing.assert_close(values[one], alone[name], equal_nan=True)


def test_what_a_metric_needs_is_asked_for() -> None:
    with pytest.raises(SiseError, match="needs the ground truth; give truth="):
        METRICS["ebpg"].measure(Case(MAP))
    with pytest.raises(SiseError, match="asks the model; give probe="):
        METRICS["drop"].measure(Case(MAP))


def test_the_table_tells_which_direction_is_better() -> None:
    assert {name: metric.better for name, metric in METRICS.items()} == {
        "ebpg": "higher",
        "miou": "higher",
        "bbox": "higher",
        "drop": "lower",
        "increase": "higher",
        "border": "none",
    }


def plain(
    values: npt.NDArray[Any], truth: npt.NDArray[np.bool_], rim: int
) -> dict[str, float | list[int]]:
    """The same metrics, pixel by pixel."""
    height, width = values.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    ranked = sorted(pixels, key=lambda p: -values[p])  # Python's sort is stable
    defect = {p for p in pixels if truth[p]}
    energy = sum(float(values[p]) for p in pixels)
    rim_pixels = [(y, x) for y, x in pixels if min(y, x, height - 1 - y, width - 1 - x) < rim]
    top = set(ranked[: round(0.2 * len(pixels))])
    constant = values.min() == values.max()
    at_rim = sum(float(values[p]) for p in rim_pixels)
    return {
        "ebpg": sum(float(values[p]) for p in defect) / energy if defect and energy else NAN,
        "miou": len(top & defect) / len(top | defect) if defect and not constant else NAN,
        "bbox": len(set(ranked[: len(defect)]) & defect) / len(defect)
        if defect and not constant
        else NAN,
        "border": (at_rim / energy) / (len(rim_pixels) / len(pixels)) if energy else NAN,
    }


@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_against_a_plain_count(height: int, width: int, rim: int, share: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 4, (2, height, width)).astype(np.float32) / 3
    truth = generator.random((2, height, width)) < share
    maps, mask = torch.from_numpy(values), torch.from_numpy(truth)
    expected = [plain(one, at, rim) for one, at in zip(values, truth, strict=True)]
    found = {
        "ebpg": ebpg(maps, mask),
        "miou": miou(maps, mask),
        "bbox": bbox(maps, mask),
        "border": border_energy(maps, rim),
    }
    for name, result in found.items():
        assert result.tolist() == pytest.approx(
            [case[name] for case in expected], nan_ok=True, abs=1e-5
        )


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=50, deadline=None)
def test_top_pixels_are_the_largest(
    height: int, width: int, seed: int, data: st.DataObject
) -> None:
    maps = torch.from_numpy(np.random.default_rng(seed).integers(0, 5, (2, height, width))).float()
    counts = data.draw(st.lists(st.integers(0, height * width), min_size=2, max_size=2))
    chosen = top_pixels(maps, torch.tensor(counts))
    assert chosen.sum(dim=(1, 2)).tolist() == counts
    for values, top in zip(maps, chosen, strict=True):
        if top.any() and not top.all():
            assert values[top].min() >= values[~top].max()
