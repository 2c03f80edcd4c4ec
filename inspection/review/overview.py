"""Batches at a glance: what each holds, and how far people are with it.

What a registered batch holds never changes, and its log only grows: both are kept in memory, the
latter for as long as the log has the same length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from inspection.pipeline.policy import NORMAL
from inspection.review.agreement import Agreement, compare
from inspection.review.audit import Audit, audits
from inspection.review.log import read_log
from inspection.review.queries import Row, log_lengths, steel_by_verdict, strips_by_coil
from inspection.review.reviewed import reviewed_patches
from inspection.review.state import states


@dataclass(frozen=True)
class Content:
    """What a batch holds: strips (and how many could be inspected), the names of its coils, the
    patches that show steel, and how many of these are flagged, in all and per class, the most
    frequent first."""

    strips: int
    inspected: int
    coils: tuple[str, ...]
    judged: int
    flagged: int
    by_class: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Progress:
    """How far people are: flagged patches decided, strips with a disposition, strips and patches
    in dispute; agreement over all patches decided; audits."""

    decided: int
    disposed: int
    disputed: int
    agreement: Agreement
    audits: tuple[Audit, ...]


UNTOUCHED = Progress(0, 0, 0, compare((), ()).overall, ())


@dataclass(frozen=True)
class Overview:
    """A batch at a glance. `settings` stands for thresholds and tiling, "" if not known."""

    batch_id: int
    name: str
    inspected: datetime
    architecture: str
    bundle_sha256: str
    settings: str
    classes: tuple[str, ...]
    content: Content
    progress: Progress


class Overviews:
    """Works out overviews, and remembers them by the batch's fingerprint."""

    def __init__(self) -> None:
        self._contents = dict[str, Content]()
        self._progress = dict[str, tuple[tuple[int, int], Progress]]()

    def of(self, connection: sa.Connection, rows: Sequence[Row]) -> list[Overview]:
        """The overviews of batches, given their rows, in the same order."""
        length = log_lengths(connection, [row.id for row in rows])
        return [
            Overview(
                batch_id=row.id,
                name=row.name,
                inspected=row.inspected,
                architecture=row.architecture,
                bundle_sha256=row.bundle_sha256,
                settings=row.settings,
                classes=tuple(row.classes),
                content=self._content(connection, row),
                progress=self._progress_of(connection, row, length.get(row.id, (0, 0))),
            )
            for row in rows
        ]

    def _content(self, connection: sa.Connection, batch: Row) -> Content:
        known = self._contents.get(batch.fingerprint)
        if known is None:
            known = self._contents[batch.fingerprint] = _content(connection, batch.id)
        return known

    def _progress_of(
        self, connection: sa.Connection, batch: Row, length: tuple[int, int]
    ) -> Progress:
        if length == (0, 0):
            return UNTOUCHED
        known_length, known = self._progress.get(batch.fingerprint, ((0, 0), UNTOUCHED))
        if known_length != length:
            known = _progress(connection, batch)
            self._progress[batch.fingerprint] = length, known
        return known


def _content(connection: sa.Connection, batch_id: int) -> Content:
    groups = strips_by_coil(connection, batch_id)
    by_class = steel_by_verdict(connection, batch_id)
    judged = sum(by_class.values())
    by_class.pop(NORMAL, None)
    return Content(
        strips=sum(number for _, _, number in groups),
        inspected=sum(number for _, inspected, number in groups if inspected),
        coils=tuple(sorted({coil for coil, _, _ in groups if coil})),
        judged=judged,
        flagged=sum(by_class.values()),
        by_class=tuple(sorted(by_class.items(), key=lambda item: (-item[1], item[0]))),
    )


def _progress(connection: sa.Connection, batch: Row) -> Progress:
    known = states(read_log(connection, batch.id))
    reviewed = reviewed_patches(connection, batch.id, known)
    return Progress(
        decided=sum(patch.flagged and patch.human is not None for patch in reviewed),
        disposed=sum(k == "strip" and s.status == "decided" for (k, _), s in known.items()),
        disputed=sum(state.status == "disputed" for state in known.values()),
        agreement=compare(reviewed, ()).overall,
        audits=tuple(audits(connection, batch, reviewed)),
    )
