"""Means, ranks, verdicts and margins of rows small enough to count."""

import math

import numpy as np
import pandas as pd
import pytest
from evaluation_rows import rows

from sise.errors import SiseError
from sise.evaluation.summary import column, summarise

FEW = {"resamples": 200, "flips": 500}


def test_means_intervals_and_counts() -> None:
    summary = summarise(rows({"sise": {"ebpg": [0.1, 0.3, np.nan] + [0.2] * 5}}), **FEW)
    estimate = summary.whole.row("sise").cells["ebpg"].estimate
    assert estimate.mean == pytest.approx(0.2)
    assert estimate.low < 0.2 < estimate.high
    assert (estimate.items, estimate.images) == (7, 7)
    assert (summary.whole.items, summary.whole.images) == (8, 8)


def test_the_mean_is_over_items_and_images_are_the_unit() -> None:
    """As the paper counts: a cat and a dog of one image are two."""
    table = rows({"sise": {"ebpg": [0.0, 1.0, 1.0]}})
    table["image"] = ["a", "b", "b"]
    estimate = summarise(table, **FEW).whole.row("sise").cells["ebpg"].estimate
    assert estimate.mean == pytest.approx(2 / 3)
    assert (estimate.items, estimate.images) == (3, 2)
    assert not estimate.has_interval


def test_images_of_one_group_are_drawn_as_one() -> None:
    values = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    table = rows({"sise": {"ebpg": values}, "rise": {"ebpg": values[::-1]}})
    alone = summarise(table, **FEW)
    table["group"] = table["image"]
    assert summarise(table, **FEW) == alone
    table["group"] = [f"g{place // 2}" for place in range(8)] * 2
    grouped = summarise(table, **FEW).whole
    assert (grouped.items, grouped.images, grouped.groups) == (8, 8, 4)
    estimate = grouped.row("sise").cells["ebpg"].estimate
    assert (estimate.mean, estimate.images) == (pytest.approx(0.35), 4)
    assert not estimate.has_interval  # of 4


def test_ranks_follow_the_direction_share_ties_and_leave_trivial_methods_out() -> None:
    summary = summarise(
        rows(
            {
                "noise": {"ebpg": [0.9], "drop": [0.0]},
                "sise": {"ebpg": [0.5], "drop": [0.3]},
                "gradcam": {"ebpg": [0.5], "drop": [0.2]},
                "rise": {"ebpg": [0.4], "drop": [np.nan]},
            }
        ),
        **FEW,
    )
    ranks = {
        row.method: (row.cells["ebpg"].rank, row.cells["drop"].rank) for row in summary.whole.rows
    }
    assert ranks == {"sise": (1, 2), "gradcam": (1, 1), "rise": (2, None), "noise": (None, None)}
    assert [row.method for row in summary.whole.rows] == ["sise", "gradcam", "rise", "noise"]


def test_the_truth_comes_last_is_not_ranked_and_no_trivial_map() -> None:
    table = rows(
        {
            "truth": {"ebpg": [1.0] * 8, "drop": [0.1] * 8},
            "noise": {"ebpg": [0.1] * 8, "drop": [0.5] * 8},
            "sise": {"ebpg": [0.4] * 8, "drop": [0.2] * 8},
        }
    )
    whole = summarise(table, **FEW).whole
    assert [row.method for row in whole.rows] == ["sise", "noise", "truth"]
    truth, sise = whole.row("truth"), whole.row("sise")
    assert (truth.title, truth.is_truth, truth.uses_model) == ("ground truth", True, False)
    assert (truth.cells["ebpg"].rank, sise.cells["ebpg"].rank) == (None, 1)
    margin = sise.cells["ebpg"].margin
    assert margin is not None
    assert (margin.baseline, margin.difference.mean) == ("noise", pytest.approx(0.3))
    assert truth.cells["drop"].comparison is not None
    assert truth.cells["drop"].comparison.verdict == "better"  # no method, but tested all the same


