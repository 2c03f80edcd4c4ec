"""The pipeline, as a watcher needs it: a few strips at a time, and a report of what is stored."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from inspection.pipeline.engines import Done, Engine, Explain, StripToExplain, Unit
from inspection.pipeline.record import Run, fingerprint
from inspection.pipeline.run import make_report, resolve
from inspection.pipeline.settings import Settings
from inspection.pipeline.stages import inspect_strips
from inspection.pipeline.strips import Batch, StripFile
from inspection.store.fields import flagged_column
from inspection.store.folder import ReportFolder
from inspection.store.frames import records
from inspection.store.pictures import patch_paths, strip_paths
from sise.progress import silent
from sise.status import OK


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
        self._folder = ReportFolder(settings.out)

    def judge(self, copies: Path, out: Path, strips: Sequence[StripFile]) -> list[Judged]:
        """Inspect strips of the batch whose copies lie in `copies` into the report folder `out`.

        All that a report needs is stored there. Raises ReportFolderError for a folder of others,
        InUseError while another process writes there.
        """
        run, folder = self._of(copies, out, strips), self._opened(out)
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

    def report(
        self, copies: Path, out: Path, strips: Sequence[StripFile], settings_key: str
    ) -> None:
        """Make or renew the report of strips that were judged, under the settings of this key."""
        folder = self._opened(out)
        folder.reopen()
        run = self._of(copies, out, strips)
        if settings_key == self.settings_key:
            run = replace(run, engine=_Drawn(run.engine, out))
        with silent():
            make_report(run, time.monotonic(), folder)

    def _opened(self, out: Path) -> ReportFolder:
        """The folder, which knows what it keeps: looking for that takes longer every time."""
        if self._folder.root != out:
            self._folder = ReportFolder(out)
        return self._folder

    def _of(self, copies: Path, out: Path, strips: Sequence[StripFile]) -> Run:
        settings = replace(self._run.settings, batch=copies, out=out)
        listed = tuple(sorted(strips, key=lambda strip: strip.strip_id))
        batch = Batch(copies.name, copies.resolve(), listed, ())
        return replace(self._run, settings=settings, batch=batch)


class _Drawn:
    """An engine for strips that were judged with the same settings: what is drawn is not again."""

    def __init__(self, engine: Engine, root: Path) -> None:
        self._engine = engine
        self._root = root
        self.patches_at_once = engine.patches_at_once

    def __call__(self, units: Iterable[Unit]) -> Iterator[Done]:
        for unit in units:
            if isinstance(unit, Explain) and all(map(self._is_there, unit.strips)):
                yield Done(unit, pd.DataFrame(), {}, {}, 0.0)
            else:
                yield from self._engine([unit])

    def close(self) -> None:
        """The engine is another's."""

    def _is_there(self, strip: StripToExplain) -> bool:
        paths = [*strip_paths(strip.file.sha256)]
        for one in strip.patches:
            if one.known is None or (one.runner_up and one.known_runner_up is None):
                return False
            own = patch_paths(one.patch_key)
            paths.append(own.raw_path)
            if one.known.status == OK:
                paths += [own.overlay_path, own.map_path]
            if one.known_runner_up is not None and one.known_runner_up.status == OK:
                paths.append(own.runner_up_map_path)
        return all((self._root / path).is_file() for path in paths)
