"""What the review database is asked: rows of batches, strips and patches, and counts of them.

The log has questions of its own (`log`).
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from inspection.review.schema import batches, decisions, patches, sampled, samples, strips

Row = sa.Row[Any]

Place = tuple[str, int | None]
"""A strip's name, and the place of a patch (see `originals.place`); None for the strip itself."""


def all_batches(connection: sa.Connection) -> Sequence[Row]:
    """The batches, in the order of their registration."""
    return connection.execute(sa.select(batches).order_by(batches.c.id)).all()


def newest_batches(connection: sa.Connection, size: int, skip: int = 0) -> Sequence[Row]:
    """The batches inspected last, the newest first, `skip` of them left out."""
    order = (batches.c.inspected.desc(), batches.c.id.desc())
    return connection.execute(sa.select(batches).order_by(*order).limit(size).offset(skip)).all()


def number_of_batches(connection: sa.Connection) -> int:
    """How many batches are registered."""
    return int(connection.scalar(sa.select(sa.func.count()).select_from(batches)) or 0)


def batch_by_id(connection: sa.Connection, batch_id: int) -> Row | None:
    """The batch of this number in the database."""
    return connection.execute(sa.select(batches).where(batches.c.id == batch_id)).one_or_none()


def batch_by_fingerprint(connection: sa.Connection, fingerprint: str) -> Row | None:
    """The batch with this fingerprint."""
    query = sa.select(batches).where(batches.c.fingerprint == fingerprint)
    return connection.execute(query).one_or_none()


def strips_of(connection: sa.Connection, batch_id: int) -> Sequence[Row]:
    """The strips of a batch, in its order."""
    query = sa.select(strips).where(strips.c.batch_id == batch_id).order_by(strips.c.id)
    return connection.execute(query).all()


def strip_name(connection: sa.Connection, batch_id: int, number: int) -> str | None:
    """The name of a strip of a batch, by its number in the database."""
    return connection.scalar(
        sa.select(strips.c.strip).where(strips.c.batch_id == batch_id, strips.c.id == number)
    )


def strip_numbers(
    connection: sa.Connection, batch_id: int, names: Collection[str]
) -> Sequence[int]:
    """The numbers in the database of these strips of a batch."""
    query = sa.select(strips.c.id).where(strips.c.batch_id == batch_id, strips.c.strip.in_(names))
    return connection.scalars(query).all()


def decided_patches(connection: sa.Connection, batch_id: int) -> Sequence[Row]:
    """The patches of a batch that the log speaks of; as all patches here with their strip's name
    and SHA-256 (`strip`, `sha256`), in the batch's order and from left to right."""
    return _patches(connection, batch_id, _decided_on(batch_id))


def flagged_or_decided_patches(connection: sa.Connection, batch_id: int) -> Sequence[Row]:
    """The patches of a batch that are flagged, or that the log speaks of."""
    return _patches(connection, batch_id, patches.c.flagged | _decided_on(batch_id))


def drawn_patches(connection: sa.Connection, batch_id: int) -> Sequence[Row]:
    """The patches of a batch that were drawn for audits."""
    drawn = sa.select(sampled.c.patch_id).join(samples).where(samples.c.batch_id == batch_id)
    return _patches(connection, batch_id, patches.c.id.in_(drawn))


def accepted_patches(connection: sa.Connection, batch_id: int) -> Sequence[Row]:
    """The patches of a batch that show steel and are not flagged."""
    return _patches(connection, batch_id, patches.c.steel, sa.not_(patches.c.flagged))


def patch_at(connection: sa.Connection, batch_id: int, strip: int, left: int) -> Row | None:
    """The patch of a batch at this strip (its number) and left edge in px."""
    there = _patches(connection, batch_id, strips.c.id == strip, patches.c.left == left)
    return there[0] if there else None


def _patches(
    connection: sa.Connection, batch_id: int, *chosen: sa.ColumnElement[bool]
) -> Sequence[Row]:
    query = (
        sa.select(patches, strips.c.strip, strips.c.sha256)
        .join(strips)
        .where(strips.c.batch_id == batch_id, *chosen)
        .order_by(patches.c.strip_id, patches.c.left)
    )
    return connection.execute(query).all()


def _decided_on(batch_id: int) -> sa.ColumnElement[bool]:
    return patches.c.id.in_(
        sa.select(decisions.c.patch_id).where(
            decisions.c.batch_id == batch_id, decisions.c.patch_id.is_not(None)
        )
    )


def decided_places(connection: sa.Connection, batch_id: int) -> dict[tuple[str, int], Place]:
    """Where the subjects are that the log of a batch speaks of."""
    query = (
        sa.select(decisions.c.strip_id, decisions.c.patch_id, strips.c.strip, patches.c.left)
        .distinct()
        .join(strips, strips.c.id == decisions.c.strip_id)
        .join(patches, patches.c.id == decisions.c.patch_id, isouter=True)
        .where(decisions.c.batch_id == batch_id)
    )
    return {
        ("strip", row.strip_id) if row.patch_id is None else ("patch", row.patch_id): (
            row.strip,
            row.left,
        )
        for row in connection.execute(query)
    }


def log_lengths(connection: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Decisions and samples of each of these batches that has any."""
    counts = []
    for table in (decisions, samples):
        query = sa.select(table.c.batch_id, sa.func.count()).where(table.c.batch_id.in_(ids))
        rows = connection.execute(query.group_by(table.c.batch_id))
        counts.append({row[0]: int(row[1]) for row in rows})
    return {
        batch_id: (counts[0].get(batch_id, 0), counts[1].get(batch_id, 0))
        for batch_id in counts[0].keys() | counts[1].keys()
    }


def strips_by_coil(connection: sa.Connection, batch_id: int) -> list[tuple[str, bool, int]]:
    """How many strips each coil of a batch has: (coil, inspected or not, number)."""
    group = (strips.c.coil, strips.c.inspected)
    query = sa.select(*group, sa.func.count()).where(strips.c.batch_id == batch_id)
    return [(row[0], row[1], row[2]) for row in connection.execute(query.group_by(*group))]


def steel_by_verdict(connection: sa.Connection, batch_id: int) -> dict[str, int]:
    """How many of a batch's patches that show steel are of each class, by the model."""
    query = (
        sa.select(patches.c.verdict, sa.func.count())
        .join(strips)
        .where(strips.c.batch_id == batch_id, patches.c.steel)
        .group_by(patches.c.verdict)
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(query)}


def samples_of(connection: sa.Connection, batch_id: int) -> Sequence[Row]:
    """The samples drawn from a batch, in the order in which they were drawn."""
    query = sa.select(samples).where(samples.c.batch_id == batch_id).order_by(samples.c.id)
    return connection.execute(query).all()


def members_of(connection: sa.Connection, sample_id: int) -> Sequence[int]:
    """The patches of a sample, by their numbers in the database."""
    query = sa.select(sampled.c.patch_id).where(sampled.c.sample_id == sample_id)
    return connection.scalars(query).all()
