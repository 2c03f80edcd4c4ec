"""A summary in types: which method has which mean of which metric, and how it compares."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sise.explanation import OK

Better = Literal["higher", "lower", "none"]
Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Column:
    """A metric as a table names it: `name` in the rows ("drop@blur"), `title` in print."""

    name: str
    title: str
    better: Better
    percent: bool

    @property
    def scale(self) -> float:
        """Tables print the value times this."""
        return 100.0 if self.percent else 1.0


@dataclass(frozen=True)
class Estimate:
    """A mean over `items` with its 95 % interval; NaN where there is none.

    `images` counts those that show different things: images of one group are one.
    """

    mean: float
    low: float
    high: float
    items: int
    images: int

    @property
    def defined(self) -> bool:
        return not math.isnan(self.mean)

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.low)


@dataclass(frozen=True)
class Comparison:
    """The mean difference, this method less the reference, over the items that both define.

    `p` by sign flips, `corrected` by Holm over the family; NaN where not tested. `verdict` is on
    this method, at corrected p < 0.05.
    """

    difference: Estimate
    p: float
    corrected: float
    verdict: Verdict


@dataclass(frozen=True)
class Pair:
    """How `method` compares with `other`, by metric; differences are method less other."""

    method: str
    other: str
    comparisons: Mapping[str, Comparison]


@dataclass(frozen=True)
class Margin:
    """How far this method is better than `baseline`, the best trivial one: above 0 is better."""

    baseline: str
    difference: Estimate


@dataclass(frozen=True)
class Cell:
    """A method's metric. `rank` is among methods that use the model; equals share one."""

    estimate: Estimate
    rank: int | None
    comparison: Comparison | None
    margin: Margin | None


@dataclass(frozen=True)
class Row:
    """A method, or the ground truth taken as a map.

    `statuses` counts its items by status; `forwards` and `seconds` are means.
    """

    method: str
    title: str
    trivial: bool
    is_truth: bool
    cells: Mapping[str, Cell]
    statuses: Mapping[str, int]
    forwards: float
    seconds: float

    @property
    def uses_model(self) -> bool:
        """Whether it knows what the model has learnt: what is ranked."""
        return not (self.trivial or self.is_truth)

    @property
    def without_map(self) -> Mapping[str, int]:
        """Why there is no map, and of how many items."""
        return {status: count for status, count in self.statuses.items() if status != OK}


@dataclass(frozen=True)
class Board:
    """All methods on some of the items; `name` is the class, or "" for all.

    `groups` counts the images that show different things; `truths` are the kinds of truth.
    """

    name: str
    items: int
    images: int
    groups: int
    truths: tuple[str, ...]
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...] = ()

    def row(self, method: str) -> Row:
        return next(row for row in self.rows if row.method == method)

    def best_trivial(self, metric: str) -> Row | None:
        """What margins of a metric are over; None if nothing is."""
        margins = (row.cells[metric].margin for row in self.rows)
        return next((self.row(one.baseline) for one in margins if one is not None), None)


@dataclass(frozen=True)
class Standing:
    """How the reference fares by a metric, and the titles of those it was tested against."""

    column: Column
    rank: int | None
    ranked: int
    beaten: tuple[str, ...]
    undecided: tuple[str, ...]
    ahead: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """`reference` is the method that others are tested against, None without any SISE.

    Classes have estimates, ranks and margins, but no tests. `fill` is what metrics put in the
    place of pixels unless their column says another one.
    """

    columns: tuple[Column, ...]
    reference: str | None
    whole: Board
    classes: tuple[Board, ...]
    fill: str
    resamples: int
    flips: int
    seed: int

    @property
    def family(self) -> int:
        """How many tests Holm's correction is over: methods × metrics with a direction."""
        cells = (cell for row in self.whole.rows for cell in row.cells.values())
        return sum(one.comparison is not None and not math.isnan(one.comparison.p) for one in cells)

    @property
    def family_of_pairs(self) -> int:
        """How many tests Holm's correction of the pairs is over."""
        found = (one for pair in self.whole.pairs for one in pair.comparisons.values())
        return sum(not math.isnan(one.p) for one in found)

    def title(self, method: str) -> str:
        return self.whole.row(method).title

    def standing(self, column: Column) -> Standing:
        """Of the reference among all methods, trivial ones included. ValueError without one."""
        if self.reference is None:
            raise ValueError("no reference, no standing")
        by_verdict: dict[Verdict, list[str]] = {"better": [], "worse": [], "undecided": []}
        ranks = [row.cells[column.name].rank for row in self.whole.rows]
        for row in self.whole.rows:
            comparison = row.cells[column.name].comparison
            if comparison is not None:
                by_verdict[comparison.verdict].append(row.title)
        return Standing(
            column,
            self.whole.row(self.reference).cells[column.name].rank,
            sum(rank is not None for rank in ranks),
            beaten=tuple(by_verdict["worse"]),
            undecided=tuple(by_verdict["undecided"]),
            ahead=tuple(by_verdict["better"]),
        )
