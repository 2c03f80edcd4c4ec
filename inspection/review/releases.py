"""What becomes of a coil, signed: appended to the review, and told to other programs.

A release names who signed, why, and the seal of the report that lay before him. A later one for the
same coil takes its place, and both stay; "withdrawn" takes it back.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from inspection.pipeline.policy import DISPOSITIONS
from inspection.review.errors import ReleaseError
from inspection.review.identity import ANYBODY, Identity
from inspection.review.log import read_log
from inspection.review.queries import Row, flagged_or_decided_patches, strips_of
from inspection.review.schema import releases
from inspection.review.state import OPEN, states
from inspection.store.checksums import CHECKSUMS
from inspection.store.tables import write_json
from inspection.words import word
from severstal_prep.files import file_sha256

FORMAT = "steel-sise release 1"
WITHDRAWN = word("withdrawn")


@dataclass(frozen=True)
class Request:
    """A release to be signed: of `coil`, "" for the whole batch; a disposition, or "withdrawn"."""

    coil: str
    disposition: str
    name: str
    reason: str = ""


@dataclass(frozen=True)
class Outlook:
    """What there is to know before: the coil's strips, the most severe disposition that the policy
    proposes for one, and how many of its indications are open (a disputed one is) and decided."""

    strips: int
    proposed: str
    open: int
    decided: int

    def asks_why(self, disposition: str) -> bool:
        """Whether a reason must be given: against the proposal, or with open indications."""
        return disposition == WITHDRAWN or disposition != self.proposed or self.open > 0


def outlook(connection: sa.Connection, batch: Row, coil: str) -> Outlook:
    """The outlook of a coil. Raises ReleaseError, naming those there are, if there is none such."""
    strips = strips_of(connection, batch.id)
    own = {row.id: row for row in strips if coil in ("", row.coil)}
    if not own:
        there = ", ".join(sorted({row.coil for row in strips if row.coil})) or "none by name"
        raise ReleaseError(f"the batch has no coil {coil!r}; it has {there}")
    known = states(read_log(connection, batch.id))
    settled = [
        known.get(("patch", patch.id), OPEN).status == "decided"
        for patch in flagged_or_decided_patches(connection, batch.id)
        if patch.flagged and patch.strip_id in own
    ]
    worst = max((row.proposed for row in own.values()), key=DISPOSITIONS.index)
    return Outlook(len(own), worst, settled.count(False), settled.count(True))


def release(
    connection: sa.Connection, batch: Row, asked: Request, identity: Identity = ANYBODY
) -> dict[str, Any]:
    """Sign a release, and return it as `as_json` tells it. To be called in `Database.writing`.

    Raises ReleaseError for an unknown coil or disposition, a missing name or reason, and a report
    that is not as it was sealed.
    """
    if asked.disposition not in (*DISPOSITIONS, WITHDRAWN):
        known = ", ".join((*DISPOSITIONS, WITHDRAWN))
        raise ReleaseError(f"--disposition {asked.disposition}: give one of {known}")
    name = asked.name.strip()
    if not name:
        raise ReleaseError("a release is signed: give a name")
    if identity.name and name != identity.name:
        raise ReleaseError(f"{identity.name} is signed in and signs, not {name}")
    before = outlook(connection, batch, asked.coil)
    if asked.disposition == WITHDRAWN and asked.coil not in latest_releases(connection, batch.id):
        raise ReleaseError(f"coil {asked.coil!r} has no release to withdraw")
    if before.asks_why(asked.disposition) and not asked.reason.strip():
        raise ReleaseError(
            f"give a reason: proposed is {before.proposed}, and {before.open} of "
            f"{before.open + before.decided} indications are open"
        )
    row = {
        "batch_id": batch.id,
        "coil": asked.coil,
        "disposition": asked.disposition,
        "name": name,
        "reason": asked.reason.strip(),
        "seal": seal_of(Path(batch.report_folder)),
        "open": before.open,
        "decided": before.decided,
        "authenticated": identity.name,
        "how": identity.how,
        "signed": datetime.now(UTC),
    }
    connection.execute(releases.insert().values(row))
    return as_json(connection, batch, latest(connection, batch.id, asked.coil))


def seal_of(report: Path) -> str:
    """The seal of a report whose files are as they were sealed. Raises ReleaseError."""
    from inspection.store.verify import check_files  # brings torch, which serving does without

    wrong = [finding for finding in check_files(report) if finding.state != "same"]
    if wrong:
        raise ReleaseError(
            f"{report}: {wrong[0].name} is {wrong[0].state}, so the report is not what was sealed; "
            "see defect-inspect verify"
        )
    return file_sha256(report / CHECKSUMS)


def latest(connection: sa.Connection, batch_id: int, coil: str) -> Row:
    """The last row of a coil, a withdrawal too."""
    own = (releases.c.batch_id == batch_id, releases.c.coil == coil)
    query = sa.select(releases).where(*own).order_by(releases.c.id.desc()).limit(1)
    return connection.execute(query).one()


def latest_releases(connection: sa.Connection, batch_id: int) -> Mapping[str, Row]:
    """The release that holds for each coil ("": the whole batch); none where it was withdrawn."""
    query = sa.select(releases).where(releases.c.batch_id == batch_id).order_by(releases.c.id)
    last = {row.coil: row for row in connection.execute(query)}
    return {coil: row for coil, row in last.items() if row.disposition != WITHDRAWN}


def history(connection: sa.Connection, batch_id: int) -> list[Row]:
    """All releases and withdrawals of a batch, in the order in which they were signed."""
    query = sa.select(releases).where(releases.c.batch_id == batch_id).order_by(releases.c.id)
    return list(connection.execute(query))


def as_json(connection: sa.Connection, batch: Row, row: Row) -> dict[str, Any]:
    """A release as other programs get it (docs/review.md has the entries)."""
    strips = [one for one in strips_of(connection, batch.id) if row.coil in ("", one.coil)]
    known = states(read_log(connection, batch.id))
    given = {}
    for one in strips:
        state = known.get(("strip", one.id), OPEN)
        given[one.strip] = {
            "proposed": one.proposed,
            "disposition": state.decision.value if state.status == "decided" else "",
        }
    before = outlook(connection, batch, row.coil)
    return {
        "format": FORMAT,
        "batch": {"name": batch.name, "fingerprint": batch.fingerprint},
        "coil": row.coil,
        "disposition": row.disposition,
        "reason": row.reason,
        "signature": {
            "name": row.name,
            "time": row.signed.isoformat(),
            "authenticated": row.authenticated,
            "how": row.how,
        },
        "seal": row.seal,
        "indications": {"open": row.open, "decided": row.decided},
        "proposed": asdict(before)["proposed"],
        "strips": given,
    }


def hand_over(told: Mapping[str, Any], folder: Path) -> Path:
    """Write a release into a folder that another program watches: whole, under a name of its own.

    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    time = told["signature"]["time"].replace(":", "").replace("+0000", "Z")
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in told["coil"] or "batch")[:80]
    path = folder / f"release-{told['batch']['fingerprint'][:12]}-{safe.lstrip('.')}-{time}.json"
    write_json(path, told)
    return path
