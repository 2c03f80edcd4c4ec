"""What pages and endpoints show, read from the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from inspection.policy import NORMAL
from inspection.review.agreement import Agreement, compare
from inspection.review.log import read_log
from inspection.review.reviewed import registered, reviewed_patches
from inspection.review.schema import batches, patches, sampled, strips
from inspection.review.state import OPEN, State, states

PAGE = 50


@dataclass(frozen=True)
class Subject:
    """A strip (`left` None) or patch, with its state. `strip_number` is the strip's in the
    database, as forms change line ends in names; `verdict` is what the model or the
    policy said; `form_id` the UUID of the decision that its form will make."""

    strip_number: int
    strip: str
    left: int | None
    verdict: str
    flagged: bool
    patch_key: str
    state: State
    form_id: str

    @property
    def stem(self) -> str:
        """The patch's images in the report's folder begin so."""
        return f"img/{self.patch_key[:16]}"


@dataclass(frozen=True)
class Page:
    """A page of strips, each with its flagged and decided patches."""

    number: int
    pages: int
    strips: tuple[tuple[Subject, tuple[Subject, ...]], ...]


@dataclass(frozen=True)
class Trend:
    """A batch in a row: the model, what it flagged per class, and what people said."""

    batch_id: int
    name: str
    inspected: datetime
    architecture: str
    bundle_sha256: str
    patches: int
    flagged: int
    by_class: dict[str, int]
    agreement: Agreement


def batch_by_id(connection: sa.Connection, batch_id: int) -> sa.Row[Any] | None:
    """The row of a batch."""
    return connection.execute(sa.select(batches).where(batches.c.id == batch_id)).one_or_none()


def strip_name(connection: sa.Connection, batch_id: int, number: int) -> str | None:
    """The name of a strip of a batch."""
    return connection.scalar(
        sa.select(strips.c.strip).where(strips.c.batch_id == batch_id, strips.c.id == number)
    )


def page_of(connection: sa.Connection, batch_id: int, number: int, audit: bool = False) -> Page:
    """Page `number`, from 1, of a batch: 50 strips; the nearest page there is.

    With `audit`, only patches drawn as samples, and their strips.
    """
    drawn = sa.select(sampled.c.patch_id)
    wanted = sa.select(strips).where(strips.c.batch_id == batch_id).order_by(strips.c.id)
    if audit:
        of_drawn = sa.select(patches.c.strip_id).where(patches.c.id.in_(drawn))
        wanted = wanted.where(strips.c.id.in_(of_drawn))
    rows = connection.execute(wanted).all()
    pages = max(1, -(-len(rows) // PAGE))
    number = min(max(number, 1), pages)
    shown = rows[(number - 1) * PAGE : number * PAGE]
    known = states(read_log(connection, batch_id))
    own: dict[int, list[Subject]] = {row.id: [] for row in shown}
    query = sa.select(patches).where(patches.c.strip_id.in_(own)).order_by(patches.c.left)
    if audit:
        query = query.where(patches.c.id.in_(drawn))
    names = {row.id: row.strip for row in shown}
    for row in connection.execute(query):
        state = known.get(("patch", row.id), OPEN)
        if audit or row.flagged or state is not OPEN:
            own[row.strip_id].append(_patch(row, names[row.strip_id], state))
    return Page(
        number,
        pages,
        tuple(
            (_strip(row, known.get(("strip", row.id), OPEN)), tuple(own[row.id])) for row in shown
        ),
    )


def _patch(row: sa.Row[Any], strip: str, state: State) -> Subject:
    return Subject(
        row.strip_id,
        strip,
        row.left,
        row.verdict,
        row.flagged,
        row.patch_key,
        state,
        str(uuid4()),
    )


def _strip(row: sa.Row[Any], state: State) -> Subject:
    return Subject(row.id, row.strip, None, row.proposed, False, "", state, str(uuid4()))


def trends(connection: sa.Connection) -> list[Trend]:
    """All batches in the order in which they were inspected."""
    found = []
    for batch in registered(connection):
        counts = connection.execute(
            sa.select(patches.c.verdict, sa.func.count().label("patches"))
            .join(strips)
            .where(strips.c.batch_id == batch.id)
            .group_by(patches.c.verdict)
        )
        by_class = {row.verdict: row.patches for row in counts}
        normal = by_class.pop(NORMAL, 0)
        flagged = sum(by_class.values())
        found.append(
            Trend(
                batch_id=batch.id,
                name=batch.name,
                inspected=batch.inspected,
                architecture=batch.architecture,
                bundle_sha256=batch.bundle_sha256,
                patches=normal + flagged,
                flagged=flagged,
                by_class=dict(sorted(by_class.items(), key=lambda item: (-item[1], item[0]))),
                agreement=compare(reviewed_patches(connection, batch.id), ()).overall,
            )
        )
    return sorted(found, key=lambda trend: (trend.inspected, trend.batch_id))
