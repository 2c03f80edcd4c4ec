from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sise.choices import FillName
from sise.errors import SiseError
from sise.metrics import (
    METRICS,
    MetricInput,
    ModelQuery,
    PerturbationScores,
    bbox,
    border_energy,
    ebpg,
    measure,
    miou,
    pointing,
    ranks,
    sparsity,
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
# One negative value; the order is that of MAP but for its last pixel.
NEGATIVE = torch.tensor([[[0.9, 0.2, 0.0, 0.5, 0.0], [0.4, 0.8, 0.0, 0.0, -0.2]]])


@pytest.mark.parametrize(
    ("metric", "maps", "truth", "expected"),
    [
        (ebpg, MAP, TRUTH, 1.5 / 3.0),
        (ebpg, MAP, EVERYTHING, 1.0),
        (ebpg, MAP, NOTHING, NAN),
        (ebpg, EVEN, TRUTH, 0.3),
        (ebpg, ZEROS, TRUTH, NAN),
        (ebpg, NEGATIVE, TRUTH, NAN),
        # The top 20 % are the pixels of 0.9 (in the truth) and 0.8 (not): 1 of 4.
        (miou, MAP, TRUTH, 1 / 4),
        (miou, MAP, EVERYTHING, 2 / 10),
        (miou, MAP, NOTHING, NAN),
        (miou, EVEN, TRUTH, NAN),
        (miou, NEGATIVE, TRUTH, 1 / 4),
        # The top 3 are 0.9, 0.8 and 0.5: one of the truth's three.
        (bbox, MAP, TRUTH, 1 / 3),
        (bbox, MAP, EVERYTHING, 1.0),
        (bbox, MAP, NOTHING, NAN),
        (bbox, EVEN, TRUTH, NAN),
        (bbox, NEGATIVE, TRUTH, 1 / 3),
        # The highest pixel is the first of all, 0.9.
        (pointing, MAP, TRUTH, 1),
        (pointing, MAP, ~TRUTH, 0),
        (pointing, MAP, EVERYTHING, 1),
        (pointing, MAP, NOTHING, NAN),
        (pointing, EVEN, TRUTH, NAN),
        (pointing, -MAP, TRUTH, 0),
    ],
)
def test_against_the_truth_by_hand(
    metric: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    maps: torch.Tensor,
    truth: torch.Tensor,
    expected: float,
) -> None:
    assert metric(maps, truth).tolist() == pytest.approx([expected], nan_ok=True)


def test_the_pointing_games_tolerance_is_a_distance() -> None:
    # The highest pixel is at row 4, column 3; the truth's only pixel 3 rows up and 4 columns on.
    maps = torch.zeros(1, 8, 12)
    maps[0, 4, 3] = 1
    truth = torch.zeros(1, 8, 12, dtype=torch.bool)
    truth[0, 1, 7] = True
    hits = [pointing(maps, truth, tolerance).item() for tolerance in (0, 4.9, 5, 15)]
    assert hits == [0, 0, 1, 1]
    assert pointing(maps, truth.roll((3, -4), (1, 2))).item() == 1


def test_of_two_highest_pixels_the_first_points() -> None:
    maps = torch.tensor([[[0.0, 1.0, 1.0]]])
    assert pointing(maps, torch.tensor([[[False, True, False]]])).item() == 1
    assert pointing(maps, torch.tensor([[[False, False, True]]])).item() == 0


def test_sparsity_by_hand() -> None:
    # Ascending 1, 2, 3, 4: (-3·1 - 1·2 + 1·3 + 3·4) / (4·10).
    assert sparsity(torch.tensor([[[4.0, 1.0], [3.0, 2.0]]])).item() == pytest.approx(0.25)
    one = torch.zeros(1, 4, 5)
    one[0, 2, 3] = 0.7
    assert sparsity(one).item() == pytest.approx(19 / 20)
    assert sparsity(EVEN).item() == pytest.approx(0, abs=1e-6)
    assert sparsity(torch.cat([ZEROS, NEGATIVE])).isnan().all()
    torch.testing.assert_close(sparsity(0.01 * MAP), sparsity(MAP))


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
    assert border_energy(torch.cat([ZEROS, NEGATIVE]), rim=1).isnan().all()


def test_the_first_among_equals_is_taken() -> None:
    assert top_share(torch.ones(1, 2, 4), 0.375).tolist() == [
        [[True, True, True, False], [False] * 4]
    ]
    assert ranks(torch.tensor([[[0.5, 0.9], [0.5, 0.9]]])).tolist() == [[[2, 0], [3, 1]]]
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


@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf")])
def test_a_map_that_is_not_finite_has_no_metric(value: float) -> None:
    broken = MAP.clone()
    broken[0, 1, 2] = value
    query = ModelQuery(torch.ones(1, 3, 2, 5), torch.tensor([0]), model)
    found = measure(MetricInput(broken, TRUTH, query))
    assert list(found) == list(METRICS)
    assert all(values.isnan().all() for values in found.values())


def test_images_are_measured_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand((3, 20, 24), generator=generator)
    truth = torch.rand((3, 20, 24), generator=generator) > 0.7
    images = torch.randn((3, 3, 20, 24), generator=generator)
    targets = torch.tensor([0, 1, 0])
    fills: tuple[FillName, ...] = ("blur", "inpaint")
    together = measure(MetricInput(maps, truth, ModelQuery(images, targets, model)), fills)
    models = [name for name, metric in METRICS.items() if metric.needs == "model"]
    assert list(together) == [*METRICS, *(f"{name}@inpaint" for name in models)]
    for index in range(3):
        one = slice(index, index + 1)
        query = ModelQuery(images[one], targets[one], model)
        alone = measure(MetricInput(maps[one], truth[one], query), fills)
        for name, values in together.items():
            torch.testing.assert_close(values[one], alone[name])


def test_what_a_metric_needs_is_asked_for() -> None:
    with pytest.raises(SiseError, match="needs the ground truth; give truth="):
        METRICS["ebpg"].measure(PerturbationScores(MetricInput(MAP)))
    with pytest.raises(SiseError, match="asks the model; give query="):
        METRICS["drop"].measure(PerturbationScores(MetricInput(MAP)))
    assert list(measure(MetricInput(MAP))) == ["border", "sparsity"]
    with_truth = ["ebpg", "miou", "bbox", "pointing", "border", "sparsity"]
    assert list(measure(MetricInput(MAP, TRUTH))) == with_truth
    assert list(measure(MetricInput(MAP, TRUTH), names=("sparsity", "bbox", "drop"))) == [
        "bbox",
        "sparsity",
    ]


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (
            MetricInput(MAP, TRUTH[:, :1]),
            {},
            r"maps \(1, 2, 5\) is bool of that shape, not .*\(1, 1, 5\)",
        ),
        (MetricInput(MAP, TRUTH.float()), {}, "is bool of that shape, not torch.float32"),
        (MetricInput(MAP, TRUTH), {"fills": ()}, "need a fill, such as grey"),
        (MetricInput(MAP, TRUTH), {"steps": 0}, "at least 1 step, not 0"),
        (MetricInput(MAP, TRUTH), {"names": ("ebgp",)}, "no metric ebgp; there are ebpg, miou, "),
    ],
)
def test_what_does_not_fit_is_told(
    inputs: MetricInput, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SiseError, match=message):
        measure(inputs, **options)


