import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from skimage.feature import hog
from skimage.metrics import structural_similarity

from sise.evaluation.statistics import estimates
from sise.sanity.similarity import similarities
from sise.sanity.verdict import judge

STEPS = 4


def test_similarities_are_those_of_the_libraries() -> None:
    one, other = torch.rand(2, 64, 80, generator=torch.Generator().manual_seed(0))
    found = similarities(one, other)
    a, b = one.numpy(), other.numpy()
    assert found["ssim"] == pytest.approx(structural_similarity(a, b, data_range=1), abs=1e-9)
    assert found["rank"] == pytest.approx(spearmanr(a, b, axis=None).statistic, abs=1e-9)
    cells = {"pixels_per_cell": (16, 16)}
    expected = np.corrcoef(hog(a, **cells), hog(b, **cells))[0, 1]
    assert found["hog"] == pytest.approx(expected, abs=1e-9)


def test_a_map_is_like_itself_and_ranks_know_no_scale() -> None:
    values = torch.rand(48, 48, generator=torch.Generator().manual_seed(1))
    assert similarities(values, values) == pytest.approx({"ssim": 1, "rank": 1, "hog": 1})
    assert similarities(values, values.square())["rank"] == pytest.approx(1)
    assert similarities(values, 1 - values)["rank"] == pytest.approx(-1)


def test_what_cannot_be_compared_is_nan() -> None:
    values = torch.rand(48, 48, generator=torch.Generator().manual_seed(1))
    assert all(map(math.isnan, similarities(values, torch.zeros(48, 48)).values()))
    small = similarities(values[:20, :20], values[:20, :20])
    assert math.isnan(small["hog"])
    assert small["rank"] == pytest.approx(1)


def test_means_leave_out_what_is_undefined_and_draw_whole_images() -> None:
    values = np.array([[1.0, np.nan, 0.0]] * 8 + [[0.0, np.nan, np.nan]] * 8)
    images = np.repeat(np.arange(8), 2).astype(str)
    mixed, none, few = estimates(values, images, seed=0)
    assert (mixed.mean, mixed.items) == (0.5, 16)
    assert mixed.low < 0.25
    assert mixed.high > 0.75
    assert math.isnan(none.mean)
    assert (few.mean, few.items) == (0, 8)
    assert math.isnan(few.low), "four images are too few for an interval"


def rows_of(
    steps: list[float], floor: float, final: float, spread: float = 0.01, items: int = 12
) -> pd.DataFrame:
    """Of one method; both measures alike. Items differ by `spread`, standard deviation."""
    noise = np.random.default_rng(0).normal(0, spread, items)
    table = []
    for item in range(items):
        values = [
            *(("cascading", step, 0, value) for step, value in enumerate(steps, start=1)),
            *(("another image", 0, 0, floor) for _ in range(2)),
            *(("untrained", len(steps), seed, final + noise[item]) for seed in range(3)),
        ]
        table += [
            {"kind": kind, "step": step, "seed": seed, "item": f"{item}", "image": f"{item}",
             "ssim": value, "rank": value}
            for kind, step, seed, value in values
        ]  # fmt: skip
    return pd.DataFrame(table)


@pytest.mark.parametrize(
    ("steps", "floor", "final", "word"),
    [
        ([0.8, 0.5, 0.3, 0.1], 0.2, 0.1, "passes"),
        ([0.8, 0.5, 0.3, 0.22], 0.2, 0.22, "passes"),  # above, but within the margin
        ([0.8, 0.7, 0.6, 0.5], 0.2, 0.5, "fails"),
        ([1.0, 1.0, 1.0, 1.0], 0.2, 1.0, "fails"),
        ([1.0, 1.0, 1.0, 1.0], 1.0, 1.0, "fails"),  # at the floor, but it never falls
    ],
)
def test_verdict(steps: list[float], floor: float, final: float, word: str) -> None:
    verdict = judge(rows_of(steps, floor, final))
    assert verdict.word == word
    finding = verdict.findings["ssim"]
    assert finding.floor == pytest.approx(floor)
    assert finding.excess.mean == pytest.approx(final - floor, abs=0.01)
    slope = np.polyfit(range(STEPS + 1), [1, *steps], 1)[0]
    assert finding.fall is not None
    assert finding.fall.mean == pytest.approx(-STEPS * slope)


def test_one_measure_is_enough_to_fail() -> None:
    rows = rows_of([0.8, 0.5, 0.3, 0.1], 0.2, 0.1)
    rows["rank"] = rows["rank"].where(rows["kind"] == "another image", 0.9)
    verdict = judge(rows)
    assert (verdict.findings["ssim"].word, verdict.word) == ("passes", "fails")
    assert verdict.why.startswith(
        "rank correlation ends at 0.90, 0.20 between different images (by +0.70"
    )


def test_between_the_bounds_nothing_is_decided() -> None:
    steps = [0.8, 0.5, 0.3, 0.25]
    assert judge(rows_of(steps, 0.2, 0.25, spread=0.1)).word == "undecided"
    assert judge(rows_of(steps, 0.2, 0.25, spread=0.1), margin=0.2).word == "passes"


def test_too_few_images_decide_nothing_and_the_reason_is_told() -> None:
    few = judge(rows_of([0.8, 0.5, 0.3, 0.1], 0.2, 0.1, items=5))
    assert (few.word, few.why) == ("undecided", "fewer than 6 images have maps to compare")
    rows = rows_of([0.8, 0.5, 0.3, 0.1], 0.2, 0.1)
    alone = judge(rows[rows["kind"] != "another image"])
    assert alone.word == "undecided"
    assert "another image of its class" in alone.why


def test_layers_drawn_anew_one_at_a_time_need_not_fall() -> None:
    rows = rows_of([0.1, 0.9, 0.9, 0.9], 0.2, 0.1)
    rows["kind"] = rows["kind"].replace("cascading", "independent")
    verdict = judge(rows)
    assert verdict.word == "passes"
    assert verdict.findings["rank"].fall is None
