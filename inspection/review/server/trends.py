"""The trends page: batches from the oldest to the newest, as charts and in figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from inspection.charts import trends as charts
from inspection.charts.drawing import Drawing
from inspection.charts.pareto import STYLES
from inspection.charts.trends import BatchPoint, Interval, Limits
from inspection.pipeline.policy import NORMAL
from inspection.quality import laney
from inspection.review.overview import Overview
from sise.statistics import Rate

MOST_BATCHES = 200


@dataclass(frozen=True)
class Trend:
    """A batch in the table, with what its rate is held against."""

    overview: Overview
    point: BatchPoint


def trends(overviews: Sequence[Overview]) -> list[Trend]:
    """Batches with their limits, given from the oldest to the newest.

    Limits come from the batches before of the same model, thresholds and tiling: the rates of
    others mean something else.
    """
    before = dict[tuple[str, str], list[laney.Subgroup]]()
    labels = _labels(overviews)
    made = []
    for batch in overviews:
        key = batch.bundle_sha256, batch.settings
        content = batch.content
        earlier = before.setdefault(key, [])
        limits = None
        if content.judged:
            known = laney.baseline(earlier)
            if not isinstance(known, str):
                low, high = known.limits(content.judged)
                limits = Limits(low, known.centre, high)
            earlier.append(laney.Subgroup("", batch.name, content.flagged, content.judged))
        agreed = batch.progress.agreement
        point = BatchPoint(
            name=batch.name,
            when=f"{batch.inspected:%Y-%m-%d}",
            clock=f"{batch.inspected:%H:%M}",
            model=labels[key],
            href=f"#batch-{batch.batch_id}",
            flagged=content.flagged,
            patches=content.judged,
            limits=limits,
            by_class=content.by_class,
            kappa=agreed.kappa,
            overkill=_interval(agreed.overkill),
            escapes=_interval(agreed.escapes),
        )
        made.append(Trend(batch, point))
    return made


def drawings(shown: Sequence[Trend]) -> tuple[Drawing, ...]:
    """The charts of batches; drawn anew only if something in them has changed."""
    styles = dict[str, int]()
    for trend in shown:
        styles |= styles_of(trend.overview.classes)
    return _drawn(tuple(trend.point for trend in shown), tuple(styles.items()))


def styles_of(classes: Sequence[str]) -> Mapping[str, int]:
    """The number of each defect class's colour, as in the report."""
    numbered = enumerate(classes)
    return {name: (index - 1) % STYLES + 1 for index, name in numbered if name != NORMAL}


@lru_cache(maxsize=4)
def _drawn(
    points: tuple[BatchPoint, ...], styles: tuple[tuple[str, int], ...]
) -> tuple[Drawing, ...]:
    if not points:
        return ()
    return (
        charts.rates(points),
        charts.classes(points, dict(styles)),
        charts.agreement(points),
    )


def _interval(rate: Rate) -> Interval | None:
    if rate.share is None or rate.interval is None:
        return None
    return Interval(rate.share, *rate.interval)


def _labels(overviews: Sequence[Overview]) -> dict[tuple[str, str], str]:
    """What each model, with its settings, is called; settings are named where they differ."""
    settings = dict[str, dict[str, int]]()
    for batch in overviews:
        own = settings.setdefault(batch.bundle_sha256, {})
        own.setdefault(batch.settings, len(own) + 1)
    labels = dict[tuple[str, str], str]()
    for batch in overviews:
        own = settings[batch.bundle_sha256]
        extra = f", settings {own[batch.settings]}" if len(own) > 1 else ""
        labels[batch.bundle_sha256, batch.settings] = (
            f"{batch.architecture} {batch.bundle_sha256[:8]}{extra}"
        )
    return labels
