"""The stages over a whole batch: what is kept is taken, what is missing is computed.

What is kept on disk between runs is kept by content (see `tables.content_key`), so that an
interrupted run continues where it stopped and a changed setting costs only what depends on it.
An engine fills the store, in whatever order; rows are then made of the store alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from inspection.errors import ReportFolderError
from inspection.pipeline.classifier import PATCH_COLUMNS
from inspection.pipeline.engines import (
    Asked,
    Classify,
    Done,
    Explain,
    Kept,
    StripToClassify,
    StripToExplain,
)
from inspection.pipeline.explainer import EVIDENCE_COLUMNS
from inspection.pipeline.judged import NOT_JUDGED, why_not_judged
from inspection.pipeline.policy import Proposal, flag, probability_column, propose
from inspection.pipeline.record import Run
from inspection.pipeline.runner_up import add_runner_up
from inspection.pipeline.strips import StripFile, strip_rows
from inspection.store import pictures
from inspection.store.fields import flagged_column
from inspection.store.folder import ReportFolder
from inspection.store.frames import rows
from inspection.store.tables import content_key, patch_key
from severstal_prep.images import is_whole_jpeg
from sise.progress import track
from sise.status import OK

STRIPS_AT_ONCE = 8
_RUNNER_UP = ["runner_up_status", "runner_up_forwards", "runner_up_similarity"]
_TEXTS = ["region_contour", "runner_up", "runner_up_status", "runner_up_map_path"]
_PATHS = ["raw_path", "overlay_path", "map_path", "runner_up_map_path"]
_ROUNDS = 3
"""How often what was kept and cannot be read is computed anew."""


def inspect_strips(run: Run, folder: ReportFolder) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All stages up to "render" for the strips of the run's batch: rows of patches, of strips."""
    return explain_strips(*classify_strips(run, folder), run, folder)


def classify_strips(run: Run, folder: ReportFolder) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stages "read", "classify" and "flag" over the batch: rows of patches, and of strips with
    what the policy proposes."""
    patches, strips = classify_batch(run, folder)
    patches = flag(patches, run.model.classes, run.thresholds, run.policy)
    return patches, dispose(strips, patches, run)


def explain_strips(
    patches: pd.DataFrame, strips: pd.DataFrame, run: Run, folder: ReportFolder
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stages "explain", "measure" and "render" over rows of `classify_strips`.

    A strip that changed since it was classified is no longer among the patches, and told as one
    that could not be read.
    """
    patches, gone = explain_batch(patches, run, folder)
    if gone:
        strips = dispose(_without(strips, gone), patches, run)
    return patches, strips.assign(**_strip_pictures(strips, patches, run))


def _without(strips: pd.DataFrame, gone: Mapping[str, str]) -> pd.DataFrame:
    """Rows of strips, those that are gone with the reason for it."""
    lost = strips["strip_id"].isin(list(gone))
    return strips.assign(
        status=strips["status"].mask(lost, "unreadable"),
        reason=strips["reason"].mask(lost, strips["strip_id"].map(gone)),
        **{name: strips[name].mask(lost) for name in ("width", "height")},
    )


