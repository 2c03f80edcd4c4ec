"""When a form asks why: a strip's disposition that is not the proposed one, or comes before its
indications are decided."""

import sqlalchemy as sa

from inspection.review.log import read_log
from inspection.review.queries import Row, flagged_or_decided_patches, strips_of
from inspection.review.state import OPEN, states
from inspection.words import plural, say


def why(connection: sa.Connection, batch: Row, strip: int, act: str) -> list[str]:
    """What asks for a reason, in sentences; none for a decision that explains itself."""
    kind, _, value = act.partition(" ")
    if kind != "disposition":
        return []
    (row,) = (row for row in strips_of(connection, batch.id) if row.id == strip)
    because = []
    if value != row.proposed:
        proposed, given = say(row.proposed), say(value)
        because.append(say("Proposed is {proposed}, not {given}.", proposed=proposed, given=given))
    known = states(read_log(connection, batch.id, [strip]))
    patches = flagged_or_decided_patches(connection, batch.id)
    still = sum(
        patch.flagged and known.get(("patch", patch.id), OPEN).status != "decided"
        for patch in patches
        if patch.strip_id == strip
    )
    if still:
        because.append(
            plural(
                still,
                "{n} indication of this strip is open.",
                "{n} indications of this strip are open.",
            )
        )
    return because
