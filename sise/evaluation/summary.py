"""What an evaluation's rows sum up to: means, ranks, who beats whom, and by how much."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sise.errors import SiseError
from sise.evaluation.statistics import (
    FLIPS,
    RESAMPLES,
    Floats,
    estimates,
    holm,
    means,
    per_image,
    sign_flip,
)
from sise.evaluation.summary_types import (
    Better,
    Board,
    Cell,
    Column,
    Comparison,
    Estimate,
    Margin,
    Pair,
    Row,
    Summary,
    Verdict,
)
from sise.metrics import METRICS
from sise.registry import parse_spec

FACTS = (
    "method", "item", "image", "group", "label", "truth", "status", "score", "forwards", "seconds",
)  # fmt: skip
"""Columns of the rows that are no metrics."""

MISSING = "not run"
SIGNIFICANT = 0.05


def summarise(
    rows: pd.DataFrame,
    reference: str | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    flips: int = FLIPS,
    fill: str = "grey",
    pairs: Sequence[tuple[str, str]] = (),
) -> Summary:
    """Sum up the rows of an evaluation, one per method and item (columns: `FACTS` and metrics).

    Images of one group stay together; without such a column, each is one of its own.

    `reference` is a method's text; if left out, plain "sise" or else the first SISE. `fill` is
    the run's first. Trivial methods and the truth come last, the others in the order of the rows.
    `pairs` of methods are compared besides. Raises SiseError for rows that are none, come twice,
    or lack one of these.
    """
    if rows.empty:
        raise SiseError("no row to sum up: not one item was measured")
    twice = rows.duplicated(["method", "item"])
    if twice.any():
        method, item = rows[twice].iloc[0][["method", "item"]]
        raise SiseError(f"two rows for {method} on {item}; keep one")
    columns = tuple(column(name) for name in rows.columns if name not in FACTS)
    methods = tuple(sorted(rows["method"].unique(), key=_place))
    against = _reference(methods, reference)
    for one in (one for pair in pairs for one in pair):
        _check_method(methods, one, "a pair's method")
    settings = _Settings(columns, methods, against, tuple(pairs), seed, resamples, flips)
    whole = _board("", rows, settings, tested=True)
    classes = tuple(
        _board(str(name), part, settings, tested=False)
        for name, part in rows.groupby("label", sort=True)
    )
    return Summary(columns, against, whole, classes, fill, resamples, flips, seed)


def _place(method: str) -> int:
    spec = parse_spec(method)
    return spec.trivial + 2 * spec.is_truth


def column(name: str) -> Column:
    """The metric that a column such as "drop" or "drop@blur" holds."""
    base, _, fill = name.partition("@")
    metric = METRICS[base]
    title = f"{metric.title} ({fill})" if fill else metric.title
    return Column(name, title, metric.better, metric.percent)


def _reference(methods: Sequence[str], wanted: str | None) -> str | None:
    if wanted is not None:
        _check_method(methods, wanted, "the reference")
        return wanted
    if "sise" in methods:
        return "sise"
    return next((text for text in methods if parse_spec(text).method == "sise"), None)


def _check_method(methods: Sequence[str], wanted: str, what: str) -> None:
    if wanted not in methods:
        raise SiseError(f"no rows of {what} {wanted!r}; there are {', '.join(methods)}")


@dataclass(frozen=True)
class _Settings:
    """What all boards of a summary have in common."""

    columns: tuple[Column, ...]
    methods: tuple[str, ...]
    reference: str | None
    pairs: tuple[tuple[str, str], ...]
    seed: int
    resamples: int
    flips: int


def _board(name: str, rows: pd.DataFrame, settings: _Settings, tested: bool) -> Board:
    """The methods on the items of `rows`; differences from the reference only if `tested`."""
    columns, methods = settings.columns, settings.methods
    values, groups = _values(rows, settings)
    specs = [parse_spec(text) for text in methods]
    trivial = [spec.trivial for spec in specs]
    unranked = [spec.trivial or spec.is_truth for spec in specs]
    baselines = _best(values, trivial, columns)
    reference = methods.index(settings.reference) if tested and settings.reference else None
    differences = _against(values, [reference] * len(columns))
    margins = _against(values, baselines) * [-1 if c.better == "lower" else 1 for c in columns]
    own, against, over = _estimates([values, differences, margins], groups, settings)
    others = np.array([text != settings.reference for text in methods])
    p, corrected = _tests(differences, others, groups, settings)
    ranks = _ranks(np.array([[one.mean for one in row] for row in own]), unranked, columns)

    def cell(method: int, metric: int) -> Cell:
        comparison = margin = None
        if reference is not None and method != reference:
            comparison = _comparison(
                against[method][metric], p[method, metric], corrected[method, metric],
                columns[metric],
            )  # fmt: skip
        baseline = baselines[metric]
        if baseline is not None and not trivial[method]:
            margin = Margin(methods[baseline], over[method][metric])
        return Cell(own[method][metric], ranks[method][metric], comparison, margin)

    return Board(
        name,
        len(values),
        rows["image"].nunique(),
        len(np.unique(groups)),
        tuple(sorted(rows["truth"].unique())) if "truth" in rows else (),
        tuple(
            _row(rows[rows["method"] == text], text, len(values),
                 {one.name: cell(place, metric) for metric, one in enumerate(columns)})
            for place, text in enumerate(methods)
        ),
        _pairs(values, groups, settings, tested) if settings.pairs else (),
    )  # fmt: skip


def _pairs(
    values: Floats, groups: npt.NDArray[np.int64], settings: _Settings, tested: bool
) -> tuple[Pair, ...]:
    """The pairs, with a correction of their own; classes are not tested."""
    places = [[settings.methods.index(text) for text in pair] for pair in settings.pairs]
    differences = np.stack([values[:, one] - values[:, other] for one, other in places], axis=1)
    (found,) = _estimates([differences], groups, settings)
    p, corrected = _tests(differences, np.full(len(places), tested), groups, settings)
    return tuple(
        Pair(method, other, {
            column.name: _comparison(found[pair][at], p[pair, at], corrected[pair, at], column)
            for at, column in enumerate(settings.columns)
        })
        for pair, (method, other) in enumerate(settings.pairs)
    )  # fmt: skip


def _values(rows: pd.DataFrame, settings: _Settings) -> tuple[Floats, npt.NDArray[np.int64]]:
    """(items, methods, metrics), NaN where a row is missing; the group of each item: (items,)."""
    items, names = pd.factorize(rows["item"])
    methods = pd.Index(settings.methods).get_indexer(pd.Index(rows["method"]))
    values = np.full((len(names), len(settings.methods), len(settings.columns)), np.nan)
    values[items, methods] = rows[[one.name for one in settings.columns]].to_numpy(np.float64)
    groups = np.empty(len(names), np.int64)
    groups[items] = pd.factorize(groups_of(rows))[0]
    return values, groups


def groups_of(rows: pd.DataFrame) -> pd.Series:
    """What is drawn and flipped as one: the group of each row, its image if there are none."""
    return rows["group"] if "group" in rows else rows["image"]


def _best(values: Floats, among: Sequence[bool], columns: Sequence[Column]) -> list[int | None]:
    """For each metric with a direction, the method with the best mean among some."""
    mean = _plain_means(values)
    best: list[int | None] = []
    for metric, one in enumerate(columns):
        sign = -1 if one.better == "lower" else 1
        able = [
            (-sign * mean[method, metric], method)
            for method, is_in in enumerate(among)
            if is_in and not np.isnan(mean[method, metric])
        ]
        best.append(min(able)[1] if able and one.better != "none" else None)
    return best


def _plain_means(values: Floats) -> Floats:
    """Over the items: (methods, metrics)."""
    flat = per_image(values.reshape(len(values), -1), np.arange(len(values)))
    return means(flat).reshape(values.shape[1:])


def _against(values: Floats, others: Sequence[int | None]) -> Floats:
    """The values less those of another method, one per metric; NaN where there is none."""
    differences = np.full(values.shape, np.nan)
    for metric, other in enumerate(others):
        if other is not None:
            differences[:, :, metric] = values[:, :, metric] - values[:, [other], metric]
    return differences


def _estimates(
    parts: Sequence[Floats], groups: npt.NDArray[np.int64], settings: _Settings
) -> list[list[list[Estimate]]]:
    """By part, method and metric, all from the same draws of groups."""
    stacked = np.stack(parts, axis=1)
    columns = stacked.reshape(len(stacked), -1)
    flat = iter(estimates(columns, groups, settings.seed, settings.resamples))
    _, count, methods, metrics = stacked.shape
    return [[[next(flat) for _ in range(metrics)] for _ in range(methods)] for _ in range(count)]


def _tests(
    differences: Floats,
    tested: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    settings: _Settings,
) -> tuple[Floats, Floats]:
    """p and corrected p, (rows, metrics), of `tested` (rows,) and metrics with a direction.

    NaN elsewhere. `differences` are (items, rows, metrics).
    """
    directed = np.array([one.better != "none" for one in settings.columns])
    able = tested[:, None] & directed & ~np.isnan(differences).all(axis=0)
    p, corrected = np.full(able.shape, np.nan), np.full(able.shape, np.nan)
    if able.any():
        p[able] = sign_flip(per_image(differences[:, able], groups), settings.seed, settings.flips)
        corrected[able] = holm(p[able])
    return p, corrected


def _comparison(difference: Estimate, p: float, corrected: float, column: Column) -> Comparison:
    verdict = _verdict(difference.mean, corrected, column.better)
    return Comparison(difference, float(p), float(corrected), verdict)


def _verdict(difference: float, corrected: float, better: Better) -> Verdict:
    if not corrected < SIGNIFICANT:
        return "undecided"
    return "better" if (difference > 0) == (better == "higher") else "worse"


def _ranks(
    mean: Floats, unranked: Sequence[bool], columns: Sequence[Column]
) -> list[list[int | None]]:
    """1 for the best mean, 2 for the next, and so on, by method and metric.

    Equal means share a rank.
    """
    rounded = mean.round(12)
    ranks: list[list[int | None]] = [[None] * len(columns) for _ in unranked]
    for metric, one in enumerate(columns):
        able = [m for m, out in enumerate(unranked) if not out and not np.isnan(mean[m, metric])]
        if one.better != "none":
            order = sorted({rounded[m, metric] for m in able}, reverse=one.better == "higher")
            for method in able:
                ranks[method][metric] = order.index(rounded[method, metric]) + 1
    return ranks


def _row(rows: pd.DataFrame, text: str, items: int, cells: dict[str, Cell]) -> Row:
    spec = parse_spec(text)
    statuses = {str(status): int(count) for status, count in rows["status"].value_counts().items()}
    if len(rows) < items:
        statuses[MISSING] = items - len(rows)
    cost = rows[["forwards", "seconds"]].mean()
    return Row(text, spec.title, spec.trivial, spec.is_truth, cells, statuses,
               float(cost["forwards"]), float(cost["seconds"]))  # fmt: skip
