"""Random samples of accepted patches, and the bound on escapes that they give.

A sample is drawn from the patches of a batch that show steel and were not flagged, without
replacement, and stored. When all of it is decided, the share of defects found bounds the
share of defects among all accepted patches of the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import sqlalchemy as sa

from inspection.pipeline.policy import NORMAL
from inspection.review.agreement import upper_bound
from inspection.review.errors import SampleError
from inspection.review.queries import (
    Row,
    accepted_patches,
    all_batches,
    members_of,
    samples_of,
)
from inspection.review.reviewed import Reviewed
from inspection.review.schema import sampled, samples


@dataclass(frozen=True)
class Place:
    """A patch to look at: its strip, and its left edge in px."""

    strip: str
    left: int


@dataclass(frozen=True)
class Audit:
    """What a sample of a batch says. `escapes` were found among `decided` of `size` patches;
    `bound` is the upper 95 % bound (Clopper–Pearson) on the share of escapes among
    `population` accepted patches, None until all are decided."""

    batch: str
    size: int
    seed: int
    population: int
    decided: int
    escapes: int
    bound: float | None


def find_one(connection: sa.Connection, wanted: str) -> Row:
    """The batch of this name, or whose fingerprint begins so.

    Raises SampleError unless there is exactly one.
    """
    matching = [
        row
        for row in all_batches(connection)
        if wanted and (row.name == wanted or row.fingerprint.startswith(wanted))
    ]
    if len(matching) != 1:
        listed = matching or all_batches(connection)
        known = ", ".join(f"{row.name!a} {row.fingerprint[:12]}" for row in listed[:9]) or "none"
        raise SampleError(
            f"--batch {wanted!a}: {len(matching)} batches of this name or fingerprint; name one of "
            f"{known}{', …' if len(listed) > 9 else ''}"
        )
    return matching[0]


def draw(connection: sa.Connection, batch: Row, size: int, seed: int) -> list[Place]:
    """Draw and store a sample; the same size and seed give the same sample, stored once.

    To be called in `Database.writing`. Raises SampleError if the batch has fewer accepted
    patches than `size`.
    """
    accepted = accepted_patches(connection, batch.id)
    if not 1 <= size <= len(accepted):
        raise SampleError(
            f"--size must be 1 to {len(accepted)}, the accepted patches of {batch.name!r}, "
            f"not {size}"
        )
    if not 0 <= seed < 2**31:
        raise SampleError(f"--seed must be 0 to {2**31 - 1}, not {seed}")
    # The database's own order of texts depends on its locale.
    accepted = sorted(accepted, key=lambda row: (row.strip, row.left))
    chosen = np.random.default_rng(seed).choice(len(accepted), size, replace=False)
    rows = [accepted[place] for place in sorted(chosen.tolist())]
    same = (samples.c.batch_id == batch.id, samples.c.size == size, samples.c.seed == seed)
    if connection.scalar(sa.select(samples.c.id).where(*same)) is None:
        number = connection.scalar(
            samples.insert()
            .values(
                batch_id=batch.id,
                size=size,
                seed=seed,
                population=len(accepted),
                drawn=datetime.now(UTC),
            )
            .returning(samples.c.id)
        )
        connection.execute(
            sampled.insert(), [{"sample_id": number, "patch_id": row.id} for row in rows]
        )
    return [Place(row.strip, row.left) for row in rows]


def audits(connection: sa.Connection, batch: Row, reviewed: Sequence[Reviewed]) -> list[Audit]:
    """What each sample of a batch says, given the batch's reviewed patches."""
    human = {patch.patch_id: patch.human for patch in reviewed}
    results = []
    for sample in samples_of(connection, batch.id):
        classes = [human.get(patch_id) for patch_id in members_of(connection, sample.id)]
        decided = [name for name in classes if name is not None]
        escapes = sum(name != NORMAL for name in decided)
        complete = len(decided) == sample.size
        results.append(
            Audit(
                batch=batch.name,
                size=sample.size,
                seed=sample.seed,
                population=sample.population,
                decided=len(decided),
                escapes=escapes,
                bound=upper_bound(escapes, sample.size) if complete else None,
            )
        )
    return results
