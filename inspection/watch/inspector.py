"""The pipeline, as a watcher needs it: a few strips at a time, and a report of what is stored."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inspection.pipeline.record import Run, fingerprint
from inspection.pipeline.run import make_report, resolve
from inspection.pipeline.settings import Settings
from inspection.pipeline.stages import inspect_strips
from inspection.pipeline.strips import Batch, StripFile
from inspection.store.fields import flagged_column
from inspection.store.folder import ReportFolder
from inspection.store.frames import records
from sise.progress import silent


@dataclass(frozen=True)
class Judged:
    """What came of a strip. `status` is "inspected", "unreadable" or "not judged", and `reason`
    why it was not inspected. `flagged` counts patches by class; `patches` are those flagged, with
    left, top and size in px, class and score."""

    strip: StripFile
    status: str
    reason: str
    disposition: str
    rule: str
    flagged: dict[str, int]
    patches: tuple[dict[str, Any], ...]


class Inspector:
    """Holds the model from its beginning to its end.

    Raises as `inspection.pipeline.run.resolve`.
    """

    def __init__(self, settings: Settings) -> None:
        nothing = Batch(settings.batch.name, settings.batch, (), ())
        self._run = resolve(settings, nothing)
        self.settings_key = fingerprint(self._run)
        self.model = self._run.model.sha256

    def judge(self, copies: Path, out: Path, strips: Sequence[StripFile]) -> list[Judged]:
        """Inspect strips of the batch whose copies lie in `copies` into the report folder `out`.

        All that a report needs is stored there. Raises ReportFolderError for a folder of others,
        InUseError while another process writes there.
        """
        run, folder = self._of(copies, out, strips), ReportFolder(out)
        strips = run.batch.strips
        with silent(), folder.open_for(replace(run.batch, strips=())):
            patches, rows = inspect_strips(run, folder)
        found: dict[str, list[dict[str, Any]]] = {strip.strip_id: [] for strip in strips}
        for patch in records(patches[patches["flagged"]]):
            place = {name: int(patch[name]) for name in ("left", "top", "size")}
            told = {"class": patch["indicated"], "score": round(float(patch["score"]), 6)}
            found[patch["strip_id"]].append(place | told)
        return [
            Judged(
                strip,
                status=row["status"],
                reason=row["reason"],
                disposition=row["disposition"],
                rule=row["rule"],
                flagged={name: int(row[flagged_column(name)]) for name in run.thresholds},
                patches=tuple(found[strip.strip_id]),
            )
            for strip, row in zip(strips, records(rows), strict=True)
        ]

    def report(self, copies: Path, out: Path, strips: Sequence[StripFile]) -> None:
        """Make or renew the report of strips that were judged."""
        ReportFolder(out).reopen()
        with silent():
            make_report(self._of(copies, out, strips), time.monotonic())

    def _of(self, copies: Path, out: Path, strips: Sequence[StripFile]) -> Run:
        settings = replace(self._run.settings, batch=copies, out=out)
        listed = tuple(sorted(strips, key=lambda strip: strip.strip_id))
        batch = Batch(copies.name, copies.resolve(), listed, ())
        return replace(self._run, settings=settings, batch=batch)
