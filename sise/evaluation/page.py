"""summary.html: the whole evaluation on one page that needs nothing but itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2

from sise.evaluation import formatting
from sise.evaluation.paper import Reported
from sise.evaluation.summary_types import Board, Column, Estimate, Summary
from sise.evaluation.tables import CLASSES_SIDE_BY_SIDE, without_map
from sise.registry import parse_spec


@dataclass(frozen=True)
class Picture:
    """`source` is a path relative to the page."""

    source: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Scale:
    """Places a value between the edges of a small drawing, in per cent of its width."""

    low: float
    high: float

    def at(self, value: float) -> str:
        span = self.high - self.low
        place = 50.0 if span == 0 else 4 + 92 * (value - self.low) / span
        return f"{place:.2f}%"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sise.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=formatting.number,
        interval=formatting.interval,
        heading=formatting.heading,
        cost=formatting.cost,
        chance=formatting.chance,
        without_map=without_map,
    )
    return environment.get_template("summary.html.j2")


def render(
    summary: Summary,
    title: str,
    record: Mapping[str, Any],
    reported: Reported | None = None,
    pictures: Sequence[Picture] = (),
) -> str:
    """The HTML of the page; it asks for no file but the `pictures`.

    `record` says what was run: any nested mapping of plain values; "command" is shown as typed.
    """
    return _template().render(
        title=title,
        summary=summary,
        amount=formatting.amount(summary),
        findings=" ".join(formatting.findings(summary)),
        legend=formatting.legend(summary),
        groups=[
            ("paper", "The paper’s metrics", formatting.the_papers(summary)),
            ("further", "Further metrics", formatting.further(summary)),
        ],
        papers=formatting.the_papers(summary),
        per_class=formatting.per_class(summary),
        directed=formatting.directed(summary),
        reference=None if summary.reference is None else summary.whole.row(summary.reference),
        has_trivial=any(row.trivial for row in summary.whole.rows),
        side_by_side=len(summary.classes) <= CLASSES_SIDE_BY_SIDE,
        marks=formatting.MARKS,
        scale_of=scale_of,
        scale_of_margins=scale_of_margins,
        facts=grouped(record),
        command=record.get("command"),
        reported=reported,
        theirs=None if reported is None else _theirs(summary, reported),
        pictures=pictures,
    )


def scale_of(boards: Sequence[Board], column: Column) -> Scale:
    """From the least to the greatest that the boards' estimates of a metric reach."""
    return _scale(row.cells[column.name].estimate for board in boards for row in board.rows)


def scale_of_margins(board: Board, column: Column) -> Scale:
    """The same of the margins; 0 is always on it."""
    margins = [margin.difference for row in board.rows if (margin := row.cells[column.name].margin)]
    return _scale([*margins, Estimate(0.0, 0.0, 0.0, 0, 0)])


def grouped(record: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """A record's lines under headings; those of no mapping come first, as of the evaluation."""
    single = {
        key: value
        for key, value in record.items()
        if key != "command" and not isinstance(value, Mapping)
    }
    groups = {key: value for key, value in record.items() if isinstance(value, Mapping)}
    by_group = {name: listed(value) for name, value in {"evaluation": single, **groups}.items()}
    return {name: lines for name, lines in by_group.items() if lines}


def listed(value: Any, name: str = "") -> list[tuple[str, str]]:
    """A record's entry as lines, (name, value) each: nested names joined by dots."""
    if isinstance(value, Mapping):
        return [
            line
            for key, inner in value.items()
            for line in listed(inner, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [(name, ", ".join(map(str, value)) or formatting.NOTHING)]
    return [(name, formatting.NOTHING if value is None else str(value))]


def _scale(estimates: Iterable[Estimate]) -> Scale:
    edges = [
        edge
        for one in estimates
        if one.defined
        for edge in ((one.low, one.high) if one.has_interval else (one.mean,))
    ]
    return Scale(min(edges), max(edges)) if edges else Scale(0.0, 0.0)


def _theirs(summary: Summary, reported: Reported) -> dict[str, Mapping[str, float]]:
    """The paper's figures of the methods that were run, by the run's name."""
    named = {row.method: parse_spec(row.method).method for row in summary.whole.rows}
    return {
        text: reported.figures[name] for text, name in named.items() if name in reported.figures
    }
