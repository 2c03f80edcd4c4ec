"""An ablation's table and curves: `ablation.md`, `ablation.csv` and `curves.png`."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sise.ablation.points import METRICS, Point
from sise.ablation.sweep import Sweep
from sise.evaluation.paper import MU, VOC
from sise.evaluation.summary import column
from sise.evaluation.summary_types import Column, Estimate
from sise.images import write_whole

COLOURS: dict[Sweep, str] = {"mu": "#c2410c", "budget": "#1d4ed8"}
LABELS: dict[Sweep, str] = {"mu": "larger μ", "budget": "smaller budget"}
MARKS: dict[str, str] = {"better": " ▲", "worse": " ▼", "undecided": ""}


def publish(
    points: Sequence[Point], about: str, dataset: str, architecture: str, out: Path
) -> Path:
    """Write table, numbers and curves into `out`; `about` says in a line what was run."""
    out.mkdir(parents=True, exist_ok=True)
    text = markdown(points, about, dataset, architecture)
    write_whole(out / "ablation.csv", lambda path: numbers(points).to_csv(path, index=False))
    write_whole(out / "curves.png", lambda path: draw(points, path))
    write_whole(out / "ablation.md", lambda path: path.write_text(text, "utf-8"))
    return out / "ablation.md"


def markdown(points: Sequence[Point], about: str, dataset: str, architecture: str) -> str:
    """A row per setting; beside the paper's table 6 where data and network are the paper's."""
    columns = [column(name) for name in METRICS]
    exact = points[0]
    lines = [
        "# What fewer passes cost",
        "",
        about,
        "",
        "| setting | passes | of exact | r with exact | "
        + " | ".join(f"{one.title} {_arrow(one)}" for one in columns)
        + " | s/image |",
        "|---" * (len(columns) + 5) + "|",
    ]
    for point in points:
        cells = [
            _printed(point.metrics[one.name], one)
            + (MARKS[point.comparisons[one.name].verdict] if point is not exact else "")
            for one in columns
        ]
        agreement = "" if point is exact else _interval(point.agreement, 1.0, 3)
        lines.append(
            f"| {point.setting.title} | {point.forwards:.0f} "
            f"| {point.forwards / exact.forwards:.1%} | {agreement} | {' | '.join(cells)} "
            f"| {point.seconds:.2f} |"
        )
    lines += [
        "",
        "Means with 95 % bootstrap intervals over images; metrics in per cent. ▲ better, ▼ worse "
        "than exact SISE on the same items (sign-flip test, Holm over all settings and metrics, "
        "p < 0.05); unmarked: not decided. r is the mean correlation of a map's pixels with the "
        "exact map's.",
        "",
        "![curves](curves.png)",
        "",
        "![maps of the first image of each class](grid.jpg)",
    ]
    if (dataset, architecture) == (VOC, "resnet50"):
        lines += ["", *_paper(columns)]
    return "\n".join(lines) + "\n"


def numbers(points: Sequence[Point]) -> pd.DataFrame:
    """A row per setting and measure, in [0, 1]."""
    return pd.DataFrame(
        {
            "setting": point.setting.spec.text,
            "sweep": point.setting.sweep,
            "value": point.setting.value,
            "forwards": point.forwards,
            "measure": name,
            "mean": estimate.mean,
            "low": estimate.low,
            "high": estimate.high,
            "items": estimate.items,
            "p_corrected": point.comparisons[name].corrected if name in point.comparisons else None,
        }
        for point in points
        for name, estimate in {"agreement": point.agreement, **point.metrics}.items()
    )


def draw(points: Sequence[Point], path: Path) -> None:
    """Each measure against passes, a line per sweep, exact SISE as a band: a PNG."""
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 5.6), layout="constrained")
        panels = figure.subplots(2, 3)
        agreement = Column("agreement", "r with exact", "higher", percent=False)
        for panel, one in zip(panels.flat, (agreement, *map(column, METRICS)), strict=True):
            _panel(panel, points, one)
        panels.flat[0].legend(frameon=False)
        figure.savefig(path, format="png", dpi=150)


def _panel(panel: Axes, points: Sequence[Point], one: Column) -> None:
    def of(point: Point) -> Estimate:
        return point.agreement if one.name == "agreement" else point.metrics[one.name]

    exact = of(points[0])
    panel.axhspan(exact.low * one.scale, exact.high * one.scale, color="0.92", label="exact, 95 %")
    panel.axhline(exact.mean * one.scale, color="0.5", linewidth=1)
    for sweep, colour in COLOURS.items():
        line = sorted(
            (point for point in points if point.setting.sweep in (sweep, "exact")),
            key=lambda point: point.forwards,
        )
        passes = [point.forwards for point in line]
        panel.plot(
            passes, [of(point).mean * one.scale for point in line], "o-",
            color=colour, markersize=4, label=LABELS[sweep],
        )  # fmt: skip
        panel.fill_between(
            passes, [of(point).low * one.scale for point in line],
            [of(point).high * one.scale for point in line], color=colour, alpha=0.12, linewidth=0,
        )  # fmt: skip
    panel.set_xscale("log")
    panel.set_title(f"{one.title} {_arrow(one)}{' (%)' if one.percent else ''}", fontsize=10)
    panel.set_xlabel("forward passes an image")


def _paper(columns: Sequence[Column]) -> list[str]:
    names = " | ".join(one.title for one in columns)
    rows = [
        f"| {mu} | {' | '.join(str(figures[one.name]) for one in columns)} | {figures['seconds']} |"
        for mu, figures in MU.items()
    ]
    return [
        "The paper's table 6, the same data and architecture; seconds on a Tesla T4:",
        "",
        f"| μ | {names} | s/image |",
        "|---" * (len(columns) + 2) + "|",
        *rows,
    ]


def _printed(estimate: Estimate, one: Column) -> str:
    return _interval(estimate, one.scale, 1)


def _interval(estimate: Estimate, scale: float, digits: int) -> str:
    if not estimate.defined:
        return "–"
    mean, low, high = (value * scale for value in (estimate.mean, estimate.low, estimate.high))
    if not estimate.has_interval:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _arrow(one: Column) -> str:
    return {"higher": "↑", "lower": "↓", "none": ""}[one.better]