def test_verdicts_are_on_the_method_and_follow_the_direction() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(0.4, 0.6, 30)
    summary = summarise(
        rows(
            {
                "sise": {"ebpg": list(base), "drop": list(base), "border": list(base)},
                "gradcam": {
                    "ebpg": list(base + 0.1),
                    "drop": list(base + 0.1),
                    "border": list(base + 0.1),
                },
                "rise": {
                    "ebpg": list(base + rng.normal(0, 0.01, 30)),
                    "drop": list(base - 0.1),
                    "border": list(base),
                },
            }
        ),
        **FEW,
    )
    verdicts = {
        (row.method, name): cell.comparison and cell.comparison.verdict
        for row in summary.whole.rows
        for name, cell in row.cells.items()
    }
    assert verdicts == {
        ("sise", "ebpg"): None,
        ("sise", "drop"): None,
        ("sise", "border"): None,
        ("gradcam", "ebpg"): "better",
        ("gradcam", "drop"): "worse",
        ("gradcam", "border"): "undecided",
        ("rise", "ebpg"): "undecided",
        ("rise", "drop"): "better",
        ("rise", "border"): "undecided",
    }
    assert summary.family == 4  # two methods by two metrics with a direction
    comparison = summary.whole.row("gradcam").cells["ebpg"].comparison
    assert comparison is not None
    assert comparison.difference.mean == pytest.approx(0.1)
    assert comparison.p == pytest.approx(1 / 501)
    assert comparison.corrected == pytest.approx(4 / 501)
    standing = summary.standing(column("drop"))
    assert (standing.rank, standing.ranked) == (2, 3)
    assert (standing.beaten, standing.undecided, standing.ahead) == (("Grad-CAM",), (), ("RISE",))


def test_a_difference_is_over_the_items_that_both_define() -> None:
    nan = np.nan
    summary = summarise(
        rows(
            {
                "sise": {"ebpg": [0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, nan]},
                "rise": {"ebpg": [nan, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.0]},
            }
        ),
        **FEW,
    )
    comparison = summary.whole.row("rise").cells["ebpg"].comparison
    assert comparison is not None
    assert comparison.difference.mean == pytest.approx(0.1)
    assert comparison.difference.items == 6
    assert comparison.p == pytest.approx(2 / 64)  # 256 signs of 8 images, 6 of them with a pair


def test_the_margin_is_over_the_best_trivial_baseline_and_above_nought_is_better() -> None:
    summary = summarise(
        rows(
            {
                "sise": {"ebpg": [0.6] * 6, "drop": [0.2] * 6, "border": [1.0] * 6},
                "noise": {"ebpg": [0.3] * 6, "drop": [0.5] * 6, "border": [1.0] * 6},
                "sobel": {"ebpg": [0.4] * 6, "drop": [0.7] * 6, "border": [1.0] * 6},
            }
        ),
        **FEW,
    )
    cells = summary.whole.row("sise").cells
    ebpg, drop = cells["ebpg"].margin, cells["drop"].margin
    assert ebpg is not None
    assert drop is not None
    assert (ebpg.baseline, drop.baseline) == ("sobel", "noise")
    assert (ebpg.difference.mean, drop.difference.mean) == pytest.approx((0.2, 0.3))
    assert ebpg.difference.low == pytest.approx(0.2, abs=1e-6)
    assert cells["border"].margin is None
    assert all(cell.margin is None for cell in summary.whole.row("noise").cells.values())


def test_classes_have_their_own_means_margins_and_no_tests() -> None:
    summary = summarise(
        rows(
            {
                "sise": {"ebpg": [0.2, 0.4, 0.9]},
                "rise": {"ebpg": [0.3, 0.1, 0.8]},
                "noise": {"ebpg": [0.1, 0.1, 0.7]},
            },
            ["b", "b", "a"],
        ),
        **FEW,
    )
    assert [(board.name, board.items) for board in summary.classes] == [("a", 1), ("b", 2)]
    cell = summary.classes[1].row("sise").cells["ebpg"]
    assert cell.estimate.mean == pytest.approx(0.3)
    assert cell.margin is not None
    assert cell.margin.difference.mean == pytest.approx(0.2)
    assert summary.classes[1].row("rise").cells["ebpg"].comparison is None


