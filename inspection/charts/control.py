"""The rate of flagged patches on a Laney p′ chart."""

from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from inspection.charts.drawing import Drawing, listed, percent, plain, shortened
from inspection.charts.sheet import (
    LEVELS,
    WIDE,
    Box,
    Sheet,
    Side,
    percent_axis,
    sheet,
    write,
    write_level,
)
from inspection.charts.themed import COLOUR
from inspection.pipeline.settings import By
from inspection.quality.laney import FEWEST, Chart, Point, Subgroup
from inspection.words import decimal, number, plural, say, word

HEIGHT = 340.0
MOST_EARLIER = 60
MOST_MARKS = 400
"""Points above which they are dots of one path, and only those outside, the first 100 of them,
have names to point at: the drawing stays at about 100 KB at most."""

_MOST_NAMES = 3
_MOST_OUTSIDE = 100
_BOX = Box(left=72, right=LEVELS, top=22, bottom=48)
_MANY = 4000
_TITLES = {
    "strip": word("Rate of flagged patches, strip by strip"),
    "coil": word("Rate of flagged patches, coil by coil"),
    "side": word("Rate of flagged patches by side of the coil"),
    "shift": word("Rate of flagged patches, shift by shift"),
}
_HEADS = {
    "strip": word("Strip"), "coil": word("Coil"), "side": word("Side"), "shift": word("Shift"),
}  # fmt: skip
_ONE = {
    "strip": word("{n} strip"), "coil": word("{n} coil"), "side": word("{n} side"),
    "shift": word("{n} shift"),
}  # fmt: skip
_MANY_OF = {
    "strip": word("{n} strips"), "coil": word("{n} coils"), "side": word("{n} sides"),
    "shift": word("{n} shifts"),
}  # fmt: skip
_COLUMNS = (
    word("Flagged"), word("Patches"), word("Rate"), word("Lower"), word("Upper"), word("Limits"),
)  # fmt: skip


def control(
    chart: Chart, links: Mapping[str, str], by: By = "strip", name: str = "control"
) -> Drawing:
    """The chart, a point per subgroup in order; earlier subgroups stand faint on the left.

    `links` leads from a subgroup's name to a fragment of the page ("#strip-3").
    """
    title = say(_TITLES[by])
    summary = _summary(chart, by)
    with sheet(name, WIDE, HEIGHT) as paper:
        if chart.points:
            _draw(paper, chart, links, by)
        else:
            paper.say(say("None was judged"))
        svg = paper.svg(title, summary)
    head = (say(_HEADS[by]), *map(say, _COLUMNS))
    return Drawing(name, title, summary, svg, head, tuple(map(_row, chart.points)), _notes(chart))


def _row(point: Point) -> tuple[str, ...]:
    own = point.subgroup
    return (
        plain(own.name),
        str(own.flagged),
        str(own.patches),
        percent(own.rate),
        percent(point.low),
        percent(point.high),
        "–" if point.low is None else say("outside") if point.outside else say("inside"),
    )


def _summary(chart: Chart, by: By) -> str:
    count = say(_ONE[by] if len(chart.points) == 1 else _MANY_OF[by], n=number(len(chart.points)))
    if chart.baseline is None:
        return f"{count}. {_why_no_limits(chart)}"
    known = chart.baseline
    text = say(
        "{count} against {earlier} earlier with a mean rate of {rate}",
        count=count,
        earlier=number(known.subgroups),
        rate=percent(known.centre),
    )
    outside = [
        f"{shortened(plain(own.name), 60)} ({percent(own.rate)}, {say(_side(point))})"
        for point in chart.points
        for own in [point.subgroup]
        if point.outside
    ]
    verdict = (
        say("{n} outside the limits: {names}", n=len(outside), names=listed(outside))
        if outside
        else say("none is outside the limits")
    )
    return f"{text}; {verdict}."


def _why_no_limits(chart: Chart) -> str:
    """`Chart.why_no_limits` in the language of the page."""
    if len(chart.earlier) >= FEWEST:
        return say("No limits: of the earlier ones, all patches were flagged, or none.")
    return plural(
        len(chart.earlier),
        "No limits: there is {n} earlier one, and they need {fewest}.",
        "No limits: there are {n} earlier ones, and they need {fewest}.",
        fewest=FEWEST,
    )


def _notes(chart: Chart) -> str:
    return "" if chart.baseline is None else f"σ_z {decimal(chart.baseline.sigma_z, 2)}"


def _side(point: Point) -> str:
    above = point.high is not None and point.subgroup.rate > point.high
    return word("above") if above else word("below")


def _draw(paper: Sheet, chart: Chart, links: Mapping[str, str], by: By) -> None:
    axes = paper.axes(_BOX)
    earlier = chart.earlier[-MOST_EARLIER:]
    first, last = -len(earlier) + 0.5, len(chart.points) + 0.5
    axes.set_xlim(first - 0.01 * (last - first), last)
    highest = max(
        *(point.high or 0.0 for point in chart.points),
        *(point.subgroup.rate for point in chart.points),
        *(subgroup.rate for subgroup in earlier),
        0.01,
    )
    percent_axis(axes, min(1.08 * highest, 1.04), say("Flagged patches"))
    axes.set_xlabel(say("{what}, in order", what=say(_HEADS[by])))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    axes.set_xticks([place for place in axes.get_xticks() if 1 <= place <= len(chart.points)])
    if earlier:
        _draw_earlier(axes, earlier)
    if chart.baseline is not None:
        _draw_limits(axes, chart.points, first, last, chart.baseline.centre)
    _draw_points(paper, axes, chart.points, links)


