"""Agreement and audits over all batches, as numbers and as text."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from inspection.pipeline.policy import NORMAL
from inspection.review.agreement import Agreement, Comparison, compare
from inspection.review.audit import Audit, audits
from inspection.review.database import Database
from inspection.review.queries import all_batches
from inspection.review.reviewed import reviewed_patches
from sise.statistics import Rate


@dataclass(frozen=True)
class Statistics:
    """What the review says, over `batches` registered batches."""

    batches: int
    comparison: Comparison
    audits: tuple[Audit, ...]


def statistics(database: Database) -> Statistics:
    """Work out the statistics of all registered batches."""
    patches, drawn = [], list[Audit]()
    classes = dict[str, None]()
    with database.reading() as connection:
        rows = all_batches(connection)
        for batch in rows:
            own = reviewed_patches(connection, batch.id)
            patches += own
            drawn += audits(connection, batch, own)
            classes |= dict.fromkeys(name for name in batch.classes if name != NORMAL)
    return Statistics(len(rows), compare(patches, list(classes)), tuple(drawn))


def as_json(statistics: Statistics) -> dict[str, Any]:
    """The statistics in plain values."""
    return asdict(statistics, dict_factory=_with_intervals)


def _with_intervals(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(entries)
    if content.keys() != {"hits", "trials"}:
        return content
    rate = Rate(**content)
    low, high = rate.interval or (None, None)
    return {
        "count": rate.hits,
        "total": rate.trials,
        "share": rate.share,
        "low": low,
        "high": high,
    }


def as_text(statistics: Statistics) -> str:
    """The statistics as a table for a terminal."""
    comparison = statistics.comparison
    rows = [
        ("", "decided", "confirmed", "rejected", "reclassed", "overkill", "escapes", "kappa"),
        _row("all", comparison.overall),
        *(_row(name, agreement) for name, agreement in comparison.by_class.items()),
        *(_row(month, agreement) for month, agreement in comparison.by_month.items()),
    ]
    lines = [
        f"{statistics.batches} batch{'' if statistics.batches == 1 else 'es'}; "
        f"patches disputed {comparison.disputed}, open again {comparison.reopened}",
        *_aligned(rows),
    ]
    lines += [_audit_line(audit) for audit in statistics.audits]
    return "\n".join(lines)


def _row(name: str, agreement: Agreement) -> tuple[str, ...]:
    return (
        # A class may be called anything, also what a terminal obeys.
        name if name.isprintable() else f"{name!a}",
        str(agreement.decided),
        str(agreement.confirmed),
        str(agreement.rejected),
        str(agreement.reclassed),
        _rate(agreement.overkill),
        _rate(agreement.escapes),
        "–" if agreement.kappa is None else f"{agreement.kappa:.2f}",
    )


def _rate(rate: Rate) -> str:
    if rate.share is None or rate.interval is None:
        return "–"
    low, high = rate.interval
    return f"{rate.hits}/{rate.trials} = {rate.share:.1%} [{100 * low:.1f}, {100 * high:.1f}]"


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in table
    ]


def _audit_line(audit: Audit) -> str:
    # A batch's name is a folder's, which may hold anything, line ends too.
    name = f"audit of {audit.batch!a}, {audit.size} of {audit.population} accepted patches"
    result = f"seed {audit.seed}: {audit.escapes} escapes in {audit.decided} decided"
    if audit.bound is None:
        return f"{name}, {result}; a bound when {audit.size - audit.decided} more are decided"
    return f"{name}, {result}; at most {audit.bound:.2%} of all escape (95 %)"