def classify_batch(run: Run, folder: ReportFolder) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stages "read" and "classify" over the batch: rows of patches, and rows of strips.

    Strips get width, height, status ("inspected", "unreadable" or "not judged") and reason; only
    inspected ones have patches.
    """
    parts = run.prediction_parts()
    strips = strip_rows(run.batch.strips)
    keys = [content_key(**parts, strip=sha256) for sha256 in strips["strip_sha256"]]
    strips = strips.assign(key=keys)
    for _ in range(_ROUNDS):
        reasons = _fill_predictions(run, folder, keys)
        reason = strips["strip_id"].map(reasons).fillna("")
        kept = folder.predictions.read(dict.fromkeys(strips.loc[reason == "", "key"]))
        if (strips["key"].isin(kept["key"]) | (reason != "")).all():
            return _judged(run, folder, strips.assign(reason=reason), kept)
    raise _unsound(folder)


def _unsound(folder: ReportFolder) -> ReportFolderError:
    return ReportFolderError(f"{folder.root}: what is kept here cannot be read; is the disk sound?")


def _fill_predictions(run: Run, folder: ReportFolder, keys: Sequence[str]) -> dict[str, str]:
    """Classify the strips whose patches are not kept; the reason for those that cannot be."""
    reasons: dict[str, str] = {}
    full_size = run.settings.strip_pictures == "all"

    def missing() -> list[StripToClassify]:
        """One of each content; of those that cannot be opened, all."""
        left = {
            file.sha256 or file.strip_id: StripToClassify(file, key, full_size)
            for file, key in zip(run.batch.strips, keys, strict=True)
            if file.strip_id not in reasons and not _is_kept(folder, file, key, full_size)
        }
        return list(left.values())

    def work(todo: list[StripToClassify]) -> Iterator[object]:
        yield from range(len(keys) - len(todo))
        while todo:
            for done in run.engine(Classify(tuple(chunk)) for chunk in _chunks(todo)):
                reasons.update(done.reasons)
                folder.keep(folder.predictions, done.rows, done.pictures)
                yield from done.unit.strips
            todo = missing()

    for _ in track(work(missing()), len(keys), "classify"):
        pass
    for strip_id, reason in sorted(reasons.items()):
        folder.log("unreadable", strip_id=strip_id, reason=reason)
    return reasons


def _is_kept(folder: ReportFolder, file: StripFile, key: str, full_size: bool) -> bool:
    raw, _ = pictures.strip_paths(file.sha256)
    drawn = [pictures.thumb_path(file.sha256), *([raw] if full_size else [])]
    return key in folder.predictions and all(is_whole_jpeg(folder.root / name) for name in drawn)


def _chunks(strips: Iterable[StripToClassify]) -> Iterator[list[StripToClassify]]:
    remaining = iter(strips)
    while chunk := list(islice(remaining, STRIPS_AT_ONCE)):
        yield chunk


def _judged(
    run: Run, folder: ReportFolder, strips: pd.DataFrame, kept: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    columns = [*PATCH_COLUMNS, *(probability_column(name) for name in run.model.classes)]
    if kept.empty:
        kept = pd.DataFrame({name: np.empty(0) for name in columns}).astype({"strip_sha256": str})
    read = strips.loc[strips["reason"] == "", ["strip_id", "coil", "strip_sha256"]]
    patches = read.merge(kept[columns], on="strip_sha256")
    not_judged = why_not_judged(patches, run.model.classes, run.policy.black_threshold)
    for strip_id, reason in not_judged.items():
        folder.log(NOT_JUDGED, strip_id=strip_id, reason=reason)
    status = strips["reason"].map(lambda reason: "unreadable" if reason else "inspected")
    judged = strips["strip_id"].isin(list(not_judged))
    reasons = strips["reason"].mask(judged, strips["strip_id"].map(not_judged))
    strips = strips.assign(status=status.mask(judged, NOT_JUDGED), reason=reasons)
    patches = patches[~patches["strip_id"].isin(list(not_judged))].reset_index(drop=True)
    places = zip(*(patches[name] for name in ("strip_sha256", "left", "top", "size")), strict=True)
    patches = patches.assign(
        patch_key=[patch_key(sha256, int(x), int(y), int(side)) for sha256, x, y, side in places]
    )
    sizes = patches.drop_duplicates("strip_id").set_index("strip_id")
    sides = {name: strips["strip_id"].map(sizes[name]) for name in ("width", "height")}
    return patches, strips.assign(**sides)


def dispose(strips: pd.DataFrame, patches: pd.DataFrame, run: Run) -> pd.DataFrame:
    """Add patches, flagged, flagged_<class>, disposition and rule to rows of strips."""
    policy, none = run.policy, patches.iloc[:0]
    own = patches if policy.unsure is not None else patches[patches["flagged"]]
    proposals = {name: propose(rows, policy) for name, rows in own.groupby("strip_id", sort=False)}
    otherwise = propose(none, policy)
    chosen = [
        Proposal(policy.not_inspected, f"not inspected: {reason}")
        if reason
        else proposals.get(strip_id, otherwise)
        for strip_id, reason in zip(strips["strip_id"], strips["reason"], strict=True)
    ]

    def counted(rows: pd.DataFrame) -> pd.Series:
        return strips["strip_id"].map(rows["strip_id"].value_counts()).fillna(0).astype(int)

    per_class = {
        flagged_column(name): counted(patches[patches["indicated"] == name])
        for name in run.thresholds
    }
    return strips.assign(
        patches=counted(patches),
        flagged=counted(patches[patches["flagged"]]),
        **per_class,
        disposition=[proposal.disposition for proposal in chosen],
        rule=[proposal.rule for proposal in chosen],
    )


def explain_batch(
    patches: pd.DataFrame, run: Run, folder: ReportFolder
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Stages "explain", "measure" and "render" over the flagged patches, or over all: rows of
    patches, without those of strips that could not be read again, and why, by strip_id.

    A flagged patch is explained for the class it indicates, another for its predicted class; if
    the settings say so, for the runner-up, too. Adds the columns of `fields.PATCH` from
    `explained` to `agreement`, those of the runner-up, and the paths of images.
    """
    everything = run.settings.explain == "all"
    explained = patches["flagged"] | (everything & patches["steel"])
    target = patches["predicted"].where(~patches["flagged"], patches["indicated"])
    patches = patches.assign(explained=explained, target=target.where(explained, ""))
    chosen = _with_keys(patches[explained], run)
    gone: dict[str, str] = {}
    for _ in range(_ROUNDS):
        gone |= _fill_explanations(chosen, run, folder)
        patches, chosen = (rows[~rows["strip_id"].isin(list(gone))] for rows in (patches, chosen))
        wanted = [*chosen["key"], *chosen.loc[chosen["runner_up"] != "", "runner_up_key"]]
        kept = folder.explanations.read(wanted, without="heat").set_index("key")
        if set(wanted) <= set(kept.index):
            return _with_evidence(patches, chosen, kept), gone
    raise _unsound(folder)


