"""What programs, and a report's page, are told: the state of subjects in plain values."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from inspection.review.decisions import Disposal
from inspection.review.log import AnyEntry, read_log
from inspection.review.schema import decisions, patches, strips
from inspection.review.state import State, states

_MOST_STRIPS = 500

Place = tuple[str, int | None]
"""A strip's name, and the left edge of a patch in px; None for the strip itself."""


def states_in(connection: sa.Connection, batch_id: int) -> list[dict[str, Any]]:
    """The state of every subject of a batch that was decided on."""
    known = states(read_log(connection, batch_id))
    places = _places(connection, batch_id)
    return [_state(places[subject], state) for subject, state in known.items()]


def states_after(
    connection: sa.Connection, batch_id: int, entries: Iterable[AnyEntry]
) -> list[dict[str, Any]]:
    """The states of the subjects that entries are about; all of them must be in the log."""
    wanted = {
        (entry.strip, None if isinstance(entry, Disposal) else entry.left) for entry in entries
    }
    names = {strip for strip, _ in wanted}
    numbers = None
    if len(names) <= _MOST_STRIPS:
        numbers = connection.scalars(
            sa.select(strips.c.id).where(strips.c.batch_id == batch_id, strips.c.strip.in_(names))
        ).all()
    known = states(read_log(connection, batch_id, numbers))
    places = _places(connection, batch_id)
    return [
        _state(places[subject], state)
        for subject, state in known.items()
        if places[subject] in wanted
    ]


def _places(connection: sa.Connection, batch_id: int) -> dict[tuple[str, int], Place]:
    """Where the subjects decided on are."""
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


def _state(place: Place, state: State) -> dict[str, Any]:
    strip, left = place
    return {
        "strip": strip,
        "left": left,
        "status": state.status,
        "tips": list(state.tips),
        "current": [
            {
                "id": decision.uuid,
                "kind": decision.kind,
                "value": decision.value,
                "reviewer": decision.reviewer,
                "reason": decision.reason,
                "time": decision.decided.isoformat(),
            }
            for decision in state.current
        ],
    }
