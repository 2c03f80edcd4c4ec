"""How sure the model is of its patches, beside how sure it was in training."""

from collections.abc import Sequence

import numpy as np

from inspection.charts.drawing import Drawing, counted, percent, plain
from inspection.charts.sheet import NARROW, Box, Sheet, percent_axis, sheet, write
from inspection.charts.themed import COLOUR
from inspection.quality.confidence import Bin
from inspection.quality.drift import Drift, Reference, share_up_to

HEIGHT = 300.0
_TITLE = "Confidence of the model"


def confidence(
    bins: Sequence[Bin],
    reference: Reference | None,
    moved: Drift | None,
    why_no_drift: str = "",
    name: str = "confidence",
) -> Drawing:
    """The share of patches per bin of confidence; the reference's, where there is one, is an
    outline over the same bins. `why_no_drift` is said where `moved` is None."""
    patches = sum(part.patches for part in bins)
    shares = [part.patches / patches if patches else 0.0 for part in bins]
    expected = None if reference is None else reference_shares(reference, bins)
    summary = _summary(bins, patches, moved, why_no_drift)
    with sheet(name, NARROW, HEIGHT) as paper:
        if patches:
            _draw(paper, bins, shares, expected, reference)
        else:
            paper.say("No patch shows steel")
        svg = paper.svg(_TITLE, summary)
    head: tuple[str, ...] = ("Confidence", "Patches", "Share")
    rows = [
        (f"{100 * part.low:.0f}–{100 * part.high:.0f} %", str(part.patches), percent(share))
        for part, share in zip(bins, shares, strict=True)
    ]
    if expected is None or reference is None:
        return Drawing(name, _TITLE, summary, svg, head, tuple(rows))
    with_reference = tuple(
        (*row, percent(share)) for row, share in zip(rows, expected, strict=True)
    )
    return Drawing(name, _TITLE, summary, svg, (*head, "In training"), with_reference)


def reference_shares(reference: Reference, bins: Sequence[Bin]) -> tuple[float, ...]:
    """The share of the reference's crops in each bin, (low, high], 0 in the first too.

    Linear between quantiles; equal quantiles are a step, which belongs to the bin it ends.
    """
    below = share_up_to(np.array([part.high for part in bins[:-1]]), reference)
    return tuple(np.diff(below, prepend=0.0, append=1.0).tolist())


def _summary(bins: Sequence[Bin], patches: int, moved: Drift | None, why_no_drift: str) -> str:
    if not patches:
        return "No patch shows steel."
    sure = sum(part.patches for part in bins if part.low >= 0.9 - 1e-9)
    text = (
        f"{counted(patches, 'patch', 'patches')}, {percent(sure / patches)} of them with a "
        "confidence above 90 %."
    )
    if moved is None:
        reason = plain(why_no_drift) or "there is no reference"
        return f"{text} Not compared with training: {reason}."
    level = {"stable": "stable", "moderate": "a moderate drift", "large": "a large drift"}
    return (
        f"{text} Against training: {level[moved.level]} (PSI {moved.psi:.2f}, KS {moved.ks:.2f})."
    )


def _draw(
    paper: Sheet,
    bins: Sequence[Bin],
    shares: Sequence[float],
    expected: Sequence[float] | None,
    reference: Reference | None,
) -> None:
    axes = paper.axes(Box(top=34))
    edges = [bins[0].low, *(part.high for part in bins)]
    top = min(1.08 * max([*shares, *(expected or ())]), 1.04)
    percent_axis(axes, top, "Share of patches")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("Confidence: probability of the most probable class")
    ticks = [index / 10 for index in range(0, 11, 2)]
    axes.set_xticks(ticks, [f"{100 * tick:.0f} %" for tick in ticks])
    for part, share in zip(bins, shares, strict=True):
        gap = 0.06 * (part.high - part.low)
        (bar,) = axes.bar(
            [part.low + gap], [share], width=part.high - part.low - 2 * gap, align="edge",
            color=COLOUR["k1"],
        )  # fmt: skip
        count = counted(part.patches, "patch", "patches")
        bar.set_url(
            paper.mark(
                f"{100 * part.low:.0f} to {100 * part.high:.0f} %: {count}, {percent(share)}"
            )
        )
    key = [("this batch", "k1")]
    if expected is not None and reference is not None:
        axes.stairs(expected, edges, color=COLOUR["ink"], linewidth=1.5)
        crops = counted(reference.crops, "crop")
        key.append((f"training, {crops}", "ink"))
    for number, (words, colour) in enumerate(key):
        write(axes, words, (0, 1), (10 + 110 * number, 12), colour=colour)