def _with_keys(chosen: pd.DataFrame, run: Run) -> pd.DataFrame:
    """Add the runner-up, and what both maps of each patch are kept under."""
    parts = run.explanation_parts()
    chosen = add_runner_up(chosen, run.model.classes)
    if not run.settings.runner_up:
        chosen = chosen.assign(runner_up="", runner_up_score=np.nan)
    names = zip(chosen["patch_key"], chosen["target"], chosen["runner_up"], strict=True)
    keys = [
        (
            content_key(**parts, patch=patch, target=target),
            content_key(**parts, patch=patch, target=runner_up, role="runner-up", beside=target),
        )
        for patch, target, runner_up in names
    ]
    return chosen.assign(key=[key for key, _ in keys], runner_up_key=[key for _, key in keys])


def _with_evidence(patches: pd.DataFrame, chosen: pd.DataFrame, kept: pd.DataFrame) -> pd.DataFrame:
    """The patches with what is kept of those that were chosen."""
    kept = kept.reindex(columns=[*EVIDENCE_COLUMNS, *_RUNNER_UP])
    first = kept[list(EVIDENCE_COLUMNS)].reindex(chosen["key"]).set_index(chosen.index)
    second = kept[_RUNNER_UP].reindex(chosen["runner_up_key"]).set_index(chosen.index)
    paths = pd.DataFrame(
        [asdict(pictures.patch_paths(key)) for key in chosen["patch_key"]],
        index=chosen.index,
        columns=_PATHS,
        dtype=object,
    )
    mapped = first["map_status"] == OK
    paths["overlay_path"] = paths["overlay_path"].where(mapped, "")
    paths["map_path"] = paths["map_path"].where(mapped, "")
    shown = second["runner_up_status"] == OK
    paths["runner_up_map_path"] = paths["runner_up_map_path"].where(shown, "")
    both = mapped & shown
    second["runner_up_similarity"] = second["runner_up_similarity"].where(both)
    added = pd.concat([chosen[["runner_up", "runner_up_score"]], first, second, paths], axis=1)
    joined = patches.join(added).astype({"features": object})
    texts = joined[_TEXTS].astype(object)
    return joined.assign(**{name: texts[name].where(texts[name].notna(), "") for name in _TEXTS})


