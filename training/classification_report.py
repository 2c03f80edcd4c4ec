"""Results for people: a table as text, and the confusion matrix as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from severstal_prep.files import replacing
from sise.statistics import Interval
from training import paper_results
from training.calibration import Floats
from training.evaluate import ClassResult, Evaluation
from training.judgement import Judgement
from training.judgement_text import in_words

PALETTE = "cividis"
DOTS_PER_INCH = 130


@dataclass(frozen=True)
class ClassificationReport:
    """An evaluation with what it is of: a title, and whether the paper had the same data; and how
    far it can be acted on, if that was asked."""

    title: str
    evaluation: Evaluation
    beside_paper: bool
    judgement: Judgement | None = None


def as_text(report: ClassificationReport) -> str:
    """The results as a table of plain text, some 80 columns wide."""
    results = report.evaluation
    lines = [report.title, ""]
    width = _width(results)
    lines.append(f"{'class':<{width}}{'crops':>7}{'recall':>9}{'95 %':>15}{'precision':>11}")
    if report.judgement is not None:
        lines[-1] += f"{'ECE':>8}{'95 %':>15}"
    if report.beside_paper:
        lines[-1] += f"{'paper recall':>14}"
    for class_id, result in enumerate(results.classes):
        line = _class_line(result, width)
        if report.judgement is not None:
            error = report.judgement.calibration.classes[result.name]
            line += f"{error.ece:>8.3f}{_interval(error.interval):>15}"
        if report.beside_paper:
            line += f"{paper_results.RECALL[class_id]:>14.3f}"
        lines.append(line)
    lines += [
        "",
        *_summary(report),
        *(() if report.judgement is None else in_words(report.judgement)),
        "",
        "confusion, rows true, columns predicted, each row sums to 1",
    ]
    lines += _matrix_lines(results)
    return "\n".join(lines)


def _width(results: Evaluation) -> int:
    """Of the column of class names."""
    return max(10, *(len(result.name) + 2 for result in results.classes))


def _class_line(result: ClassResult, width: int) -> str:
    return (
        f"{result.name:<{width}}{result.crops:>7}{_rate(result.recall):>9}"
        f"{_interval(result.recall_interval):>15}{_rate(result.precision):>11}"
    )


def _summary(report: ClassificationReport) -> list[str]:
    results = report.evaluation
    rows = [
        ("top-1", results.top1, results.top1_interval, paper_results.TOP1),
        ("top-3", results.top3, None, paper_results.TOP3),
        (
            "macro recall",
            results.macro_recall,
            results.macro_recall_interval,
            paper_results.MACRO_RECALL,
        ),
    ]
    lines = []
    for name, value, interval, papers in rows:
        line = f"{name:<14}{value:.3f}"
        line += f"  {_interval(interval)}" if interval else ""
        line += f"  (paper {papers:.3f})" if report.beside_paper else ""
        lines.append(line)
    largest = max(results.classes, key=lambda result: result.crops)
    occurring = sum(result.crops > 0 for result in results.classes)
    lines.append(
        f"{'majority':<14}{results.majority:.3f}  top-1 of always saying {largest.name}; "
        f"macro recall {1 / occurring:.3f}"
    )
    lines.append(f"{'ECE':<14}{results.ece:.3f}{_calibration(report.judgement)}")
    return lines


def _calibration(judgement: Judgement | None) -> str:
    if judgement is None:
        return ""
    error = judgement.calibration.confidence
    return (
        f"  {_interval(error.interval)}; by chance alone up to {error.by_chance:.3f}; "
        f"classwise {judgement.calibration.classwise_ece:.3f}"
    )


def _matrix_lines(results: Evaluation) -> list[str]:
    names = [result.name for result in results.classes]
    width = _width(results)
    lines = [" " * width + "".join(f"{name:>{width}}" for name in names)]
    for name, row in zip(names, results.normalised(), strict=True):
        shares = (f"{'-' if np.isnan(share) else f'{share:.3f}':>{width}}" for share in row)
        lines.append(f"{name:<{width}}" + "".join(shares))
    return lines


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f}-{interval[1]:.3f}"


def write_confusion(path: Path, report: ClassificationReport) -> None:
    """Draw the normalised confusion matrix, beside the paper's where the data is the same."""
    results = report.evaluation
    rows = [f"{result.name}\n({result.crops})" for result in results.classes]
    columns = [result.name for result in results.classes]
    panels = 2 if report.beside_paper else 1
    figure = Figure(figsize=(5.4 * panels, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw(axes[0], results.normalised(), rows, columns, report.title)
    if report.beside_paper:
        papers = np.array(paper_results.CONFUSION)
        _draw(axes[1], papers, columns, columns, "the paper, table 5")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)


def _draw(
    axes: Axes, shares: Floats, rows: Sequence[str], columns: Sequence[str], title: str
) -> None:
    axes.imshow(np.nan_to_num(shares), vmin=0, vmax=1, cmap=PALETTE)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class (crops)")
    axes.set_title(title, fontsize=10)
    for (row, column), share in np.ndenumerate(shares):
        text = "-" if np.isnan(share) else f"{share:.2f}"
        ink = "black" if share > 0.55 else "white"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=10)
