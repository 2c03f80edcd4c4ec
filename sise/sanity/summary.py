"""What the rows of an experiment sum up to, as a table and in words."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sise.registry import MethodSpec
from sise.sanity.means import means_of
from sise.sanity.run import CENTRE, ORIGINAL, OTHER_IMAGE, UNTRAINED
from sise.sanity.similarity import MEASURES
from sise.sanity.verdict import RULE, Verdict

COLUMNS = {**{name: measure.title for name, measure in MEASURES.items()}, "ebpg": "EBPG"}
_NONE = "–"


def summarise(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A row for each method, kind, step and measure: mean, 95 % interval over images, counts.

    `items` have a value, `undefined` have none: there is no map, or a constant one, or for EBPG
    no ground truth. `seed_least` and `seed_most` are the extreme means of single seeds.
    """
    found = []
    keys = ["method", "kind", "step"]
    for (method, kind, step), group in rows.groupby(keys, sort=False):
        values = group[list(COLUMNS)].to_numpy(dtype=np.float64)
        seeds = group.groupby("seed")[list(COLUMNS)].mean()
        every = means_of(values, group["image"].to_numpy(), seed)
        stage = group["stage"].iloc[0] if group["stage"].nunique() == 1 else ""
        found += [
            {
                "method": method,
                "kind": kind,
                "step": step,
                "stage": stage,
                "measure": name,
                "mean": one.mean,
                "low": one.low,
                "high": one.high,
                "items": one.items,
                "undefined": len(group) - one.items,
                "seed_least": seeds[name].min(),
                "seed_most": seeds[name].max(),
            }
            for name, one in zip(COLUMNS, every, strict=True)
        ]
    return pd.DataFrame(found)


def markdown(
    summary: pd.DataFrame,
    verdicts: Mapping[str, Verdict],
    specs: Sequence[MethodSpec],
    facts: Sequence[str],
    margin: float,
) -> str:
    """The summary in words and tables. `facts` are lines that say what was run."""
    titles = {spec.text: spec.title for spec in specs}
    verdict_rows = [
        [titles[text], f"**{verdict.word}**", verdict.why] for text, verdict in verdicts.items()
    ]
    parts = [
        "# Sanity check: do the maps depend on what the model has learnt?",
        *facts,
        "## Verdicts",
        _table(["method", "verdict", "numbers"], verdict_rows),
        f"{RULE} Differences up to {margin:g} count as none. The bounds of the "
        "mean are one-sided, 95 % each, images being drawn again; where the margin lies between "
        "them, nothing is decided.",
        "## With all weights drawn anew",
        "Similarity to the map of the trained model: of the map of an untrained net (mean over "
        "seeds, then the extreme seeds), and for comparison of the trained model's maps of other "
        "images of the class, and of a Gaussian in the middle. EBPG of the trained model's maps, "
        "and of the untrained nets'.",
        _table(
            ["method", "measure", "untrained", "seeds", "other images", "centre Gaussian"],
            [_final_row(summary, titles, text, name) for text in titles for name in MEASURES],
        ),
        _table(
            ["method", "EBPG, trained", "EBPG, untrained", "maps missing, untrained"],
            [_ebpg_row(summary, titles, text) for text in titles],
        ),
    ]
    for name, measure in MEASURES.items():
        parts += [f"## {measure.title}, step by step", _steps(summary, titles, name)]
    parts += ["![Similarity at each step](curves.png)", "![Maps at each step](grid.png)"]
    return "\n\n".join(parts) + "\n"


def _final_row(
    summary: pd.DataFrame, titles: Mapping[str, str], text: str, measure: str
) -> list[str]:
    of = summary[(summary["method"] == text) & (summary["measure"] == measure)]
    untrained = of[of["kind"] == UNTRAINED].iloc[0]
    return [
        titles[text],
        MEASURES[measure].title,
        _with_interval(untrained),
        f"{_number(untrained['seed_least'])} to {_number(untrained['seed_most'])}",
        *(_cell(of[of["kind"] == kind]) for kind in (OTHER_IMAGE, CENTRE)),
    ]


def _ebpg_row(summary: pd.DataFrame, titles: Mapping[str, str], text: str) -> list[str]:
    of = summary[(summary["method"] == text)]
    ebpg, ssim = of[of["measure"] == "ebpg"], of[of["measure"] == "ssim"]
    untrained = ssim[ssim["kind"] == UNTRAINED].iloc[0]
    return [
        titles[text],
        *(_cell(ebpg[ebpg["kind"] == kind]) for kind in (ORIGINAL, UNTRAINED)),
        f"{untrained['undefined']} of {untrained['items'] + untrained['undefined']}",
    ]


def _steps(summary: pd.DataFrame, titles: Mapping[str, str], measure: str) -> str:
    steps = summary[
        summary["kind"].isin(["cascading", "independent"]) & (summary["measure"] == measure)
    ]
    rows = []
    for step, group in steps.groupby("step"):
        by_method = {row["method"]: _with_interval(row) for _, row in group.iterrows()}
        rows.append([f"{step}", group["stage"].iloc[0], *(by_method[text] for text in titles)])
    return _table(["step", "layers", *titles.values()], rows)


def _cell(rows: pd.DataFrame) -> str:
    return _with_interval(rows.iloc[0]) if len(rows) else _NONE


def _with_interval(row: "pd.Series[float]") -> str:
    if np.isnan(row["mean"]):
        return _NONE
    if np.isnan(row["low"]):
        return _number(row["mean"])
    return f"{_number(row['mean'])} ({_number(row['low'])} to {_number(row['high'])})"


def _number(value: float) -> str:
    return _NONE if np.isnan(value) else f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