def test_statuses_and_missing_rows_are_counted_and_costs_averaged() -> None:
    table = rows({"sise": {"ebpg": [0.1, 0.2, 0.3]}, "rise": {"ebpg": [0.1, np.nan, 0.3]}})
    table.loc[4, ["status", "forwards", "seconds"]] = ["constant map", 40, 2.0]
    summary = summarise(table.drop(index=5), **FEW)
    row = summary.whole.row("rise")
    assert row.statuses == {"ok": 1, "constant map": 1, "not run": 1}
    assert row.without_map == {"constant map": 1, "not run": 1}
    assert (row.forwards, row.seconds) == (25, 1.25)
    assert summary.whole.row("sise").without_map == {}


@pytest.mark.parametrize(
    ("methods", "wanted", "reference"),
    [
        (["rise", "sise:budget=94", "sise"], None, "sise"),
        (["rise", "sise:budget=94"], None, "sise:budget=94"),
        (["rise", "gradcam"], None, None),
        (["sise", "rise"], "rise", "rise"),
    ],
)
def test_the_reference(methods: list[str], wanted: str | None, reference: str | None) -> None:
    table = rows({method: {"ebpg": [0.1]} for method in methods})
    summary = summarise(table, wanted, **FEW)
    assert summary.reference == reference
    if reference is None:
        assert all(row.cells["ebpg"].comparison is None for row in summary.whole.rows)


def test_a_column_under_another_fill_says_so() -> None:
    plain, blurred = column("drop"), column("drop@blur")
    assert (plain.better, plain.percent, plain.scale) == ("lower", True, 100.0)
    assert blurred.title == f"{plain.title} (blur)"
    assert column("border").scale == 1.0


def test_rows_that_cannot_be_summed_up() -> None:
    table = rows({"sise": {"ebpg": [0.1]}})
    with pytest.raises(SiseError, match="not one item"):
        summarise(table.iloc[:0])
    with pytest.raises(SiseError, match="two rows for sise on i0"):
        summarise(pd.concat([table, table]))
    with pytest.raises(SiseError, match="no rows of the reference 'rise'"):
        summarise(table, "rise")


def test_one_item_has_means_and_nothing_else() -> None:
    summary = summarise(rows({"sise": {"ebpg": [0.1]}, "rise": {"ebpg": [0.4]}}), **FEW)
    comparison = summary.whole.row("rise").cells["ebpg"].comparison
    assert comparison is not None
    assert comparison.difference.mean == pytest.approx(0.3)
    assert math.isnan(comparison.p)
    assert comparison.verdict == "undecided"
    assert summary.family == 0


def test_pairs_are_compared_with_a_correction_of_their_own() -> None:
    base = np.linspace(0.2, 0.6, 30)
    noise = np.random.default_rng(1).normal(0, 0.001, 30)
    table = rows(
        {
            "sise": {"ebpg": list(base), "border": list(base)},
            "rise": {"ebpg": list(base + 0.1 + noise), "border": list(base)},
            "gradcam": {"ebpg": list(base + 0.3), "border": list(base)},
        },
        ["a", "b"] * 15,
    )
    summary = summarise(table, **FEW, pairs=[("rise", "gradcam"), ("gradcam", "sise")])
    first, second = summary.whole.pairs
    found = first.comparisons["ebpg"]
    assert found.difference.mean == pytest.approx(-0.2 + noise.mean())
    assert found.difference.low < found.difference.mean < found.difference.high
    assert (found.verdict, second.comparisons["ebpg"].verdict) == ("worse", "better")
    # All 500 flips but the real one are less extreme; two tests, of which border is none.
    assert found.p == pytest.approx(1 / 501)
    assert found.corrected == pytest.approx(2 / 501)
    assert summary.family_of_pairs == 2
    assert math.isnan(first.comparisons["border"].p)
    against = summary.whole.row("gradcam").cells["ebpg"].comparison
    assert against is not None
    assert second.comparisons["ebpg"].difference == against.difference
    for board in summary.classes:
        (one, _) = board.pairs
        assert one.comparisons["ebpg"].difference.items == 15
        assert math.isnan(one.comparisons["ebpg"].p)
    with pytest.raises(SiseError, match="no rows of a pair's method 'lime'; there are sise"):
        summarise(table, **FEW, pairs=[("sise", "lime")])
