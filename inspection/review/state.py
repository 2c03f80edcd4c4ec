"""From the log of one subject, a strip or a patch, to what holds now.

Decisions form a graph: each names those it was made in view of. One that was withdrawn by
an undo counts no more, nor does one that a later decision was made in view of, directly or
through others. What is left is current; two that differ are a dispute, which lasts until
somebody decides in view of both. An undo can be undone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from inspection.review.identity import How

Kind = Literal["confirm", "reject", "reclass", "disposition", "undo"]
Status = Literal["open", "decided", "disputed"]


@dataclass(frozen=True)
class Decision:
    """A row of the log. `subject` is ("patch" or "strip", its number in the database);
    `value` the class of a reclass, the disposition of a strip, else ""; `authenticated` the name
    that was signed in, "" where nobody was or only the token is known."""

    uuid: str
    subject: tuple[Literal["patch", "strip"], int]
    kind: Kind
    value: str
    undoes: str | None
    reviewer: str
    reason: str
    decided: datetime
    recorded: datetime
    source: str
    in_view_of: tuple[str, ...]
    authenticated: str = ""
    how: How = ""

    @property
    def outcome(self) -> tuple[str, str]:
        """What was decided; two decisions agree if their outcomes are equal."""
        return self.kind, self.value


@dataclass(frozen=True)
class State:
    """What holds for a subject.

    `current` are the decisions that count, in the order of the log; none: open; all of one
    outcome: decided. `tips` are what a new decision must be in view of to settle all.
    """

    status: Status
    current: tuple[Decision, ...]
    tips: tuple[str, ...]

    @property
    def decision(self) -> Decision:
        """The latest of the current decisions, which agree. Raises ValueError otherwise."""
        if self.status != "decided":
            raise ValueError(f"the subject is {self.status}")
        return self.current[-1]


OPEN = State("open", (), ())


@dataclass(frozen=True)
class Past:
    """A decision, and what became of it: it stands, it was undone, or later ones that were made
    in view of it replace it. An undo stands until it is undone itself."""

    decision: Decision
    became: Literal["stands", "undone", "replaced"]


def state_of(log: Sequence[Decision]) -> State:
    """The state of one subject from its decisions, in the order of the log."""
    withdrawn = _withdrawn(log)
    standing = [d for d in log if d.kind != "undo" and d.uuid not in withdrawn]
    ancestors = _ancestors(log)
    replaced = set[str]().union(*(ancestors[decision.uuid] for decision in standing))
    current = tuple(decision for decision in standing if decision.uuid not in replaced)
    seen = {uuid for decision in log for uuid in decision.in_view_of}
    outcomes = {decision.outcome for decision in current}
    status: Status = "open" if not outcomes else "decided" if len(outcomes) == 1 else "disputed"
    return State(status, current, tuple(d.uuid for d in log if d.uuid not in seen))


def history(log: Sequence[Decision]) -> tuple[Past, ...]:
    """What became of each decision on one subject, in the order of the log."""
    withdrawn = _withdrawn(log)
    current = {decision.uuid for decision in state_of(log).current}
    return tuple(
        Past(
            decision,
            "undone"
            if decision.uuid in withdrawn
            else "stands"
            if decision.kind == "undo" or decision.uuid in current
            else "replaced",
        )
        for decision in log
    )


def _withdrawn(log: Sequence[Decision]) -> set[str]:
    """Decisions whose undo stands; an undo comes after what it undoes."""
    withdrawn = set[str]()
    for decision in reversed(log):
        if decision.undoes is not None and decision.uuid not in withdrawn:
            withdrawn.add(decision.undoes)
    return withdrawn


def _ancestors(log: Sequence[Decision]) -> dict[str, set[str]]:
    """All that each decision was made in view of, directly or through others."""
    ancestors = dict[str, set[str]]()
    for decision in log:
        through = (ancestors[uuid] for uuid in decision.in_view_of)
        ancestors[decision.uuid] = set(decision.in_view_of).union(*through)
    return ancestors


def states(log: Iterable[Decision]) -> dict[tuple[str, int], State]:
    """The state of every subject that the log speaks of."""
    return {subject: state_of(own) for subject, own in by_subject(log).items()}


def by_subject(log: Iterable[Decision]) -> dict[tuple[str, int], list[Decision]]:
    """The log of every subject that it speaks of, in the order of the log."""
    subjects = dict[tuple[str, int], list[Decision]]()
    for decision in log:
        subjects.setdefault(decision.subject, []).append(decision)
    return subjects
