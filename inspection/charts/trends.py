"""Batches over time: rates, classes, and how far people and model agree.

All three charts have the same batches at the same places, and a line wherever the model, or its
settings, are not those of the batch before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from inspection.charts.drawing import Drawing, listed, percent, plain, shortened
from inspection.charts.sheet import (
    LEVELS,
    WIDE,
    Box,
    Sheet,
    percent_axis,
    sheet,
    write,
    write_level,
)
from inspection.charts.themed import COLOUR
from inspection.words import decimal, plural, say, word

MOST_CLASSES = 6

_RIGHT = LEVELS
_LEFT = 72.0
_LABEL = 150.0
_HEAD = (
    word("Batch"), word("Inspected"), word("Model"), word("Flagged"), word("Patches"), word("Rate"),
    word("Lower"), word("Upper"), word("Limits"),
)  # fmt: skip
_RATES, _CLASSES, _AGREEMENT = (
    word("Rate of flagged patches, batch by batch"),
    word("Classes among the flagged patches, batch by batch"),
    word("People and model, batch by batch"),
)

Layer = tuple[str, str, tuple[str, ...]]
"""What a layer of the stack is called, its colour, and the classes in it."""


@dataclass(frozen=True)
class Limits:
    """Where a batch's rate is expected, from the batches before it: Laney p′, shares of 1."""

    low: float
    centre: float
    high: float


