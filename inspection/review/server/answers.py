"""What programs, and a report's page, are told: the state of subjects in plain values."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from inspection.review.decisions import Disposal
from inspection.review.log import AnyEntry, read_log
from inspection.review.queries import Place, decided_places, strip_numbers
from inspection.review.state import State, states

_MOST_STRIPS = 500


def states_in(connection: sa.Connection, batch_id: int) -> list[dict[str, Any]]:
    """The state of every subject of a batch that was decided on."""
    known = states(read_log(connection, batch_id))
    places = decided_places(connection, batch_id)
    return [_state(places[subject], state) for subject, state in known.items()]


def states_after(
    connection: sa.Connection, batch_id: int, entries: Iterable[AnyEntry]
) -> list[dict[str, Any]]:
    """The states of the subjects that entries are about; all of them must be in the log."""
    wanted = {
        (entry.strip, None if isinstance(entry, Disposal) else entry.left) for entry in entries
    }
    names = {strip for strip, _ in wanted}
    few = len(names) <= _MOST_STRIPS
    numbers = strip_numbers(connection, batch_id, names) if few else None
    known = states(read_log(connection, batch_id, numbers))
    places = decided_places(connection, batch_id)
    return [
        _state(places[subject], state)
        for subject, state in known.items()
        if places[subject] in wanted
    ]


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