def _draw_earlier(axes: Axes, earlier: Sequence[Subgroup]) -> None:
    places = range(1 - len(earlier), 1)
    axes.plot(
        list(places), [subgroup.rate for subgroup in earlier],
        color=COLOUR["muted"], alpha=0.45, linewidth=1, marker="o", markersize=3.5,
        markeredgewidth=0,
    )  # fmt: skip
    axes.axvline(0.5, color=COLOUR["muted"], linewidth=1, dashes=(2, 3))
    above = ("data", "axes fraction")
    write(axes, say("earlier"), (0.5, 1), (-8, 6), above, ha="right")
    write(axes, say("this batch"), (0.5, 1), (8, 6), above)


def _draw_limits(
    axes: Axes, points: Sequence[Point], first: float, last: float, centre: float
) -> None:
    many = len(points) > MOST_MARKS
    axes.plot([first, last], [centre, centre], color=COLOUR["muted"], linewidth=1, zorder=2.5)
    ends = [(centre, word("mean"))]
    for sides in ([point.low for point in points], [point.high for point in points]):
        values = [value for value in sides if value is not None]
        path = _steps(values, (last - first) / (WIDE - _BOX.left - _BOX.right))
        axes.add_patch(
            PathPatch(
                path, fill=False, edgecolor=COLOUR["rework"], linewidth=0.75 if many else 1.25
            )
        )
        ends.append((values[-1], word("lower") if len(ends) == 1 else word("upper")))
    for value, label in ends:
        if label != "lower" or value > 0:
            write_level(axes, say(label), value, "muted" if label == "mean" else "rework")


def _steps(values: Sequence[float], unit: float) -> Path:
    """A step line, value i from i + 0.5 to i + 1.5. Of steps narrower than the sheet's unit
    only the extremes of each unit are drawn: they fill it."""
    corners: list[tuple[float, float]] = []
    if unit <= 1:
        for place, value in enumerate(values):
            if corners and corners[-1][1] == value:
                corners.pop()
            else:
                corners.append((place + 0.5, value))
            corners.append((place + 1.5, value))
    else:
        columns = dict[int, set[float]]()
        for place, value in enumerate(values):
            columns.setdefault(int(place / unit), set()).add(value)
        for column, own in columns.items():
            corners += [((column + 0.5) * unit + 0.5, value) for value in {min(own), max(own)}]
        corners = [
            corner
            for index, corner in enumerate(corners)
            if any(other[1] != corner[1] for other in corners[max(index - 1, 0) : index + 2])
            or index in (0, len(corners) - 1)
        ]
    return Path(corners)


def _draw_points(
    paper: Sheet, axes: Axes, points: Sequence[Point], links: Mapping[str, str]
) -> None:
    inside = [(n, point) for n, point in enumerate(points, 1) if not point.outside]
    outside = [(n, point) for n, point in enumerate(points, 1) if point.outside]
    if len(points) <= MOST_MARKS:
        axes.plot(
            range(1, len(points) + 1), [point.subgroup.rate for point in points],
            color=COLOUR["link"], alpha=0.35, linewidth=1,
        )  # fmt: skip
        marks = [(n, point.subgroup.rate, _url(paper, point, links)) for n, point in inside]
        paper.scatter(axes, marks, "link", size=42, edge=1.5)
    else:
        _draw_dots(axes, inside, "link", "round")
        _draw_dots(axes, outside[_MOST_OUTSIDE:], "scrap", "projecting")
    named = outside[:_MOST_OUTSIDE]
    marks = [(n, point.subgroup.rate, _url(paper, point, links)) for n, point in named]
    paper.scatter(axes, marks, "scrap", "D", size=64, edge=1.5)
    for place, point in outside if len(outside) <= _MOST_NAMES else ():
        _name(paper, axes, place / len(points), (place, point.subgroup.rate), point)


def _name(paper: Sheet, axes: Axes, along: float, place: tuple[float, float], point: Point) -> None:
    """Write the name of a point beside it, so that it stays on the sheet."""
    key = paper.text(shortened(plain(point.subgroup.name), 28))
    side: Side = "left" if along < 0.15 else "right" if along > 0.85 else "center"
    offset = (0, 9 if _side(point) == "above" else -19)
    write(axes, key, place, offset, "data", "scrap", ha=side)


def _url(paper: Sheet, point: Point, links: Mapping[str, str]) -> str:
    own = point.subgroup
    told = say("{flagged} of {patches} flagged", flagged=own.flagged, patches=own.patches)
    text = f"{own.name}: {told}, {percent(own.rate)}"
    return paper.mark(
        f"{text}, {say('outside the limits')}" if point.outside else text, links.get(own.name, "")
    )


def _draw_dots(
    axes: Axes,
    numbered: Sequence[tuple[int, Point]],
    colour: str,
    cap: Literal["round", "projecting"],
) -> None:
    """One path of lines of no length, which their caps make dots, or squares; of those that
    cover each other one."""
    cells = dict[tuple[int, int], tuple[float, float]]()
    width, height = (end - start for start, end in (axes.get_xlim(), axes.get_ylim()))
    cell = 3.0 if len(numbered) <= _MANY else 4.0
    across = (WIDE - _BOX.left - _BOX.right) / width / cell
    up = (HEIGHT - _BOX.top - _BOX.bottom) / height / cell
    for along, point in numbered:
        place = (float(along), point.subgroup.rate)
        cells.setdefault((round(place[0] * across), round(place[1] * up)), place)
    if not cells:
        return
    vertices = [place for place in cells.values() for _ in range(2)]
    path = Path(vertices, [Path.MOVETO, Path.LINETO] * len(cells))
    axes.add_patch(PathPatch(path, fill=False, edgecolor=COLOUR[colour], linewidth=4, capstyle=cap))
