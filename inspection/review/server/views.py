"""A batch's page: its strips and patches with their states and histories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import sqlalchemy as sa

from inspection.review.log import read_log
from inspection.review.queries import (
    Row,
    drawn_patches,
    flagged_or_decided_patches,
    strips_of,
)
from inspection.review.server.cards import card_address
from inspection.review.state import Decision, Past, State, by_subject, history, state_of
from inspection.words import word

PAGE = 50

Show = Literal["all", "open", "disputed", "audit"]
"""Strips with their flagged and decided patches; only what is not decided; only what people
disagree on; or the patches drawn for audits."""


@dataclass(frozen=True)
class Subject:
    """A strip (`left` None) or patch, with its state and all decisions on it. `strip_number` is
    the strip's in the database, as forms change line ends in names; `verdict` is what the model
    or the policy said; `form_id` the UUID of the decision that its form will make. `images` are
    addresses of a patch's pictures, with what they show, `card` that of its card in the report."""

    strip_number: int
    strip: str
    coil: str
    verdict: str
    state: State
    past: tuple[Past, ...]
    form_id: str
    left: int | None = None
    flagged: bool = False
    score: float | None = None
    images: tuple[tuple[str, str], ...] = ()
    card: str = ""

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


_Logs = Mapping[tuple[str, int], Sequence[Decision]]


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

    def wanted(kind: str, row: Row) -> bool:
        status = state_of(logs.get((kind, row.id), ())).status
        return status == "disputed" if show == "disputed" else status != "decided"

    rows = list(strips_of(connection, batch.id))
    own = _patches(connection, batch.id, show)
    if show == "audit":
        rows = [row for row in rows if row.id in own]
    elif show != "all":
        own = {
            strip: [row for row in patches if wanted("patch", row)]
            for strip, patches in own.items()
        }
        rows = [row for row in rows if own.get(row.id) or wanted("strip", row)]
    pages = max(1, -(-len(rows) // PAGE))
    number = min(max(number, 1), pages)
    shown = rows[(number - 1) * PAGE : number * PAGE]
    return Page(
        number,
        pages,
        len(rows),
        tuple(
            (
                _subject("strip", row, row, logs, verdict=row.proposed),
                tuple(_patch(batch, row, patch, logs) for patch in own.get(row.id, ())),
            )
            for row in shown
        ),
    )


def anchor_after(page: Page, show: Show, strip: int, left: int | None) -> str:
    """Where to go on after a decision on a subject: there, if the page still shows it as to be
    done, else at the next that is; "main" if nothing is left."""
    here = (strip, -1 if left is None else left)
    subjects = [one for strip_, patches in page.strips for one in (strip_, *patches)]
    if show in ("open", "disputed"):
        wanted = ("disputed",) if show == "disputed" else ("open", "disputed")
        subjects = [one for one in subjects if one.state.status in wanted]
    later = [one for one in subjects if (one.strip_number, _place(one)) >= here]
    return next((one.anchor for one in (*later, *subjects)), "main")


def _place(subject: Subject) -> int:
    return -1 if subject.left is None else subject.left


def _patch(batch: Row, strip: Row, row: Row, logs: _Logs) -> Subject:
    return _subject(
        "patch",
        row,
        strip,
        logs,
        left=row.left,
        verdict=row.verdict,
        flagged=row.flagged,
        score=row.score,
        images=_images(batch, row),
        card=card_address(
            Path(batch.report_folder), batch.id, strip.strip, row.left, bool(row.flagged)
        ),
    )


def _patches(connection: sa.Connection, batch_id: int, show: Show) -> dict[int, list[Row]]:
    """Patches that were drawn, or flagged or decided on, per strip from left to right."""
    chosen = drawn_patches if show == "audit" else flagged_or_decided_patches
    by_strip = dict[int, list[Row]]()
    for row in chosen(connection, batch_id):
        by_strip.setdefault(row.strip_id, []).append(row)
    return by_strip


def _subject(kind: str, row: Row, strip: Row, logs: _Logs, **own: Any) -> Subject:
    """A strip, or a patch of it, with what the log says of it; `own` is what the batch says."""
    log = logs.get((kind, row.id), ())
    return Subject(
        strip_number=strip.id,
        strip=strip.strip,
        coil=strip.coil,
        state=state_of(log),
        past=history(log),
        form_id=str(uuid4()),
        **own,
    )


def _images(batch: Row, row: Row) -> tuple[tuple[str, str], ...]:
    """The patch, from the report or else cut from its strip, and its map where there is one."""

    def picture(kind: str) -> str | None:
        name = f"img/{row.patch_key[:16]}_{kind}.jpg"
        there = (Path(batch.report_folder) / name).is_file()
        return f"/reports/{batch.id}/{name}" if there else None

    raw = picture("raw") or f"/crops/{batch.id}/{row.strip_id}/{row.left}"
    overlay = picture("overlay")
    shown = [(raw, word("The patch"))]
    shown += [(overlay, word("The patch with its map"))] if overlay else []
    return tuple(shown)