def _fill_explanations(chosen: pd.DataFrame, run: Run, folder: ReportFolder) -> dict[str, str]:
    """Explain the patches whose maps are not kept, and draw all; why strips could not be read."""
    reasons: dict[str, str] = {}

    def work() -> Iterator[object]:
        count = 0
        for done in run.engine(_units(chosen, run, folder)):
            reasons.update(done.reasons)
            folder.keep(folder.explanations, done.rows, done.pictures)
            if isinstance(done.unit, Explain):
                _log(done, done.unit, folder)
                for strip in done.unit.strips:
                    count += len(strip.patches)
                    yield from strip.patches
        yield from range(len(chosen) - count)  # patches of strips that are there twice

    for _ in track(work(), len(chosen), "explain"):
        pass
    for strip_id, reason in sorted(reasons.items()):
        folder.log("unreadable", strip_id=strip_id, reason=reason)
    return reasons


def _log(done: Done, unit: Explain, folder: ReportFolder) -> None:
    """A line for each map that was made, with its share of the seconds."""
    if done.rows.empty:
        return
    made = {row.key: row for row in rows(done.rows.drop(columns="heat"))}
    seconds = round(done.seconds / len(made), 2)
    for strip in unit.strips:
        for one in strip.patches:
            place = {"strip_id": strip.file.strip_id, "left": one.left, "top": one.top}
            if one.key in made:
                said = {"target": one.target, "map_status": made[one.key].map_status}
                folder.log("explained", **place, **said, seconds=seconds)
            if one.runner_up_key in made:
                status = made[one.runner_up_key].runner_up_status
                said = {"target": one.runner_up, "role": "runner-up", "map_status": status}
                folder.log("explained", **place, **said, seconds=seconds)


def _units(chosen: pd.DataFrame, run: Run, folder: ReportFolder) -> Iterator[Explain]:
    """Whole strips, each content once, together until they fill the passes."""
    files = {file.strip_id: file for file in run.batch.strips}
    unique = chosen.drop_duplicates(["strip_sha256", "left", "top"])
    strips: list[tuple[StripFile, list[Any]]] = []
    missing = 0
    for strip_id, own in unique.groupby("strip_id", sort=False):
        strips.append((files[str(strip_id)], [*rows(own)]))
        missing += sum(key not in folder.explanations for key in own["key"])
        if missing >= run.engine.patches_at_once or len(strips) >= STRIPS_AT_ONCE:
            yield _unit(strips, folder, run)
            strips, missing = [], 0
    if strips:
        yield _unit(strips, folder, run)


def _unit(
    strips: Sequence[tuple[StripFile, Sequence[Any]]], folder: ReportFolder, run: Run
) -> Explain:
    wanted = [key for _, own in strips for row in own for key in (row.key, row.runner_up_key)]
    known = {row.key: _kept(row, run.model.patch) for row in rows(folder.explanations.read(wanted))}
    explained_only = run.settings.strip_pictures == "explained"
    return Explain(
        tuple(
            StripToExplain(file, tuple(_asked(row, known) for row in own), explained_only)
            for file, own in strips
        )
    )


def _kept(row: Any, size: int) -> Kept:
    status = row.map_status if isinstance(row.map_status, str) else row.runner_up_status
    return Kept(status, np.frombuffer(row.heat, np.uint8).reshape(size, size))


def _asked(row: Any, known: Mapping[str, Kept]) -> Asked:
    return Asked(
        patch_key=row.patch_key,
        left=int(row.left),
        top=int(row.top),
        target=row.target,
        key=row.key,
        known=known.get(row.key),
        runner_up=row.runner_up,
        runner_up_key=row.runner_up_key,
        known_runner_up=known.get(row.runner_up_key),
    )


def _strip_pictures(strips: pd.DataFrame, patches: pd.DataFrame, run: Run) -> dict[str, list[str]]:
    """Paths of each strip's images: a thumbnail if it was read, its maps if it is explained, the
    strip itself by the settings."""
    every = run.settings.strip_pictures == "all"
    explained = set(patches.loc[patches["explained"], "strip_id"])
    thumbs, raws, overlays = [], [], []
    for strip in rows(strips):
        readable, marked = strip.status == "inspected", strip.strip_id in explained
        thumbs.append(pictures.thumb_path(strip.strip_sha256) if readable else "")
        raw, over = pictures.strip_paths(strip.strip_sha256)
        raws.append(raw if marked or (every and readable) else "")
        overlays.append(over if marked else "")
    return {"thumb_path": thumbs, "raw_path": raws, "overlay_path": overlays}