@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        ((1, 3, 5, 2), (1,), r"or one, not \(1, 3, 5, 2\)"),
        ((2, 3, 2, 5), (2,), r"or one, not \(2, 3, 2, 5\)"),
        ((1, 3, 2, 5), (3,), r"1 images need 1 targets, not \(3,\)"),
    ],
)
def test_a_query_of_other_images_is_told(
    images: tuple[int, ...], targets: tuple[int, ...], message: str
) -> None:
    query = ModelQuery(torch.ones(images), torch.zeros(targets, dtype=torch.int64), model)
    with pytest.raises(SiseError, match=message):
        measure(MetricInput(MAP, query=query))


def test_the_table_tells_what_a_reader_must_know() -> None:
    assert {
        name: (metric.title, metric.better, metric.needs, metric.percent)
        for name, metric in METRICS.items()
    } == {
        "ebpg": ("EBPG", "higher", "truth", True),
        "miou": ("mIoU", "higher", "truth", True),
        "bbox": ("Bbox", "higher", "truth", True),
        "pointing": ("Pointing", "higher", "truth", True),
        "drop": ("Drop", "lower", "model", True),
        "increase": ("Increase", "higher", "model", True),
        "left": ("Left", "lower", "model", True),
        "insertion": ("Insertion", "higher", "model", True),
        "deletion": ("Deletion", "lower", "model", True),
        "border": ("Border energy", "none", "map", False),
        "sparsity": ("Sparsity", "none", "map", False),
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
    gini = sum(abs(float(values[p] - values[q])) for p in pixels for q in pixels)
    at_rim = sum(float(values[p]) for p in rim_pixels)
    return {
        "ebpg": sum(float(values[p]) for p in defect) / energy if defect and energy else NAN,
        "miou": len(top & defect) / len(top | defect) if defect and not constant else NAN,
        "bbox": len(set(ranked[: len(defect)]) & defect) / len(defect)
        if defect and not constant
        else NAN,
        "pointing": float(ranked[0] in defect) if defect and not constant else NAN,
        "sparsity": gini / (2 * len(pixels) * energy) if energy else NAN,
        "border": (at_rim / energy) / (len(rim_pixels) / len(pixels)) if energy else NAN,
    }


@given(
    st.integers(1, 8), st.integers(1, 8), st.integers(1, 4), st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(max_examples=80)
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
        "pointing": pointing(maps, mask),
        "sparsity": sparsity(maps),
        "border": border_energy(maps, rim),
    }
    for name, result in found.items():
        assert result.tolist() == pytest.approx(
            [case[name] for case in expected], nan_ok=True, abs=1e-5
        )


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=50)
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
