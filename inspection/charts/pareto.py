"""Which classes make up the flagged patches, the most frequent first."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from matplotlib.ticker import MaxNLocator

from inspection.charts.drawing import Drawing, listed, percent, plain, shortened
from inspection.charts.sheet import NARROW, WIDE, Box, Sheet, percent_axis, sheet, write
from inspection.charts.themed import COLOUR
from inspection.words import plural, say, word

HEIGHT = 320.0
STYLES = 6
FEW = 5  # classes that fit into half a page
_LETTER = 7.0
_HEAD = (word("Class"), word("Patches"), word("Strips"), word("Share"), word("Cumulative"))
_TITLE = word("Flagged patches by class")


@dataclass(frozen=True)
class ClassBar:
    """A class: its `symbol` and `style` (colour and shape, 1 to 6) as elsewhere on the page,
    and how many patches indicate it, on how many strips."""

    name: str
    symbol: str
    style: int
    patches: int
    strips: int


def pareto(bars: Sequence[ClassBar], name: str = "pareto") -> Drawing:
    """Bars of patches per class with the cumulative share over them; equal ones keep their order.

    Both axes have one scale: the total is 100 %.
    """
    ordered = sorted(bars, key=lambda bar: -bar.patches)
    running = list(accumulate(bar.patches for bar in ordered))
    total = running[-1] if running else 0
    shares = [patches / total if total else 0.0 for patches in running]
    summary = _summary(ordered, total)
    width = NARROW if len(ordered) <= FEW else WIDE
    with sheet(name, width, HEIGHT) as paper:
        if total:
            _draw(paper, ordered, shares, total)
        else:
            paper.say(say("No patch is flagged"))
        svg = paper.svg(say(_TITLE), summary)
    rows = tuple(
        (
            plain(bar.name),
            str(bar.patches),
            str(bar.strips),
            percent(bar.patches / total if total else None),
            percent(share if total else None),
        )
        for bar, share in zip(ordered, shares, strict=True)
    )
    head = tuple(map(say, _HEAD))
    return Drawing(name, say(_TITLE), summary, svg, head, rows)


def _summary(ordered: Sequence[ClassBar], total: int) -> str:
    if not total:
        return say("No patch is flagged.")
    shares = [
        f"{shortened(plain(bar.name), 60)}: {bar.patches} ({percent(bar.patches / total)})"
        for bar in ordered
        if bar.patches
    ]
    count = plural(total, "{n} flagged patch", "{n} flagged patches")
    return f"{count}: {listed(shares)}."


def _draw(paper: Sheet, ordered: Sequence[ClassBar], shares: Sequence[float], total: int) -> None:
    places = range(len(ordered))
    axes = paper.axes(Box(left=72, right=64, bottom=52))
    axes.set_xlim(-0.5, len(ordered) - 0.5)
    axes.set_ylim(0, total * 1.08)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.set_ylabel(say("Patches"))
    room = (paper.width - 128) / len(ordered) / _LETTER
    for place, bar in zip(places, ordered, strict=True):
        colour = COLOUR[f"k{(bar.style - 1) % STYLES + 1}"]
        (drawn,) = axes.bar([place], [bar.patches], width=0.56, color=colour)
        on = plural(bar.strips, "{patches} on {n} strip", "{patches} on {n} strips", patches="{}")
        patches = plural(bar.patches, "{n} patch", "{n} patches")
        drawn.set_url(paper.mark(f"{bar.name}: {on.format(patches)}"))
        below = on.format(bar.patches)
        shown = below if len(below) <= room else str(bar.patches)
        write(axes, shown, (place, 0), (0, -42), ("data", "axes fraction"), ha="center")
    most = max(4, int(room) - 4)
    labels = [paper.text(f"{bar.symbol} {shortened(bar.name, most)}") for bar in ordered]
    axes.set_xticks(list(places), labels, color=COLOUR["ink"])
    cumulative = axes.twinx()
    percent_axis(cumulative, 1.08, say("Cumulative share"))
    cumulative.grid(visible=False)
    cumulative.plot(
        list(places), shares, color=COLOUR["ink"], marker="o", markersize=6,
        markerfacecolor=COLOUR["card"], markeredgewidth=1.5, linewidth=1.25,
    )  # fmt: skip