@dataclass(frozen=True)
class Interval:
    """A share of 1 with its 95 % interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class BatchPoint:
    """A batch: its `name`, `when` it was inspected (a date as shown; `clock` the time of that day),
    the `model` that did it (with its settings), `href` to lead to; flagged of judged patches, and
    per class.

    `limits` is None where too few batches of the same model came before. Of `kappa`, `overkill`
    and `escapes` None is what people have not decided enough for.
    """

    name: str
    when: str
    model: str
    href: str
    flagged: int
    patches: int
    limits: Limits | None
    by_class: tuple[tuple[str, int], ...]
    kappa: float | None
    overkill: Interval | None
    escapes: Interval | None
    clock: str = ""

    @property
    def rate(self) -> float | None:
        """Share of flagged patches; None if none was judged."""
        return self.flagged / self.patches if self.patches else None

    @property
    def outside(self) -> bool:
        """Whether the rate lies beyond a limit."""
        rate, limits = self.rate, self.limits
        return rate is not None and limits is not None and not limits.low <= rate <= limits.high


def rates(points: Sequence[BatchPoint], name: str = "trend-rates") -> Drawing:
    """The rate of each batch against the limits that batches of the same model before it give."""
    outside = [point for point in points if point.outside]
    limited = sum(point.limits is not None for point in points)
    names = [f"{shortened(plain(p.name), 60)} ({percent(p.rate)})" for p in outside]
    verdict = (
        say("outside their limits: {names}", names=listed(names))
        if names
        else say("none is outside its limits")
    )
    if not limited:
        verdict = say("none has limits: they need 8 batches before, by the same model and settings")
    summary = f"{_batches(points)}; {verdict}. {_changes_said(points)}"
    with sheet(name, WIDE, 376) as paper:
        axes = paper.axes(Box(left=_LEFT, right=_RIGHT, top=50, bottom=56))
        _draw_rates(paper, axes, points)
        svg = paper.svg(say(_RATES), summary)
    rows = tuple(
        (
            plain(point.name), point.when, plain(point.model), str(point.flagged),
            str(point.patches), percent(point.rate),
            *((percent(point.limits.low), percent(point.limits.high)) if point.limits else "––"),
            say("outside") if point.outside else "",
        )
        for point in points
    )  # fmt: skip
    head = tuple(map(say, _HEAD))
    return Drawing(name, say(_RATES), summary, svg, head, rows)


def classes(
    points: Sequence[BatchPoint], styles: Mapping[str, int], name: str = "trend-classes"
) -> Drawing:
    """The share of each class among the flagged patches of each batch, stacked.

    `styles` numbers the classes' colours from 1 to 6. The most frequent six have their own, the
    others are one. Batches without flagged patches are gaps.
    """
    totals = dict[str, int]()
    for point in points:
        for label, number in point.by_class:
            totals[label] = totals.get(label, 0) + number
    order = sorted(totals, key=lambda label: -totals[label])
    shown, rest = order[:MOST_CLASSES], order[MOST_CLASSES:]
    whole = sum(totals.values())
    shares = [f"{shortened(plain(c), 60)} {percent(totals[c] / whole)}" for c in order if whole]
    over_all = (
        say("over all of them {shares}", shares=listed(shares))
        if shares
        else say("none has a flagged patch")
    )
    summary = f"{_batches(points)}; {over_all}. {_changes_said(points)}"
    layers: list[Layer] = [(plain(c), f"k{(styles.get(c, 1) - 1) % 6 + 1}", (c,)) for c in shown]
    if rest:
        layers.append((plural(len(rest), "{n} other", "{n} others"), "k0", tuple(rest)))
    with sheet(name, WIDE, 356) as paper:
        axes = paper.axes(Box(left=_LEFT, right=_RIGHT, top=74, bottom=56))
        _draw_classes(paper, axes, points, layers)
        svg = paper.svg(say(_CLASSES), summary)
    rows = tuple(
        (plain(point.name), *(str(dict(point.by_class).get(c, 0)) for c in order))
        for point in points
    )
    return Drawing(name, say(_CLASSES), summary, svg, (say("Batch"), *map(plain, order)), rows)


def agreement(points: Sequence[BatchPoint], name: str = "trend-agreement") -> Drawing:
    """Kappa, overkill and escapes of each batch, the latter with their 95 % intervals."""
    known = sum(point.kappa is not None for point in points)
    decided = sum(point.overkill is not None or point.escapes is not None for point in points)
    text = plural(
        len(points),
        "{decided} of {n} batch with decided patches, {known} with a kappa.",
        "{decided} of {n} batches with decided patches, {known} with a kappa.",
        decided=decided,
        known=known,
    )
    summary = f"{text} {say('Bars are 95 % intervals.')} {_changes_said(points)}"
    panels = (
        (word("Kappa"), 0, "k5"),
        (word("False alarms"), 1, "k2"),
        (word("Missed"), 2, "k4"),
    )
    with sheet(name, WIDE, 536) as paper:
        for words, number, colour in panels:
            top = 50 + 150 * number
            axes = paper.axes(Box(left=_LEFT, right=_RIGHT, top=top, bottom=536 - top - 126))
            _draw_panel(paper, axes, points, words, colour, last=number == 2)
        svg = paper.svg(say(_AGREEMENT), summary)
    rows = tuple(
        (
            plain(point.name),
            "–" if point.kappa is None else decimal(point.kappa, 2),
            _with_interval(point.overkill),
            _with_interval(point.escapes),
        )
        for point in points
    )
    head = (
        say("Batch"), say("Kappa"), say("False alarms (95 %)"),
        say("Missed, of those looked at (95 %)"),
    )  # fmt: skip
    return Drawing(name, say(_AGREEMENT), summary, svg, head, rows)


def _with_interval(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    low, high = percent(interval.low), percent(interval.high)
    return f"{percent(interval.share)} ({say('{low} to {high}', low=low, high=high)})"


def _changes(points: Sequence[BatchPoint]) -> list[int]:
    """The places, from 0, of batches whose model is not that of the batch before."""
    return [i for i in range(1, len(points)) if points[i].model != points[i - 1].model]


def _changes_said(points: Sequence[BatchPoint]) -> str:
    changes = [points[place] for place in _changes(points)]
    if not changes:
        return say("All by {model}.", model=plain(points[0].model)) if points else ""
    said = [
        say("{model} from {batch}", model=plain(p.model), batch=shortened(plain(p.name), 60))
        for p in changes
    ]
    first = plain(points[0].model)
    return say("Model: first {first}, {later}.", first=first, later=listed(said, 5))


def _batches(points: Sequence[BatchPoint]) -> str:
    return plural(len(points), "{n} batch", "{n} batches")


def _frame(
    paper: Sheet, axes: Axes, points: Sequence[BatchPoint], dates: bool = True, names: bool = True
) -> None:
    """Batches from left to right, dates below, and where the model changes."""
    axes.set_xlim(0.5, max(len(points), 1) + 0.5)
    step = max(1, -(-len(points) // 8))
    places = range(1, len(points) + 1, step)
    one_day = len(points) > 1 and len({point.when for point in points}) == 1
    words = [points[place - 1].clock if one_day else points[place - 1].when for place in places]
    axes.set_xticks(list(places), words if dates else [""] * len(words))
    if dates and one_day:
        axes.set_xlabel(say("Batches by time of inspection on {day} (UTC)", day=points[0].when))
    elif dates:
        axes.set_xlabel(say("Batches by date of inspection"))
    unit = (WIDE - _LEFT - _RIGHT) / max(len(points), 1)
    free = [0.0, 0.0]  # up to where each of two rows of labels is taken
    for place in (0, *_changes(points)):
        if place:
            axes.axvline(place + 0.5, color=COLOUR["ink"], linewidth=1, dashes=(2, 3), zorder=2.6)
        row = next((row for row in (0, 1) if place * unit >= free[row]), None)
        if names and points and row is not None:
            free[row] = place * unit + _LABEL
            key = paper.text(shortened(points[place].model, 30))
            write(axes, key, (place + 0.5, 1), (4, 8 + 15 * row), ("data", "axes fraction"))


def _draw_rates(paper: Sheet, axes: Axes, points: Sequence[BatchPoint]) -> None:
    drawn = [(x, p, p.rate) for x, p in enumerate(points, 1) if p.rate is not None]
    tops = [point.limits.high for point in points if point.limits is not None]
    highest = max([0.01, *(rate for _, _, rate in drawn), *tops])
    percent_axis(axes, min(1.08 * highest, 1.04), say("Flagged patches"))
    _frame(paper, axes, points)
    for runs in _runs(points):
        edges = [runs[0] - 0.5 + i for i in range(len(runs) + 1)]
        known = [limits for x in runs if (limits := points[x - 1].limits) is not None]
        for values, colour, width in (
            ([limits.low for limits in known], "rework", 1.25),
            ([limits.high for limits in known], "rework", 1.25),
            ([limits.centre for limits in known], "muted", 1.0),
        ):
            axes.stairs(values, edges, baseline=None, color=COLOUR[colour], linewidth=width)
    last = points[-1].limits if points else None
    if last is not None:
        write_level(axes, say("mean"), last.centre, "muted")
        write_level(axes, say("upper"), last.high, "rework")
    for _, stretch in groupby(drawn, lambda place: place[1].model):
        own = [(x, rate) for x, _, rate in stretch]
        axes.plot(*zip(*own, strict=True), color=COLOUR["link"], alpha=0.35, linewidth=1)
    for outside, colour, marker, size in ((False, "link", "o", 36), (True, "scrap", "D", 64)):
        marks = [
            (x, rate, paper.mark(_told(p, rate), p.href))
            for x, p, rate in drawn
            if p.outside == outside
        ]
        paper.scatter(axes, marks, colour, marker, size=size, edge=1.2)


def _told(point: BatchPoint, rate: float) -> str:
    side = f", {say('outside its limits')}" if point.outside else ""
    flagged = say("{flagged} of {patches} flagged", flagged=point.flagged, patches=point.patches)
    return f"{point.name}, {point.when}: {flagged}, {percent(rate)}{side}"


def _runs(points: Sequence[BatchPoint]) -> list[list[int]]:
    """The places, from 1, of neighbours of one model that all have limits."""
    alike = groupby(enumerate(points, 1), lambda p: (p[1].model, p[1].limits is not None))
    return [[place for place, _ in run] for (_, limited), run in alike if limited]


def _draw_classes(
    paper: Sheet,
    axes: Axes,
    points: Sequence[BatchPoint],
    layers: Sequence[Layer],
) -> None:
    percent_axis(axes, 1.0, say("Share of flagged patches"))
    _frame(paper, axes, points)
    edges = [index + 0.5 for index in range(len(points) + 1)]
    below = [0.0] * len(points)
    column = (WIDE - _LEFT - _RIGHT) / max(len(layers), 1)
    for number, (label, colour, members) in enumerate(layers):
        above = [
            under
            + (sum(dict(p.by_class).get(c, 0) for c in members) / p.flagged if p.flagged else 0)
            for p, under in zip(points, below, strict=True)
        ]
        axes.stairs(above, edges, baseline=below, fill=True, color=COLOUR[colour], linewidth=0)
        below = above
        write(axes, "■", (0, 1), (column * number, 48), colour=colour)
        key = paper.text(shortened(label, max(4, int(column / 8) - 3)))
        write(axes, key, (0, 1), (column * number + 16, 48), colour="ink")
    if len(points) <= 60:
        for edge in edges[1:-1]:
            axes.axvline(edge, color=COLOUR["card"], linewidth=2, zorder=2.5)


def _draw_panel(
    paper: Sheet, axes: Axes, points: Sequence[BatchPoint], words: str, colour: str, last: bool
) -> None:
    values: list[tuple[int, float, Interval | None]] = []
    for x, point in enumerate(points, 1):
        if words == "Kappa":
            if point.kappa is not None:
                values.append((x, point.kappa, None))
            continue
        interval = point.overkill if words == "False alarms" else point.escapes
        if interval is not None:
            values.append((x, interval.share, interval))
    if words == "Kappa":
        lowest = min([0.0, *(value for _, value, _ in values)])
        axes.set_ylim(lowest, 1.04)
        axes.set_yticks([0, 0.5, 1], ["0", decimal(0.5, 1), "1"])
    else:
        highest = max([0.04, *(i.high for _, _, i in values if i is not None)])
        percent_axis(axes, min(1.08 * highest, 1.04), "")
        axes.set_yticks(axes.get_yticks()[::2])
    axes.set_ylabel(say(words))
    _frame(paper, axes, points, dates=last, names=words == "Kappa")
    ends = [(x, end) for x, _, i in values if i is not None for end in (i.low, i.high)]
    if ends:
        path = Path(ends, [Path.MOVETO, Path.LINETO] * (len(ends) // 2))
        axes.add_patch(
            PathPatch(path, fill=False, edgecolor=COLOUR[colour], linewidth=1.5, alpha=0.6)
        )
    marks = []
    for x, value, interval in values:
        shown = decimal(value, 2) if interval is None else _with_interval(interval)
        own = points[x - 1]
        text = f"{own.name}: {say(words)} {shown}"
        marks.append((x, value, paper.mark(text, own.href)))
    paper.scatter(axes, marks, colour, size=36, edge=1.2)
    if not values:
        axes.text(
            0.5, 0.5, say("nothing decided yet"), transform=axes.transAxes, color=COLOUR["muted"],
            ha="center", va="center",
        )  # fmt: skip
