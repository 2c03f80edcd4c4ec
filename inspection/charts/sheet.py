"""A sheet to draw on: matplotlib's figure, in the look of the house.

Names from outside never reach matplotlib, which would read mathematics into a "$", look for
glyphs of every script and measure them in its own font: it gets a key, and the page the name.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from threading import Lock
from typing import Any, Literal

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inspection.charts.drawing import percent, plain
from inspection.charts.themed import COLOUR, Caption, Foreign, Mark, themed

Side = Literal["left", "center", "right"]

WIDE = 1000.0
"""Width of a chart that fills the page, in its own units; texts are 13 of them high."""

NARROW = 520.0

TEXT = 13.0
LEVELS = 124.0
"""Room on the right for the words of a level line, in the longest of our languages."""

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "path.simplify": False,
    "path.snap": False,
    "text.parse_math": False,
    "font.size": TEXT,
    "axes.linewidth": 1.0,
    "axes.edgecolor": COLOUR["line"],
    "axes.labelcolor": COLOUR["muted"],
    "axes.labelsize": TEXT,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": COLOUR["line"],
    "grid.linewidth": 1.0,
    "text.color": COLOUR["ink"],
    "xtick.color": COLOUR["line"],
    "xtick.labelcolor": COLOUR["muted"],
    "xtick.labelsize": TEXT,
    "xtick.major.size": 0,
    "xtick.major.pad": 8,
    "ytick.major.pad": 8,
    "ytick.color": COLOUR["line"],
    "ytick.labelcolor": COLOUR["muted"],
    "ytick.labelsize": TEXT,
    "ytick.major.size": 0,
    "lines.linewidth": 1.5,
}
# Matplotlib's settings belong to the process: one chart at a time.
_LOCK = Lock()


@dataclass(frozen=True)
class Box:
    """Room left around a plot, in the sheet's units."""

    left: float = 72
    right: float = 24
    top: float = 14
    bottom: float = 48


@dataclass
class Sheet:
    """A sheet of `width` × `height` units, being drawn on."""

    name: str
    width: float
    height: float
    figure: Figure
    texts: dict[str, str] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)

    def axes(self, box: Box | None = None) -> Axes:
        """A plot that fills the sheet but for the room around it."""
        room = box or Box()
        return self.figure.add_axes(
            (
                room.left / self.width,
                room.bottom / self.height,
                (self.width - room.left - room.right) / self.width,
                (self.height - room.top - room.bottom) / self.height,
            )
        )

    def text(self, text: str) -> str:
        """A key to draw in place of a text from outside."""
        key = f"text:{len(self.texts)}"
        self.texts[key] = plain(text)
        return key

    def mark(self, text: str, href: str = "") -> str:
        """A URL to give an artist, so that pointing at it tells `text`, and a click leads to
        `href`, if that is a fragment."""
        key = f"mark:{len(self.marks)}"
        self.marks[key] = Mark(plain(text), href)
        return key

    def scatter(
        self,
        axes: Axes,
        points: Sequence[tuple[float, float, str]],
        colour: str,
        marker: str = "o",
        *,
        size: float,
        edge: float,
        alpha: float | None = None,
    ) -> None:
        """Marks at (x, y), each with a URL of `mark`; `size` is their area, `edge` a width."""
        if not points:
            return
        across, up, urls = zip(*points, strict=True)
        drawn = axes.scatter(
            across, up, s=size, marker=marker, color=COLOUR[colour], edgecolor=COLOUR["card"],
            linewidth=edge, alpha=alpha, zorder=3, clip_on=False,
        )  # fmt: skip
        # With one URL for one point, matplotlib takes another way, which forgets it.
        drawn.set_urls(urls * 2 if len(urls) == 1 else urls)

    def say(self, words: str) -> None:
        """Fill an empty sheet with words."""
        axes = self.axes()
        axes.set_axis_off()
        axes.text(0.5, 0.5, words, ha="center", va="center", color=COLOUR["muted"])

    def svg(self, title: str, summary: str) -> Markup:
        """The sheet as an element for a page."""
        written = StringIO()
        self.figure.savefig(written, format="svg", metadata={"Date": None})
        css: Sequence[str] = ("narrow",) if self.width < WIDE else ()
        caption = Caption(self.name, title, summary)
        return themed(written.getvalue(), caption, Foreign(self.texts, self.marks), css)


@contextmanager
def sheet(name: str, width: float, height: float) -> Iterator[Sheet]:
    """A sheet to draw on and to turn into SVG before the next one is begun."""
    with _LOCK, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        # An SVG unit is a point, 1/72 inch.
        figure = Figure(figsize=(width / 72, height / 72), facecolor="none")
        yield Sheet(name, width, height, figure)


def write(
    axes: Axes,
    words: str,
    place: tuple[float, float],
    offset: tuple[float, float],
    within: str | tuple[str, str] = "axes fraction",
    colour: str = "muted",
    ha: Side = "left",
    va: Literal["baseline", "center"] = "baseline",
) -> None:
    """Write words beside a place, which is measured as `within` says; `offset` in units."""
    axes.annotate(
        words, place, offset, xycoords=within, textcoords="offset points", color=COLOUR[colour],
        ha=ha, va=va,
    )  # fmt: skip


def write_level(axes: Axes, label: str, share: float, colour: str) -> None:
    """Write what a level line is, and its share, at its right end."""
    words = f"{label} {percent(share)}"
    write(axes, words, (1, share), (6, 0), ("axes fraction", "data"), colour, va="center")


def percent_axis(axes: Axes, top: float, words: str) -> None:
    """Show shares from 0 to `top` (at most 1) as per cent on the y axis."""
    axes.set_ylim(0, top)
    step = next(s for s in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if top / s <= 6)
    places = [step * index for index in range(int(top / step + 1e-9) + 1)]
    digits = 1 if step < 0.01 else 0
    axes.set_yticks(places, [percent(place, digits) for place in places])
    axes.set_ylabel(words)
