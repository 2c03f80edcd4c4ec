"""The summary of an evaluation as Markdown, and as plain numbers for CSV."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from sise.evaluation import formatting
from sise.evaluation.formatting import escaped, markdown_table
from sise.evaluation.paper import Reported
from sise.evaluation.summary_types import Board, Cell, Column, Comparison, Row, Summary
from sise.registry import METHODS, parse_spec

CLASSES_SIDE_BY_SIDE = 12

_table = partial(markdown_table, numbers=True)


def markdown(summary: Summary, title: str, reported: Reported | None = None) -> str:
    """The tables of a run, each under a heading, with how to read them: a whole document.

    `reported` is what the paper has for this dataset and network, if anything.
    """
    parts = [
        f"# {escaped(title)}",
        " ".join(formatting.findings(summary)),
    ]
    for heading, columns in (
        ("The paper's metrics", formatting.the_papers(summary)),
        ("Further metrics", formatting.further(summary)),
    ):
        if columns:
            parts += [f"## {heading}", main_table(summary.whole, columns)]
    if summary.reference is not None:
        parts += [f"## Where {_title(summary)} stands", standings(summary)]
    if summary.whole.pairs:
        parts += ["## Pairs", pairs(summary)]
    if reported is not None:
        parts += ["## The paper's figures beside ours", beside(summary, reported)]
    if any(row.trivial for row in summary.whole.rows):
        parts += ["## Margin over the best trivial baseline", margins(summary)]
    if len(summary.classes) > 1:
        parts += ["## Per class", *_classes(summary)]
    parts += ["## Cost", costs(summary.whole), "## How to read this"]
    parts += ["\n".join(f"- {point}" for point in formatting.legend(summary))]
    return "\n\n".join(parts) + "\n"


def main_table(board: Board, columns: Sequence[Column]) -> str:
    """Methods × metrics: mean, interval, best and second best, and the test's mark."""
    return _table(
        ["method", *map(formatting.heading, columns)],
        ([_name(row), *(_measured(row.cells[one.name], one, board) for one in columns)]
         for row in board.rows),
    )  # fmt: skip


def standings(summary: Summary) -> str:
    """By metric, the place of the reference and which methods it was shown to beat, or not."""
    lines = []
    for column in formatting.directed(summary):
        one = summary.standing(column)
        place = formatting.NOTHING if one.rank is None else f"{one.rank} of {one.ranked}"
        sides = ("; ".join(map(escaped, side)) or formatting.NOTHING
                 for side in (one.beaten, one.undecided, one.ahead))  # fmt: skip
        lines.append([formatting.heading(column), place, *sides])
    return _table(["metric", "place", "better than", "no difference shown", "worse than"], lines)


def pairs(summary: Summary) -> str:
    """Pairs × metrics with a direction: the difference, its interval and the test's mark."""
    columns = formatting.directed(summary)
    return _table(
        ["pair", *map(formatting.heading, columns)],
        ([f"{escaped(summary.title(pair.method))} less {escaped(summary.title(pair.other))}",
          *(_compared(pair.comparisons[one.name], one) for one in columns)]
         for pair in summary.whole.pairs),
    )  # fmt: skip


def margins(summary: Summary) -> str:
    """Methods × metrics with a direction: the margin and its interval, bold if above 0."""
    columns = formatting.directed(summary)
    return _table(
        ["method", *(column.title for column in columns)],
        [
            ["*best trivial*", *(_best_trivial(summary, column) for column in columns)],
            *([_name(row), *(_margin(row.cells[one.name], one) for one in columns)]
              for row in summary.whole.rows if not row.trivial),
        ],
    )  # fmt: skip


def by_class(summary: Summary, column: Column) -> str:
    """Methods × classes: means of one metric."""
    boards = summary.classes
    return _table(
        ["method", *(f"{escaped(board.name)} (n = {board.items})" for board in boards)],
        ([_name(row), *(_ranked(board.row(row.method).cells[column.name], column)
                        for board in boards)] for row in summary.whole.rows),
    )  # fmt: skip


def reference_by_class(summary: Summary, method: str) -> str:
    """Classes × metrics: a method's mean, and its margin over the best trivial one."""
    columns = formatting.per_class(summary)
    return _table(
        ["class", "n", *map(formatting.heading, columns)],
        ([escaped(board.name), f"{board.items}",
          *(_with_margin(board.row(method).cells[one.name], one) for one in columns)]
         for board in summary.classes),
    )  # fmt: skip


def beside(summary: Summary, reported: Reported) -> str:
    """For each method of the paper's table: the paper's figure, then this run's."""
    columns = [
        one for one in formatting.the_papers(summary) if one.name in reported.figures["sise"]
    ]
    lines = []
    for row in summary.whole.rows:
        theirs = reported.figures.get(parse_spec(row.method).method)
        if theirs is not None:
            ours = (formatting.number(row.cells[one.name].estimate.mean, one) for one in columns)
            pairs = zip(columns, ours, strict=True)
            lines.append([_name(row), *(f"{theirs[one.name]:.2f} · {our}" for one, our in pairs)])
    run = {parse_spec(row.method).method for row in summary.whole.rows}
    absent = ", ".join(METHODS[name].title for name in reported.figures if name not in run)
    text = _table(
        ["method", *(f"{formatting.heading(one)}: paper · here" for one in columns)], lines
    )
    text += (f"\n\nThe paper's table {reported.table}: {reported.dataset}, "
             f"{reported.architecture}. Here: {formatting.amount(summary)}.")  # fmt: skip
    return text + (f" Not run here: {absent}." if absent else "")


