"""What the rows of an experiment sum up to, as a table and in words."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sise.evaluation.formatting import NOTHING, bounded, escaped, markdown_table
from sise.evaluation.statistics import estimates
from sise.evaluation.summary import groups_of
from sise.registry import MethodSpec
from sise.sanity.run import CENTRE, ORIGINAL, OTHER_IMAGE, UNTRAINED
from sise.sanity.similarity import MEASURES
from sise.sanity.verdict import RULE, Verdict

NAN = float("nan")
STEPWISE = ("cascading", "independent")
COLUMNS = {**{name: measure.title for name, measure in MEASURES.items()}, "ebpg": "EBPG"}


def summarise(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A row for each method, kind, step and measure: mean, 95 % interval over images, counts.

    `items` have a value, `undefined` have none: there is no map, or a constant one, or for EBPG
    no ground truth. `seed_least` and `seed_most` are the extreme means of single seeds.
    """
    lines = []
    keys = ["method", "kind", "step"]
    for (method, kind, step), group in rows.groupby(keys, sort=False):
        values = group[list(COLUMNS)].to_numpy(dtype=np.float64)
        seeds = group.groupby("seed")[list(COLUMNS)].mean()
        every = estimates(values, groups_of(group).to_numpy(str), seed)
        stage = group["stage"].iloc[0] if group["stage"].nunique() == 1 else ""
        lines += [
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
    return pd.DataFrame(lines)


def markdown(
    summary: pd.DataFrame,
    verdicts: Mapping[str, Verdict],
    specs: Sequence[MethodSpec],
    facts: str,
    margin: float,
) -> str:
    """The summary in words and tables. `facts` say what was run."""
    titles = {spec.text: escaped(spec.title) for spec in specs}
    parts = [
        "# Sanity check: do the maps depend on what the model has learnt?",
        facts,
        "## Verdicts",
        markdown_table(
            ["method", "verdict", "numbers"],
            [[titles[text], f"**{one.word}**", one.why] for text, one in verdicts.items()],
        ),
        f"{RULE} Differences up to {margin:g} count as none. The bounds of the "
        "mean are one-sided, 95 % each, images being drawn again; where the margin lies between "
        "them, nothing is decided.",
        "## With all weights drawn anew",
        "Similarity to the map of the trained model: of the map of an untrained net (mean over "
        "seeds, then the extreme seeds), and for comparison of the trained model's maps of other "
        "images of the class, and of a Gaussian in the middle. EBPG of the trained model's maps, "
        "and of the untrained nets'.",
        markdown_table(
            ["method", "measure", "untrained", "seeds", "other images", "centre Gaussian"],
            [
                [title, measure.title, *_final(summary[summary["method"] == text], name)]
                for text, title in titles.items()
                for name, measure in MEASURES.items()
            ],
        ),
        markdown_table(
            ["method", "EBPG, trained", "EBPG, untrained", "maps missing, untrained"],
            [[title, *_ebpg(summary[summary["method"] == text])] for text, title in titles.items()],
        ),
    ]
    for name, measure in MEASURES.items():
        parts += [f"## {measure.title}, step by step", _steps(summary, titles, name)]
    parts += ["![Similarity at each step](curves.png)", "![Maps at each step](grid.png)"]
    return "\n\n".join(parts) + "\n"


def _final(method: pd.DataFrame, measure: str) -> list[str]:
    """A method's cells of the untrained nets and of what they are held against."""
    untrained = _row(method, UNTRAINED, measure)
    least, most = (bounded(untrained[edge], NAN, NAN) for edge in ("seed_least", "seed_most"))
    others = (_cell(_row(method, kind, measure)) for kind in (OTHER_IMAGE, CENTRE))
    return [_cell(untrained), f"{least} to {most}", *others]


def _ebpg(method: pd.DataFrame) -> list[str]:
    missing = _row(method, UNTRAINED, "ssim")
    return [
        *(_cell(_row(method, kind, "ebpg")) for kind in (ORIGINAL, UNTRAINED)),
        f"{missing['undefined']} of {missing['items'] + missing['undefined']}",
    ]


def _steps(summary: pd.DataFrame, titles: Mapping[str, str], measure: str) -> str:
    rows = summary[summary["kind"].isin(STEPWISE) & (summary["measure"] == measure)]
    lines = []
    for step, group in rows.groupby("step"):
        cells = {row["method"]: _cell(row) for row in group.to_dict("records")}
        stage = escaped(group["stage"].iloc[0])
        lines.append([f"{step}", stage, *(cells[text] for text in titles)])
    return markdown_table(["step", "layers", *titles.values()], lines)


def _row(method: pd.DataFrame, kind: str, measure: str) -> Mapping[Hashable, Any]:
    """Empty where there is none."""
    rows = method[(method["kind"] == kind) & (method["measure"] == measure)]
    return next(iter(rows.to_dict("records")), {})


def _cell(row: Mapping[Hashable, Any]) -> str:
    return bounded(row["mean"], row["low"], row["high"]) if row else NOTHING
