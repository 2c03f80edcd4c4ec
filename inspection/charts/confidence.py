"""How sure the model is of its patches, beside how sure it was in training."""

from collections.abc import Sequence

import numpy as np

from inspection.charts.drawing import Drawing, percent, plain
from inspection.charts.sheet import NARROW, Box, Sheet, percent_axis, sheet, write
from inspection.charts.themed import COLOUR
from inspection.quality.confidence import Bin
from inspection.quality.drift import NO_REFERENCE, Drift, Reference, share_up_to
from inspection.words import decimal, plural, say, word

HEIGHT = 300.0
_TITLE = word("Confidence of the model")


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
    notes = _notes(moved)
    with sheet(name, NARROW, HEIGHT) as paper:
        if patches:
            _draw(paper, bins, shares, expected, reference)
        else:
            paper.say(say("No patch shows steel"))
        svg = paper.svg(say(_TITLE), summary)
    head: tuple[str, ...] = (say("Confidence"), say("Patches"), say("Share"))
    rows = [
        (f"{100 * part.low:.0f}–{100 * part.high:.0f} %", str(part.patches), percent(share))
        for part, share in zip(bins, shares, strict=True)
    ]
    if expected is None or reference is None:
        return Drawing(name, say(_TITLE), summary, svg, head, tuple(rows), notes)
    with_reference = tuple(
        (*row, percent(share)) for row, share in zip(rows, expected, strict=True)
    )
    return Drawing(
        name, say(_TITLE), summary, svg, (*head, say("In training")), with_reference, notes
    )


def reference_shares(reference: Reference, bins: Sequence[Bin]) -> tuple[float, ...]:
    """The share of the reference's crops in each bin, (low, high], 0 in the first too.

    Linear between quantiles; equal quantiles are a step, which belongs to the bin it ends.
    """
    below = share_up_to(np.array([part.high for part in bins[:-1]]), reference)
    return tuple(np.diff(below, prepend=0.0, append=1.0).tolist())


def _summary(bins: Sequence[Bin], patches: int, moved: Drift | None, why_no_drift: str) -> str:
    if not patches:
        return say("No patch shows steel.")
    sure = sum(part.patches for part in bins if part.low >= 0.9 - 1e-9)
    text = plural(
        patches,
        "{n} patch, {share} of them with a confidence above 90 %.",
        "{n} patches, {share} of them with a confidence above 90 %.",
        share=percent(sure / patches),
    )
    if moved is None:
        reason = say(plain(why_no_drift) or NO_REFERENCE)
        return f"{text} {say('Not compared with training: {reason}.', reason=reason)}"
    return f"{text} {say(DRIFT_WORDS[moved.level])}"


DRIFT_WORDS = {
    "unknown": word("Too few strips to say whether the model is as sure as in training."),
    "stable": word("The model is as sure as in training."),
    "moderate": word("The model is not as sure as in training: a moderate drift."),
    "large": word("The model is not as sure as in training: a large drift."),
}
"""What each `Drift.level` means."""


def _notes(moved: Drift | None) -> str:
    if moved is None:
        return ""
    text = f"PSI {decimal(moved.psi, 2)}, KS {decimal(moved.ks, 2)}"
    if moved.noise is None:
        return text
    chance = say(
        "PSI of chance alone: below {psi} in 99 of 100 such batches", psi=decimal(moved.noise, 2)
    )
    return f"{text}. {chance}"


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
    percent_axis(axes, top, say("Share of patches"))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel(say("Confidence: probability of the most likely class"))
    ticks = [index / 10 for index in range(0, 11, 2)]
    axes.set_xticks(ticks, [percent(tick, 0) for tick in ticks])
    for part, share in zip(bins, shares, strict=True):
        gap = 0.06 * (part.high - part.low)
        (bar,) = axes.bar(
            [part.low + gap], [share], width=part.high - part.low - 2 * gap, align="edge",
            color=COLOUR["k1"],
        )  # fmt: skip
        count = plural(part.patches, "{n} patch", "{n} patches")
        span = say("{low} to {high} %", low=f"{100 * part.low:.0f}", high=f"{100 * part.high:.0f}")
        bar.set_url(paper.mark(f"{span}: {count}, {percent(share)}"))
    key = [(say("this batch"), "k1")]
    if expected is not None and reference is not None:
        axes.stairs(expected, edges, color=COLOUR["ink"], linewidth=1.5)
        crops = reference.crops
        key.append((plural(crops, "training, {n} crop", "training, {n} crops"), "ink"))
    for number, (words, colour) in enumerate(key):
        write(axes, words, (0, 1), (10 + 110 * number, 12), colour=colour)
