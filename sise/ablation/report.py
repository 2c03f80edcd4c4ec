"""An ablation's table and curves: `ablation.md`, `ablation.csv` and `curves.png`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sise.ablation.sweep import Point, Sweep
from sise.evaluation.formatting import ARROWS, MARKS, bounded, markdown_table
from sise.evaluation.paper import METRICS, MU, VOC
from sise.evaluation.report import write_table, write_text
from sise.evaluation.summary import column
from sise.evaluation.summary_types import Cell, Column, Comparison, Estimate
from sise.images import write_whole

COLOURS: dict[Sweep, str] = {"mu": "#c2410c", "budget": "#1d4ed8"}
AGREEMENT = Column("agreement", "r with exact", "higher", percent=False)
LABELS: dict[Sweep, str] = {"mu": "larger μ", "budget": "smaller budget"}


def publish(
    points: Sequence[Point], about: str, dataset: str, architecture: str, out: Path
) -> Path:
    """Write table, numbers and curves into `out`; `about` says in a line what was run."""
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / "ablation.csv", numbers(points))
    write_whole(out / "curves.png", lambda path: draw(points, path))
    write_text(out / "ablation.md", markdown(points, about, dataset, architecture))
    return out / "ablation.md"


def markdown(points: Sequence[Point], about: str, dataset: str, architecture: str) -> str:
    """A row per setting; beside the paper's table 6 where data and network are the paper's."""
    columns = [column(name) for name in METRICS]
    headings = [f"{one.title} {ARROWS[one.better]}" for one in columns]
    parts = [
        "# What fewer passes cost",
        about,
        markdown_table(
            ["setting", "passes", "of exact", "r with exact", *headings, "s/image"],
            [_line(point, points[0], columns) for point in points],
        ),
        "Means with 95 % bootstrap intervals over images; metrics in per cent. ▲ better, ▼ worse "
        "than exact SISE on the same items (sign-flip test, Holm over all settings and metrics, "
        "p < 0.05); unmarked: not decided. r is the mean correlation of a map's pixels with the "
        "exact map's.",
        "![curves](curves.png)",
        "![maps of the first image of each class](grid.jpg)",
    ]
    if (dataset, architecture) == (VOC, "resnet50"):
        parts += [
            "The paper's table 6, the same data and architecture; seconds on a Tesla T4:",
            markdown_table(
                ["μ", *(one.title for one in columns), "s/image"],
                [[f"{mu}", *(f"{figures[name]}" for name in (*METRICS, "seconds"))]
                 for mu, figures in MU.items()],
            ),
        ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _line(point: Point, exact: Point, columns: Sequence[Column]) -> list[str]:
    row = point.row
    share = f"{row.forwards / exact.row.forwards:.1%}"
    agreement = "" if point is exact else _bounded(point.agreement, 1.0, 3)
    cells = [_measured(row.cells[one.name], one) for one in columns]
    passes, seconds = f"{row.forwards:.0f}", f"{row.seconds:.2f}"
    return [point.setting.title, passes, share, agreement, *cells, seconds]


def _measured(cell: Cell, one: Column) -> str:
    mark = MARKS[cell.comparison.verdict] if cell.comparison else ""
    return f"{_bounded(cell.estimate, one.scale, 1)} {mark}".strip()


def _bounded(estimate: Estimate, scale: float, digits: int) -> str:
    edges = (estimate.mean * scale, estimate.low * scale, estimate.high * scale)
    return bounded(*edges, digits)


def numbers(points: Sequence[Point]) -> pd.DataFrame:
    """A row per setting and measure, in [0, 1]."""
    return pd.DataFrame(
        {
            "setting": point.setting.spec.text,
            "sweep": point.setting.sweep,
            "value": point.setting.value,
            "forwards": point.row.forwards,
            "measure": name,
            "mean": estimate.mean,
            "low": estimate.low,
            "high": estimate.high,
            "items": estimate.items,
            "p_corrected": comparison.corrected if comparison else None,
        }
        for point in points
        for name, estimate, comparison in _measures(point)
    )


def _measures(point: Point) -> Iterator[tuple[str, Estimate, Comparison | None]]:
    yield AGREEMENT.name, point.agreement, None
    for name in METRICS:
        cell = point.row.cells[name]
        yield name, cell.estimate, cell.comparison


def draw(points: Sequence[Point], path: Path) -> None:
    """Each measure against passes, a line per sweep, exact SISE as a band: a PNG."""
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 5.6), layout="constrained")
        panels = figure.subplots(2, 3)
        for panel, one in zip(panels.flat, (AGREEMENT, *map(column, METRICS)), strict=True):
            _panel(panel, points, one)
        panels.flat[0].legend(frameon=False)
        figure.savefig(path, format="png", dpi=150)


def _panel(panel: Axes, points: Sequence[Point], one: Column) -> None:
    def of(point: Point) -> Estimate:
        return point.agreement if one is AGREEMENT else point.row.cells[one.name].estimate

    exact = of(points[0])
    panel.axhspan(exact.low * one.scale, exact.high * one.scale, color="0.92", label="exact, 95 %")
    panel.axhline(exact.mean * one.scale, color="0.5", linewidth=1)
    for sweep, colour in COLOURS.items():
        line = sorted(
            (point for point in points if point.setting.sweep in (sweep, "exact")),
            key=lambda point: point.row.forwards,
        )
        passes = [point.row.forwards for point in line]
        panel.plot(
            passes, [of(point).mean * one.scale for point in line], "o-",
            color=colour, markersize=4, label=LABELS[sweep],
        )  # fmt: skip
        panel.fill_between(
            passes, [of(point).low * one.scale for point in line],
            [of(point).high * one.scale for point in line], color=colour, alpha=0.12, linewidth=0,
        )  # fmt: skip
    panel.set_xscale("log")
    panel.set_title(f"{one.title} {ARROWS[one.better]}{' (%)' if one.percent else ''}", fontsize=10)
    panel.set_xlabel("forward passes an image")
