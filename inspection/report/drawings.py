"""The report's charts."""

from collections.abc import Sequence
from typing import Any

from inspection.charts.confidence import confidence
from inspection.charts.control import control
from inspection.charts.drawing import Drawing
from inspection.charts.pareto import ClassBar, pareto
from inspection.charts.reliability import reliability
from inspection.pipeline.settings import By
from inspection.quality.figures import Figures
from inspection.report.model import ClassCount


def draw(
    figures: Figures, counts: Sequence[ClassCount], strips: Sequence[Any], by: By
) -> tuple[Drawing, ...]:
    """The Pareto, the confidence, the control chart, and the reliability where truth is known.

    A point of the control chart that stands for a strip leads to "#strip-N", its place in the
    report from 0.
    """
    bars = [
        ClassBar(count.mark.shown, count.mark.symbol, count.mark.style, count.patches, count.strips)
        for count in counts
    ]
    links = {strip.strip_id: f"#strip-{place}" for place, strip in enumerate(strips)}
    drawings = [
        pareto(bars),
        confidence(figures.confidence, figures.reference, figures.drift, figures.no_drift),
        control(figures.chart, links if by == "strip" else {}, by),
    ]
    if figures.truth is not None:
        drawings.append(reliability(figures.truth.reliability))
    return tuple(drawings)
