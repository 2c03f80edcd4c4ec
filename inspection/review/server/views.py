"""A batch's page: its strips and patches with their states and histories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

import sqlalchemy as sa

from inspection.review.log import read_log
from inspection.review.queries import (
    Row,
    drawn_patches,
    flagged_or_decided_patches,
    strips_of,
)
from inspection.review.state import OPEN, Decision, Past, State, by_subject, history, state_of

PAGE = 50

Show = Literal["all", "open", "disputed", "audit"]
"""Strips with their flagged and decided patches; only what is not decided; only what people
disagree on; or the patches drawn for audits."""


@dataclass(frozen=True)
class Subject:
    """A strip (`left` None) or patch, with its state and all decisions on it. `strip_number` is
    the strip's in the database, as forms change line ends in names; `verdict` is what the model
    or the policy said; `form_id` the UUID of the decision that its form will make. `images` are
    addresses of a patch's pictures, with what they show."""

    strip_number: int
    strip: str
    coil: str
    left: int | None
    verdict: str
    flagged: bool
    score: float | None
    state: State
    past: tuple[Past, ...]
    form_id: str
    images: tuple[tuple[str, str], ...] = ()

    @property
    def anchor(self) -> str:
        """Where it stands on its page."""
        if self.left is None:
            return f"strip-{self.strip_number}"
        return f"patch-{self.strip_number}-{self.left}"

    @property
    def settled(self) -> bool:
        """Whether people have decided on it, and agree."""
        return self.state.status == "decided"


@dataclass(frozen=True)
class Page:
    """A page of strips, each with its patches; `found` counts the strips of all pages."""

    number: int
    pages: int
    found: int
    strips: tuple[tuple[Subject, tuple[Subject, ...]], ...]


def page_of(connection: sa.Connection, batch: Row, number: int, show: Show) -> Page:
    """Page `number`, from 1, of a batch: 50 strips; the nearest page there is."""
    logs = by_subject(read_log(connection, batch.id))
    states = {subject: state_of(log) for subject, log in logs.items()}
    rows = list(strips_of(connection, batch.id))
    own = _patches(connection, batch.id, show)
    if show == "audit":
        rows = [row for row in rows if row.id in own]
    elif show != "all":
        own = {
            strip: [row for row in found if _wanted(states.get(("patch", row.id), OPEN), show)]
            for strip, found in own.items()
        }
        rows = [
            row
            for row in rows
            if own.get(row.id) or _wanted(states.get(("strip", row.id), OPEN), show)
        ]
    pages = max(1, -(-len(rows) // PAGE))
    number = min(max(number, 1), pages)
    return Page(
        number,
        pages,
        len(rows),
        tuple(
            (
                _strip(row, states, logs),
                tuple(_patch(batch, row, patch, states, logs) for patch in own.get(row.id, ())),
            )
            for row in rows[(number - 1) * PAGE : number * PAGE]
        ),
    )


def _wanted(state: State, show: Show) -> bool:
    return state.status == "disputed" if show == "disputed" else state.status != "decided"


def _patches(connection: sa.Connection, batch_id: int, show: Show) -> dict[int, list[Row]]:
    """Patches that were drawn, or flagged or decided on, per strip from left to right."""
    chosen = drawn_patches if show == "audit" else flagged_or_decided_patches
    by_strip = dict[int, list[Row]]()
    for row in chosen(connection, batch_id):
        by_strip.setdefault(row.strip_id, []).append(row)
    return by_strip


_States = Mapping[tuple[str, int], State]
_Logs = Mapping[tuple[str, int], Sequence[Decision]]


def _patch(batch: Row, strip: Row, row: Row, states: _States, logs: _Logs) -> Subject:
    subject = ("patch", row.id)
    return Subject(
        strip_number=strip.id,
        strip=strip.strip,
        coil=strip.coil,
        left=row.left,
        verdict=row.verdict,
        flagged=row.flagged,
        score=row.score,
        state=states.get(subject, OPEN),
        past=history(logs.get(subject, ())),
        form_id=str(uuid4()),
        images=_images(batch, row),
    )


def _strip(row: Row, states: _States, logs: _Logs) -> Subject:
    subject = ("strip", row.id)
    return Subject(
        strip_number=row.id,
        strip=row.strip,
        coil=row.coil,
        left=None,
        verdict=row.proposed,
        flagged=False,
        score=None,
        state=states.get(subject, OPEN),
        past=history(logs.get(subject, ())),
        form_id=str(uuid4()),
    )


def _images(batch: Row, row: Row) -> tuple[tuple[str, str], ...]:
    """The patch, from the report or else cut from its strip, and its map where there is one."""
    stem = f"img/{row.patch_key[:16]}"
    root = Path(batch.report_folder)
    known = {name: f"{stem}_{name}.jpg" for name in ("raw", "overlay")}
    there = {name: path for name, path in known.items() if (root / path).is_file()}
    raw = f"/crops/{batch.id}/{row.strip_id}/{row.left}"
    if "raw" in there:
        raw = f"/reports/{batch.id}/{there['raw']}"
    shown = [(raw, "The patch")]
    if "overlay" in there:
        shown.append((f"/reports/{batch.id}/{there['overlay']}", "The patch with its map"))
    return tuple(shown)
