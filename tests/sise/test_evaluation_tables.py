"""Markdown and CSV of a summary whose numbers are known."""

import io

import numpy as np
import pandas as pd
import pytest
from evaluation_rows import rows

from sise.evaluation import formatting, tables
from sise.evaluation.paper import reported
from sise.evaluation.summary import column, summarise
from sise.evaluation.summary_types import Estimate, Summary

UP = "\u00a0↑"


@pytest.fixture(scope="module")
def summary() -> Summary:
    base = np.tile([0.4, 0.6], 10)
    table = rows(
        {
            "sise": {"ebpg": list(base), "drop": list(base), "border": list(base)},
            "rise:n_masks=20": {
                "ebpg": list(base + 0.2),
                "drop": [*(base[:-1] + 0.1), np.nan],
                "border": list(base),
            },
            "noise": {
                "ebpg": list(base - 0.1),
                "drop": list(base + 0.2),
                "border": list(base),
            },
        },
        ["class_1", "class|2"] * 10,
    )
    table.loc[table["drop"].isna(), "status"] = "constant map"
    return summarise(table, resamples=500, flips=2000)


def lines(text: str) -> dict[str, list[str]]:
    """Cells of a Markdown table by the first one."""
    parsed = [[cell.strip() for cell in line.split(" | ")] for line in text.splitlines()]
    return {cells[0].removeprefix("| "): [c.removesuffix(" |") for c in cells[1:]]
            for cells in parsed}  # fmt: skip


def test_the_table_of_methods(summary: Summary) -> None:
    found = lines(tables.main_table(summary.whole, formatting.the_papers(summary)))
    assert found["method"] == [f"EBPG{UP}", "Drop\u00a0↓"]
    assert found["SISE"][0].startswith("<u>50.0</u> [")
    assert found["SISE"][1].startswith("**50.0** [")
    assert found["RISE (n\\_masks 20)"][0].startswith("**70.0** [")
    assert found["RISE (n\\_masks 20)"][0].endswith("] ▲")
    assert found["RISE (n\\_masks 20)"][1].startswith("<u>59.5</u> [")
    assert found["RISE (n\\_masks 20)"][1].endswith("] ▼ (n = 19)")
    assert found["*noise*"][0].startswith("40.0 [")
    assert found["*noise*"][0].endswith("] ▼")


def test_the_standing_of_the_reference(summary: Summary) -> None:
    assert lines(tables.standings(summary)) == {
        "metric": ["place", "better than", "no difference shown", "worse than"],
        "---": ["---:"] * 4,
        f"EBPG{UP}": ["2 of 2", "noise", "–", "RISE (n\\_masks 20)"],
        "Drop\u00a0↓": ["1 of 2", "RISE (n\\_masks 20); noise", "–", "–"],
    }


def test_margins_name_their_baseline_and_bold_what_is_clear(summary: Summary) -> None:
    found = lines(tables.margins(summary))
    assert found["*best trivial*"] == ["noise 40.0", "noise 70.0"]
    assert found["SISE"] == ["**+10.0** [+10.0, +10.0]", "**+20.0** [+20.0, +20.0]"]
    assert list(found) == ["method", "---", "*best trivial*", "SISE", "RISE (n\\_masks 20)"]


def test_per_class(summary: Summary) -> None:
    found = lines(tables.by_class(summary, column("ebpg")))
    assert found["method"] == ["class\\_1 (n = 10)", "class\\|2 (n = 10)"]
    assert found["SISE"] == ["<u>40.0</u>", "<u>60.0</u>"]
    found = lines(tables.reference_by_class(summary, "sise"))
    assert found["class\\_1"] == ["10", "40.0 (+10.0)", "40.0 (+20.0)"]


def test_the_papers_figures_stand_beside_ours(summary: Summary) -> None:
    theirs = reported("PASCAL VOC 2007, test", "resnet50")
    assert theirs is not None
    text = tables.beside(summary, theirs)
    found = lines(text)
    assert found["SISE"] == ["66.08 · 50.0", "30.92 · 50.0"]
    assert found["RISE (n\\_masks 20)"] == ["32.86 · 70.0", "39.77 · 59.5"]
    assert "Not run here: Grad-CAM, Grad-CAM++, Extremal Perturbation" in text
    assert "noise" not in text
    assert "beside ours" in tables.markdown(summary, "VOC", theirs)
    assert "beside ours" not in tables.markdown(summary, "NEU-DET")


def test_cost_says_how_many_have_no_map(summary: Summary) -> None:
    found = lines(tables.costs(summary.whole))
    assert found["SISE"] == ["10", "0.5", "none"]
    assert found["RISE (n\\_masks 20)"] == ["10", "0.5", "1 constant map"]


