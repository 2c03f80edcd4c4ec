"""Pictures of what decisions cost, by threshold, and of error against coverage."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from severstal_prep.files import replacing
from training.calibration import Floats
from training.classification_report import DOTS_PER_INCH
from training.decision import CURVE, DEFAULT_THRESHOLD, PER, Decision
from training.judgement import Judgement

COSTS_PICTURE = "costs.png"
RISK_PICTURE = "risk-coverage.png"

LINE, CHOSEN, OTHER = "#0b5fa5", "#9a4a00", "#55626e"
PANELS_IN_A_ROW = 3
PANEL = (4.2, 3.4)
TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)


def draw(folder: Path, judgement: Judgement | None) -> None:
    """Write a judgement's pictures into `folder`, made if need be; what it lacks is removed."""
    if judgement is None or judgement.decision is None:
        (folder / COSTS_PICTURE).unlink(missing_ok=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_costs(folder / COSTS_PICTURE, judgement.decision)
    if judgement is None:
        (folder / RISK_PICTURE).unlink(missing_ok=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_risk_coverage(folder / RISK_PICTURE, judgement)


def write_costs(path: Path, decision: Decision) -> None:
    """Draw the cost of each class's threshold, the others as chosen, with its choice and 0.5."""
    panels = len(decision.thresholds)
    columns = min(panels, PANELS_IN_A_ROW)
    rows = -(-panels // columns)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (name, cost) in zip(axes, decision.curves.items(), strict=False):
        _draw_cost(panel, name, np.array(cost), decision)
    for panel in axes[panels:]:
        panel.set_axis_off()
    figure.suptitle(
        f"expected cost per {PER} patches: {decision.cost:.4g} as chosen, {decision.default:.4g} "
        f"at {DEFAULT_THRESHOLD}; {decision.prevalence:.2%} with a defect",
        fontsize=10,
    )
    _write(figure, path)


def _draw_cost(panel: Axes, name: str, cost: Floats, decision: Decision) -> None:
    panel.plot(CURVE, cost, color=LINE, drawstyle="steps-mid")
    at_default = float(cost[np.abs(CURVE - DEFAULT_THRESHOLD).argmin()])
    marks = (
        (DEFAULT_THRESHOLD, at_default, OTHER, "s"),
        (decision.thresholds[name], decision.cost, CHOSEN, "o"),
    )
    for threshold, paid, colour, marker in marks:
        panel.plot([threshold], [paid], marker, color=colour, label=f"{threshold:.3g}: {paid:.4g}")
    panel.set_xscale("logit")
    panel.set_xlim(CURVE[0], CURVE[-1])
    panel.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    panel.minorticks_off()
    if cost.min() > 0 and decision.cost > 0:
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("{x:g}")
    panel.set_xlabel("threshold")
    panel.set_ylabel("cost")
    panel.set_title(name, fontsize=10, parse_math=False)
    panel.legend(fontsize=8)


def write_risk_coverage(path: Path, judgement: Judgement) -> None:
    """Draw the error of the crops that are accepted against their share, and where to stop."""
    curve, found = judgement.curve, judgement.alone
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    panel = figure.subplots()
    panel.step(curve.coverage, curve.risk, color=LINE, where="post")
    if judgement.risk is not None:
        target = judgement.risk
        panel.axhline(target, color=OTHER, linestyle="--", label=f"target {target:.3g}")
    if found is not None:
        share = found.wrong.share or 0.0
        label = (
            f"alone from {found.min_confidence:.3f} on: {found.coverage:.1%}, "
            f"{share:.2%} wrong (at most {found.bound:.2%})"
        )
        panel.errorbar(
            [found.coverage], [share], [[0.0], [found.bound - share]], fmt="o", capsize=4,
            color=CHOSEN, label=label,
        )  # fmt: skip
    panel.set_xlim(0, 1)
    panel.set_ylim(bottom=0)
    panel.set_xlabel("coverage: share of crops that the machine decides alone")
    panel.set_ylabel("risk: share of these that is wrong")
    panel.set_title(f"AURC {curve.aurc:.4f}, {len(curve.confidence)} crops", fontsize=10)
    if panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=8)
    _write(figure, path)


def _write(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)
