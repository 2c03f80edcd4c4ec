"""Patches that people looked at: what the model said, what they said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from inspection.pipeline.policy import NORMAL
from inspection.review.log import read_log
from inspection.review.queries import decided_patches
from inspection.review.state import Decision, State, Status, states


@dataclass(frozen=True)
class Reviewed:
    """A patch with at least one decision. `verdict` is the class that the model indicates
    ("normal" if it is not flagged); `human` the class that people gave it and `decided` when,
    both None unless `status` is "decided"."""

    patch_id: int
    batch_id: int
    strip: str
    strip_sha256: str
    left: int
    flagged: bool
    verdict: str
    status: Status
    human: str | None
    decided: datetime | None


def human_class(decision: Decision, verdict: str) -> str:
    """The class of a patch after a decision: a confirmed one keeps the model's `verdict`."""
    match decision.kind:
        case "confirm":
            return verdict
        case "reject":
            return NORMAL
        case "reclass":
            return decision.value
        case _:
            raise ValueError(f"{decision.kind} gives no class")


def reviewed_patches(
    connection: sa.Connection,
    batch_id: int,
    known: Mapping[tuple[str, int], State] | None = None,
) -> list[Reviewed]:
    """The patches of a batch that the log speaks of, by strip and from left to right.

    `known` are the states of the log, if they are at hand.
    """
    if known is None:
        known = states(read_log(connection, batch_id))
    reviewed = []
    for row in decided_patches(connection, batch_id):
        state = known["patch", row.id]
        decision = state.decision if state.status == "decided" else None
        reviewed.append(
            Reviewed(
                patch_id=row.id,
                batch_id=batch_id,
                strip=row.strip,
                strip_sha256=row.sha256,
                left=row.left,
                flagged=row.flagged,
                verdict=row.verdict,
                status=state.status,
                human=None if decision is None else human_class(decision, row.verdict),
                decided=None if decision is None else decision.decided,
            )
        )
    return sorted(reviewed, key=lambda patch: (patch.strip, patch.left))
