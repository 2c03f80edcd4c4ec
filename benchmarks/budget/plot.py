"""The curve of `compare.py`'s results: correlation with the exact map against passes.

python benchmarks/budget/plot.py --results benchmarks/results/budget.json --out docs/budget.png
"""

import json
from pathlib import Path

import matplotlib as mpl
from jsonargparse import auto_cli

mpl.use("agg")
import matplotlib.pyplot as plt

MARKS = {"clusters": "o", "random subset": "s", "top-k by α": "^", "threshold μ": "v"}


def main(results: Path, out: Path) -> None:
    """Draw.

    Args:
        results: JSON of compare.py.
        out: PNG.
    """
    rows = json.loads(results.read_text("utf-8"))["rows"]
    figure, axes = plt.subplots(figsize=(7, 4.2), dpi=110, layout="constrained")
    for strategy, mark in MARKS.items():
        own = [row for row in rows if row["strategy"] == strategy]
        shares = [100 * row["share_of_masks"] for row in own]
        (line,) = axes.plot(
            shares, [row["correlation_median"] for row in own], mark + "-", label=strategy
        )
        axes.plot(
            shares, [row["correlation_p10"] for row in own], ":", color=line.get_color(), lw=1
        )
    for row in rows:
        if row["strategy"] == "Ada-SISE":
            axes.plot(
                100 * row["share_of_masks"], row["correlation_median"], "k*", label="Ada-SISE"
            )
        if row["strategy"] == "all scores 1":
            axes.axhline(row["correlation_median"], color="grey", lw=0.8)
            axes.text(1, row["correlation_median"] + 0.005, "no pass: all scores 1", fontsize=8)
    axes.set_xscale("log")
    ticks = [1, 2, 5, 10, 20, 50]
    axes.set_xticks(ticks, [f"{tick} %" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("forward passes, share of exact SISE's")
    axes.set_ylabel("correlation with the exact map")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=9, title="median; dotted: 10th percentile")
    figure.savefig(out)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