def costs(board: Board) -> str:
    """Mean forward passes and seconds an item, and how many items have no map and why."""
    return _table(
        ["method", "forward passes", "seconds", "without a map"],
        ([_name(row), formatting.cost(row.forwards), formatting.cost(row.seconds), without_map(row)]
         for row in board.rows),
    )  # fmt: skip


def without_map(row: Row) -> str:
    """ "4 no positive gradient, 1 constant map", or "none"."""
    return ", ".join(f"{count} {why}" for why, count in row.without_map.items()) or "none"


def frame(summary: Summary) -> pd.DataFrame:
    """A row per method and metric, plain numbers as measured (shares in [0, 1])."""
    return pd.DataFrame(list(_plain(summary, summary.whole)))


def frame_by_class(summary: Summary) -> pd.DataFrame:
    """A row per class, method and metric."""
    return pd.DataFrame(
        [
            {"class": board.name, **line}
            for board in summary.classes
            for line in _plain(summary, board)
        ]
    )


def frame_of_pairs(summary: Summary) -> pd.DataFrame:
    """A row per class ("" for all), pair and metric; classes are not tested."""
    return pd.DataFrame(
        [
            {"class": board.name, "method": pair.method, "other": pair.other, "metric": name}
            | _differing(comparison)
            for board in (summary.whole, *summary.classes)
            for pair in board.pairs
            for name, comparison in pair.comparisons.items()
        ]
    )


def _differing(comparison: Comparison) -> dict[str, Any]:
    difference = comparison.difference
    return {
        "difference": difference.mean, "difference_low": difference.low,
        "difference_high": difference.high, "pairs": difference.items,
        "p": comparison.p, "p_corrected": comparison.corrected,
    }  # fmt: skip


def _plain(summary: Summary, board: Board) -> Iterable[Mapping[str, Any]]:
    for row in board.rows:
        for column in summary.columns:
            cell = row.cells[column.name]
            estimate = cell.estimate
            line: dict[str, Any] = {}
            if cell.comparison is not None:
                line |= _differing(cell.comparison)
                line["against_reference"] = cell.comparison.verdict
            if cell.margin is not None:
                margin = cell.margin.difference
                line |= {"trivial": cell.margin.baseline, "margin": margin.mean,
                         "margin_low": margin.low, "margin_high": margin.high}  # fmt: skip
            yield {
                "method": row.method, "title": row.title, "is_trivial": row.trivial,
                "metric": column.name, "better": column.better,
                "mean": estimate.mean, "low": estimate.low, "high": estimate.high,
                "items": estimate.items, "images": estimate.images, "rank": cell.rank,
            } | line  # fmt: skip


def _classes(summary: Summary) -> Iterable[str]:
    if summary.reference is not None:
        yield (f"{_title(summary)}: the mean and, in brackets, the margin over the class's best "
               f"trivial baseline.")  # fmt: skip
        yield reference_by_class(summary, summary.reference)
    if len(summary.classes) <= CLASSES_SIDE_BY_SIDE:
        for column in formatting.per_class(summary):
            yield f"### {formatting.heading(column)}"
            yield by_class(summary, column)


def _title(summary: Summary) -> str:
    return escaped(summary.title(str(summary.reference)))


def _name(row: Row) -> str:
    return escaped(row.title) if row.uses_model else f"*{escaped(row.title)}*"


def _measured(cell: Cell, column: Column, board: Board) -> str:
    mark = formatting.MARKS[cell.comparison.verdict] if cell.comparison else ""
    some = cell.estimate.defined and cell.estimate.items < board.items
    pieces = (
        _ranked(cell, column),
        formatting.interval(cell.estimate, column),
        mark,
        f"(n = {cell.estimate.items})" if some else "",
    )
    return " ".join(filter(None, pieces))


def _ranked(cell: Cell, column: Column) -> str:
    text = formatting.number(cell.estimate.mean, column)
    return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(cell.rank or 0, text)


def _margin(cell: Cell, column: Column) -> str:
    if cell.margin is None:
        return formatting.NOTHING
    difference = cell.margin.difference
    text = formatting.number(difference.mean, column, signed=True)
    if difference.low > 0:
        text = f"**{text}**"
    return f"{text} {formatting.interval(difference, column, signed=True)}".strip()


def _compared(comparison: Comparison, column: Column) -> str:
    text = formatting.number(comparison.difference.mean, column, signed=True)
    bounds = formatting.interval(comparison.difference, column, signed=True)
    return " ".join(filter(None, (text, bounds, formatting.MARKS[comparison.verdict])))


def _with_margin(cell: Cell, column: Column) -> str:
    text = formatting.number(cell.estimate.mean, column)
    if cell.margin is None:
        return text
    return f"{text} ({formatting.number(cell.margin.difference.mean, column, signed=True)})"


def _best_trivial(summary: Summary, column: Column) -> str:
    row = summary.whole.best_trivial(column.name)
    if row is None:
        return formatting.NOTHING
    return f"{escaped(row.title)} {formatting.number(row.cells[column.name].estimate.mean, column)}"
