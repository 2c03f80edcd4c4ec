"""The log in the database: entries are checked and appended, and read back."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, Literal, assert_never

import sqlalchemy as sa

from inspection.pipeline.policy import NORMAL
from inspection.review.decisions import Disposal, Reclass, Undo, Verdict
from inspection.review.errors import DecisionError
from inspection.review.identity import ANYBODY, Identity
from inspection.review.queries import Row, batch_by_fingerprint
from inspection.review.schema import batches, decisions, patches, sightings, strips
from inspection.review.state import Decision

Source = Literal["server", "import"]
AnyEntry = Verdict | Reclass | Disposal | Undo


def find_batch(connection: sa.Connection, fingerprint: str) -> Row:
    """The row of the batch with this fingerprint. Raises DecisionError if there is none."""
    row = batch_by_fingerprint(connection, fingerprint)
    if row is None:
        raise DecisionError(
            f"the batch {fingerprint[:16]}… is not registered here; "
            "register its report with defect-inspect review register"
        )
    return row


def queue_up(connection: sa.Connection, batch: Row) -> None:
    """Wait until no other writes to the log of this batch; SQLite has let in only one anyway."""
    connection.execute(sa.select(batches.c.id).where(batches.c.id == batch.id).with_for_update())


def append(
    connection: sa.Connection,
    batch: Row,
    entries: Iterable[AnyEntry],
    source: Source,
    author: Identity = ANYBODY,
) -> int:
    """Append the entries that the log does not have yet, in their order; return how many.

    To be called in `Database.writing`. Raises DecisionError, naming the entry by its number,
    for an unknown strip or patch, a decision that does not fit it, an id in use, and another
    reviewer than the `author` who is signed in.
    """
    queue_up(connection, batch)
    added = 0
    for number, entry in enumerate(entries, 1):
        try:
            added += _append_one(connection, batch, entry, source, author)
        except DecisionError as error:
            raise DecisionError(f"decision {number}: {error}") from error
    return added


def _append_one(
    connection: sa.Connection, batch: Row, entry: AnyEntry, source: Source, author: Identity
) -> bool:
    if author.name and entry.reviewer != author.name:
        raise DecisionError(
            f"signed by {entry.reviewer!r}, but {author.name!r} is signed in; decide under that "
            "name, or sign in again"
        )
    strip_id, patch = _subject(connection, batch, entry)
    row = {
        "uuid": str(entry.id),
        "batch_id": batch.id,
        "strip_id": strip_id,
        "patch_id": None if patch is None else patch.id,
        "kind": entry.kind,
        "value": _value(entry, batch.classes, patch),
        "undoes": str(entry.undoes) if isinstance(entry, Undo) else None,
        "reviewer": entry.reviewer,
        "reason": entry.reason,
        "decided": entry.time.astimezone(UTC),
    }
    seen = {str(uuid) for uuid in entry.in_view_of}
    there = connection.execute(
        sa.select(decisions).where(decisions.c.uuid == row["uuid"])
    ).one_or_none()
    if there is not None:
        if any(there._mapping[name] != value for name, value in row.items()) or seen != _seen_by(
            connection, row["uuid"]
        ):
            raise DecisionError(f"the id {entry.id} is another decision's; make a new id")
        return False
    _check_seen(connection, row, seen)
    row |= {
        "recorded": datetime.now(UTC),
        "source": source,
        "authenticated": author.name,
        "how": author.how,
    }
    connection.execute(decisions.insert().values(row))
    if seen:
        links = [{"decision": row["uuid"], "seen": uuid} for uuid in sorted(seen)]
        connection.execute(sightings.insert(), links)
    return True


def _seen_by(connection: sa.Connection, uuid: str) -> set[str]:
    query = sa.select(sightings.c.seen).where(sightings.c.decision == uuid)
    return set(connection.scalars(query))


def _subject(connection: sa.Connection, batch: Row, entry: AnyEntry) -> tuple[int, Row | None]:
    strip_id = connection.scalar(
        sa.select(strips.c.id).where(strips.c.batch_id == batch.id, strips.c.strip == entry.strip)
    )
    if strip_id is None:
        raise DecisionError(f"the batch has no strip {entry.strip!r}; was the file changed?")
    left = None if isinstance(entry, Disposal) else entry.left
    if left is None:
        return strip_id, None
    patch = connection.execute(
        sa.select(patches).where(patches.c.strip_id == strip_id, patches.c.left == left)
    ).one_or_none()
    if patch is None:
        raise DecisionError(f"strip {entry.strip!r} has no patch at {left} px")
    return strip_id, patch


def _value(entry: AnyEntry, classes: list[str], patch: Row | None) -> str:
    """The column `value`; refuses what makes no sense on this patch."""
    match entry:
        case Reclass():
            if entry.class_name not in classes:
                raise DecisionError(
                    f"no class {entry.class_name!r}; the model has {', '.join(classes)}"
                )
            if entry.class_name == NORMAL:
                raise DecisionError("a patch without a defect is rejected, not reclassed")
            if patch is not None and entry.class_name == patch.verdict:
                raise DecisionError(f"the patch is {patch.verdict} already; confirm it")
            return entry.class_name
        case Disposal():
            return entry.disposition
        case Verdict():
            if entry.kind == "reject" and patch is not None and not patch.flagged:
                raise DecisionError("the patch is not flagged; to agree with that, confirm it")
            return ""
        case Undo():
            return ""
        case _:
            assert_never(entry)


def _check_seen(connection: sa.Connection, row: dict[str, Any], seen: set[str]) -> None:
    """All that the decision names must be decisions on the same strip or patch."""
    subject = (row["batch_id"], row["strip_id"], row["patch_id"])
    if row["undoes"] is not None and row["undoes"] not in seen:
        raise DecisionError("an undo is made in view of what it undoes; name it in in_view_of")
    for uuid in sorted(seen):
        other = connection.execute(
            sa.select(decisions.c.batch_id, decisions.c.strip_id, decisions.c.patch_id).where(
                decisions.c.uuid == uuid
            )
        ).one_or_none()
        if other is None:
            raise DecisionError(f"in view of {uuid}, which is not known; import that file first")
        if tuple(other) != subject:
            raise DecisionError(f"in view of {uuid}, which is about another strip or patch")


def decided_at(connection: sa.Connection, uuid: str) -> datetime | None:
    """When the decision of this id was decided, None if the log has none."""
    return connection.scalar(sa.select(decisions.c.decided).where(decisions.c.uuid == uuid))


def read_log(
    connection: sa.Connection, batch_id: int, strip_ids: Collection[int] | None = None
) -> list[Decision]:
    """All decisions on a batch, or on some of its strips and their patches, in the order in
    which they were stored."""
    chosen = decisions.c.batch_id == batch_id
    if strip_ids is not None:
        chosen &= decisions.c.strip_id.in_(strip_ids)
    seen = dict[str, list[str]]()
    links = (
        sa.select(sightings.c.decision, sightings.c.seen)
        .join(decisions, decisions.c.uuid == sightings.c.decision)
        .where(chosen)
        .order_by(sightings.c.seen)
    )
    for link in connection.execute(links):
        seen.setdefault(link.decision, []).append(link.seen)
    query = sa.select(decisions).where(chosen).order_by(decisions.c.id)
    return [
        Decision(
            uuid=row.uuid,
            subject=("strip", row.strip_id) if row.patch_id is None else ("patch", row.patch_id),
            kind=row.kind,
            value=row.value,
            undoes=row.undoes,
            reviewer=row.reviewer,
            reason=row.reason,
            decided=row.decided,
            recorded=row.recorded,
            source=row.source,
            in_view_of=tuple(seen.get(row.uuid, ())),
            authenticated=row.authenticated,
            how=row.how,
        )
        for row in connection.execute(query)
    ]
