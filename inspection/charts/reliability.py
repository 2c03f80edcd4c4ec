"""Whether the model is right as often as it is sure."""

from matplotlib.axes import Axes

from inspection.charts.drawing import Drawing, percent
from inspection.charts.sheet import NARROW, Box, Sheet, sheet
from inspection.charts.themed import COLOUR
from inspection.quality.confidence import Bin, Reliability
from inspection.words import decimal, plural, say, word

HEIGHT = 480.0
LARGEST = 900.0
"""Area of the fullest bin's point, in square units; others in proportion to their patches."""

_SMALLEST = 12.0
_ECE = "ECE (expected calibration error) {}"
_TITLE = word("Reliability: how often the model is right when it is so sure")


def reliability(curve: Reliability, name: str = "reliability") -> Drawing:
    """A point per bin with patches: mean confidence against the share that is right, its area
    in proportion to its patches (but never too small to see); on the diagonal both are equal."""
    known = [part for part in curve.bins if part.confidence is not None]
    known = [part for part in known if part.accuracy is not None]
    summary = _summary(known, curve.ece)
    notes = "" if curve.ece is None else _ECE.format(decimal(curve.ece, 3))
    with sheet(name, NARROW, HEIGHT) as paper:
        axes = paper.axes(Box(left=76, right=20, top=16, bottom=52))
        _draw_frame(axes)
        if known:
            _draw_points(paper, axes, known)
        svg = paper.svg(say(_TITLE), summary)
    head = (say("Confidence"), say("Patches"), say("Mean confidence"), say("Right"))
    rows = tuple(
        (
            f"{100 * part.low:.0f}–{100 * part.high:.0f} %",
            str(part.patches),
            percent(part.confidence),
            percent(part.accuracy),
        )
        for part in curve.bins
    )
    return Drawing(name, say(_TITLE), summary, svg, head, rows, notes)


def _summary(known: list[Bin], ece: float | None) -> str:
    if ece is None or not known:
        return say("No patch with known truth.")
    patches = sum(part.patches for part in known)
    gap = sum(part.patches * ((part.confidence or 0) - (part.accuracy or 0)) for part in known)
    text = plural(
        patches,
        "Over {n} patch with known truth, confidence is off by {ece} on average.",
        "Over {n} patches with known truth, confidence is off by {ece} on average.",
        ece=percent(ece),
    )
    if abs(gap) / patches < 0.01:
        return text
    side = say("The model is overconfident.") if gap > 0 else say("The model is underconfident.")
    return f"{text} {side}"


def _draw_frame(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="both")
    ticks = [index / 5 for index in range(6)]
    words = [f"{100 * tick:.0f} %" for tick in ticks]
    axes.set_xticks(ticks, words)
    axes.set_yticks(ticks, words)
    axes.set_xlabel(say("Confidence, mean of the bin"))
    axes.set_ylabel(say("Right"))
    axes.plot([0, 1], [0, 1], color=COLOUR["muted"], linewidth=1.25, dashes=(4, 3))


def _draw_points(paper: Sheet, axes: Axes, known: list[Bin]) -> None:
    fullest = max(part.patches for part in known)
    confidences = [part.confidence or 0.0 for part in known]
    accuracies = [part.accuracy or 0.0 for part in known]
    axes.plot(confidences, accuracies, color=COLOUR["k1"], linewidth=1, alpha=0.5)
    for part, x, y in zip(known, confidences, accuracies, strict=True):
        count = plural(part.patches, "{n} patch", "{n} patches")
        told = say(
            "{count}: confidence {sure}, right {right}",
            count=count,
            sure=percent(x),
            right=percent(y),
        )
        url = paper.mark(told)
        size = max(_SMALLEST, LARGEST * part.patches / fullest)
        paper.scatter(axes, [(x, y, url)], "k1", size=size, alpha=0.75, edge=1)