def test_the_document_has_every_section_and_a_legend(summary: Summary) -> None:
    text = tables.markdown(summary, "NEU-DET_x · resnet50")
    assert text.startswith("# NEU-DET\\_x · resnet50\n\n3 methods on 20 images. SISE has the best")
    assert "by 1 of the paper's 2 metrics (Drop)" in text
    assert "Of 2 comparisons with other methods by these metrics, 1 show SISE ahead and 1" in text
    assert "above the best trivial baseline by 2 (EBPG, Drop)" in text
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[1:] == [
        "## The paper's metrics", "## Further metrics", "## Where SISE stands",
        "## Margin over the best trivial baseline", "## Per class", f"### EBPG{UP}",
        "### Drop\u00a0↓", "## Cost", "## How to read this",
    ]  # fmt: skip
    assert "every other method × every metric with an arrow, 4 tests" in text


def test_only_methods_without_a_reference_or_a_baseline() -> None:
    text = tables.markdown(summarise(rows({"rise": {"ebpg": [0.5]}}), resamples=50), "x")
    assert "**50.0** |" in text  # one image: no interval
    for absent in ("stands", "trivial baseline\n", "Per class", "▲", "Further"):
        assert absent not in text


def test_csv_holds_plain_numbers(summary: Summary) -> None:
    written = tables.frame(summary).to_csv(index=False)
    frame = pd.read_csv(io.StringIO(written)).set_index(["method", "metric"])
    assert len(frame) == 9
    row = frame.loc[("rise:n_masks=20", "ebpg")]
    assert row["mean"] == pytest.approx(0.7)
    assert row["difference"] == pytest.approx(0.2)
    assert (row["items"], row["pairs"], row["rank"]) == (20, 20, 1)
    assert (row["against_reference"], row["trivial"]) == ("better", "noise")
    assert row["margin"] == pytest.approx(0.3)
    assert np.isnan(frame.loc[("sise", "ebpg"), "difference"])
    by_class = tables.frame_by_class(summary)
    assert list(by_class["class"].unique()) == ["class_1", "class|2"]
    assert len(by_class) == 18


def test_numbers_in_words() -> None:
    share, ratio = column("ebpg"), column("border")
    assert formatting.number(0.1234, share) == "12.3"
    assert formatting.number(-0.05, share, signed=True) == "−5.0"
    assert formatting.number(1.234, ratio) == "1.23"
    assert formatting.number(float("nan"), share) == "–"
    assert formatting.interval(Estimate(0.5, 0.4, 0.6, 9, 9), share) == "[40.0, 60.0]"
    assert [formatting.cost(value) for value in (0.0194, 9.2, 94, 3904)] == [
        "0.0194", "9.2", "94", "3\u202f904",
    ]  # fmt: skip
    assert [formatting.chance(p) for p in (0.0004, 0.03, float("nan"))] == ["< 0.001", "0.030", "–"]


def test_the_table_of_pairs() -> None:
    base = np.tile([0.4, 0.6], 10)
    values = {
        name: {"ebpg": list(base + more)}
        for name, more in {"sise": 0.0, "rise:seed=1": 0.1, "noise": 0.0}.items()
    }
    table = rows(values, ["a", "b"] * 10)
    pairs = [("rise:seed=1", "sise"), ("sise", "noise")]
    found = summarise(table, resamples=100, flips=500, pairs=pairs)
    cells = lines(tables.pairs(found))
    assert cells["RISE (seed 1) less SISE"] == ["+10.0 [+10.0, +10.0] ▲"]
    assert cells["SISE less noise"] == ["+0.0 [+0.0, +0.0]"]
    assert "## Pairs" in tables.markdown(found, "t")
    assert "over 2 tests" in " ".join(formatting.legend(found))
    plain = tables.frame_of_pairs(found)
    assert plain.groupby("class").size().to_dict() == {"": 2, "a": 2, "b": 2}
    assert plain["difference"].tolist() == pytest.approx([0.1, 0] * 3)
    assert plain["p"].isna().tolist() == [False, False, True, True, True, True]


def test_groups_and_two_kinds_of_truth_are_told() -> None:
    table = rows({"sise": {"ebpg": [0.5] * 8}}, ["a", "b"] * 4)
    table["group"] = ["g", "h"] * 4
    table["truth"] = ["pixels", "boxes"] * 4
    mixed = summarise(table, resamples=20, flips=20)
    assert formatting.amount(mixed) == "8 images in 2 groups"
    text = "\n".join(formatting.legend(mixed))
    assert "Items of one image stay together, and so do images of one group." in text
    assert "their pixels, of others boxes" in text
    plain = "\n".join(
        formatting.legend(summarise(table.assign(truth="boxes", group=table["image"])))
    )
    assert "Items of one image stay together. Fewer" in plain
    assert "of others boxes" not in plain
