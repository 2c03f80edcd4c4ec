"""The stages over a whole batch: what is stored is taken, what is missing is computed.

What is kept on disk between runs is kept by content (see `results.content_key`), strip by
strip and patch by patch, so that an interrupted run continues where it stopped and a changed
setting costs only what depends on it.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import pandas as pd

from inspection.errors import BatchError
from inspection.pipeline.classifier import classify
from inspection.pipeline.explainer import MEASURES, explain, measure
from inspection.pipeline.judged import NOT_JUDGED, why_not_judged
from inspection.pipeline.policy import Proposal, propose
from inspection.pipeline.record import Run
from inspection.pipeline.runner_up import add_runner_up, similarity
from inspection.pipeline.strips import StripFile, read, strip_rows
from inspection.quality.gradcam_agreement import agree
from inspection.store import pictures
from inspection.store.fields import flagged_column
from inspection.store.folder import ReportFolder
from inspection.store.frames import arrays, rows
from inspection.store.tables import content_key
from sise.explanation import Explainer
from sise.overlay import to_grey
from sise.progress import track

STRIPS_AT_ONCE = 8
_EXPLANATION = ["map_status", "forwards", *MEASURES, "region_contour", "agreement"]
_RUNNER_UP = ["runner_up", "runner_up_score", "runner_up_status", "runner_up_forwards"]
_ADDED = [
    *_EXPLANATION,
    *_RUNNER_UP,
    "runner_up_similarity",
    "raw_path",
    "overlay_path",
    "map_path",
    "runner_up_map_path",
]
_IDENTITY = ["strip_id", "left", "top", "patch_key"]
_TEXTS = ["region_contour", "runner_up", "runner_up_status", "runner_up_map_path"]


def classify_batch(run: Run, folder: ReportFolder) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stages "read" and "classify" over the batch: rows of patches, and rows of strips.

    Strips get width, height, status ("inspected", "unreadable" or "not judged") and reason; only
    inspected ones have patches.
    """
    tables = [classify(read(strip_rows([])), run.classifier, run.stride)]
    statuses: list[str] = []
    reasons: list[str] = []
    for table, reason in track(_classified(run, folder), len(run.batch.strips), "classify"):
        status = "unreadable" if reason else "inspected"
        if not reason:
            reason = why_not_judged(table, run.classifier.classes, run.policy.black_threshold)
            status = NOT_JUDGED if reason else status
        if status != "inspected":
            strip_id = run.batch.strips[len(statuses)].strip_id
            folder.log(status, strip_id=strip_id, reason=reason)
        tables.append(table if status == "inspected" else table.iloc[:0])
        statuses.append(status)
        reasons.append(reason)
    strips = strip_rows(run.batch.strips).assign(status=statuses, reason=reasons)
    patches = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    sizes = patches.drop_duplicates("strip_id").set_index("strip_id")
    sides = {name: strips["strip_id"].map(sizes[name]) for name in ("width", "height")}
    return patches, strips.assign(**sides)


def _classified(run: Run, folder: ReportFolder) -> Iterator[tuple[pd.DataFrame, str]]:
    """The patches of each strip, in order; no rows, and why, where it cannot be inspected."""
    remaining = iter(run.batch.strips)
    while chunk := list(islice(remaining, STRIPS_AT_ONCE)):
        stored = [_stored_predictions(strip, run, folder) for strip in chunk]
        fresh = [strip for strip, table in zip(chunk, stored, strict=True) if table is None]
        computed = iter(_classify_fresh(fresh, run, folder))
        for strip, table in zip(chunk, stored, strict=True):
            own, reason = next(computed) if table is None else (table, "")
            # Shards are kept by content, which two strips of the batch may share.
            yield own.assign(strip_id=strip.strip_id, coil=strip.coil), reason


def _stored_predictions(strip: StripFile, run: Run, folder: ReportFolder) -> pd.DataFrame | None:
    if not (folder.root / pictures.thumb_path(strip.sha256)).is_file():
        return None
    return folder.predictions.get(_prediction_key(run, strip.sha256))


def _prediction_key(run: Run, strip_sha256: str) -> str:
    return content_key(**run.prediction_parts(), strip=strip_sha256)


def _classify_fresh(
    strips: list[StripFile], run: Run, folder: ReportFolder
) -> Iterator[tuple[pd.DataFrame, str]]:
    read_strips = read(strip_rows(strips), run.classifier.patch)
    readable = read_strips[read_strips["reason"] == ""]
    predictions = classify(readable, run.classifier, run.stride)
    for strip in rows(read_strips):
        own = predictions[predictions["strip_id"] == strip.strip_id]
        if not strip.reason:
            pictures.draw_thumb(strip.pixels, strip.strip_sha256, folder.root)
            folder.predictions.put(_prediction_key(run, strip.strip_sha256), own)
        yield own, strip.reason


def dispose(strips: pd.DataFrame, patches: pd.DataFrame, run: Run) -> pd.DataFrame:
    """Add patches, flagged, flagged_<class>, disposition and rule to rows of strips."""
    groups = dict(iter(patches.groupby("strip_id")))
    none = patches.iloc[:0]
    own = [groups.get(strip_id, none) for strip_id in strips["strip_id"]]
    proposals = [
        Proposal(run.policy.not_inspected, f"not inspected: {reason}")
        if reason
        else propose(rows, run.policy)
        for rows, reason in zip(own, strips["reason"], strict=True)
    ]
    per_class = {
        flagged_column(name): [int((rows["indicated"] == name).sum()) for rows in own]
        for name in run.thresholds
    }
    return strips.assign(
        patches=[len(rows) for rows in own],
        flagged=[int(rows["flagged"].sum()) for rows in own],
        **per_class,
        disposition=[proposal.disposition for proposal in proposals],
        rule=[proposal.rule for proposal in proposals],
    )


def explain_batch(
    patches: pd.DataFrame,
    strips: pd.DataFrame,
    run: Run,
    folder: ReportFolder,
    explainer: Explainer,
    gradcam: Explainer,
) -> pd.DataFrame:
    """Stages "explain", "measure" and "render" over the flagged patches, or over all.

    A flagged patch is explained for the class it indicates, another for its predicted class; if
    the settings say so, for the runner-up, too. Adds the columns of `fields.PATCH` from
    `explained` to `agreement`, those of the runner-up, and the paths of images.
    """
    everything = run.settings.explain == "all"
    explained = patches["flagged"] | (everything & patches["steel"])
    target = patches["predicted"].where(~patches["flagged"], patches["indicated"])
    patches = patches.assign(explained=explained, target=target.where(explained, ""))
    chosen = patches[patches["explained"]]
    work = _explained(chosen, strips, run, folder, explainer, gradcam)
    done = list(track(work, len(chosen), "explain"))
    if done:
        patches = patches.join(pd.concat(done)[_ADDED])
    else:
        patches = patches.reindex(columns=[*patches.columns, *_ADDED])
    texts = patches[_TEXTS].astype(object)
    return patches.assign(**{name: texts[name].where(texts[name].notna(), "") for name in _TEXTS})


def _explained(
    chosen: pd.DataFrame,
    strips: pd.DataFrame,
    run: Run,
    folder: ReportFolder,
    explainer: Explainer,
    gradcam: Explainer,
) -> Iterator[pd.DataFrame]:
    """A one-row frame per patch, strip by strip, so that one strip's pixels are held at a time."""
    for strip_id, own in chosen.groupby("strip_id", sort=False):
        here = strips.loc[strips["strip_id"] == strip_id, ["path", "strip_sha256"]]
        strip = read(here, run.classifier.patch).iloc[0]
        if strip["reason"]:
            raise BatchError(f"{strip['path']}: {strip['reason']}")
        maps = []
        for index in own.index:
            patch = _explain_patch(
                own.loc[[index]], strip["pixels"], run, folder, explainer, gradcam
            )
            drawn = pictures.draw_patches(patch, folder.root)
            maps.append(drawn[["left", "top", "heat", "map_status"]])
            yield drawn.drop(columns=["pixels", "heat", "runner_up_heat"])
        pictures.draw_strip(strip["pixels"], pd.concat(maps), strip["strip_sha256"], folder.root)


def _explain_patch(
    patch: pd.DataFrame,
    strip: npt.NDArray[np.uint8],
    run: Run,
    folder: ReportFolder,
    explainer: Explainer,
    gradcam: Explainer,
) -> pd.DataFrame:
    """The row with pixels, heat (H, W) uint8, map_status, forwards and measures; with the
    runner-up's columns, and its map as `runner_up_heat` (H, W) uint8, None if it is not asked
    for."""
    left, top, size = (int(patch[name].iloc[0]) for name in ("left", "top", "size"))
    patch = _with_array(patch, "pixels", strip[top : top + size, left : left + size])

    def compute() -> pd.DataFrame:
        explained = explain(patch, run.classifier, explainer)
        measured = measure(explained, run.classifier, run.sise.fill)
        return _kept(agree(measured, run.classifier, gradcam), _EXPLANATION)

    known = _stored_or(compute, patch, run, folder)
    heat = _heat(known, size)
    row = _with_array(patch.join(known[_EXPLANATION].set_axis(patch.index)), "heat", heat)
    return _explain_runner_up(row, run, folder, explainer)


def _explain_runner_up(
    patch: pd.DataFrame, run: Run, folder: ReportFolder, explainer: Explainer
) -> pd.DataFrame:
    if not run.settings.runner_up:
        return _with_array(patch, "runner_up_heat", None).assign(
            runner_up="",
            runner_up_score=np.nan,
            runner_up_status="",
            runner_up_forwards=np.nan,
            runner_up_similarity=np.nan,
        )
    patch = add_runner_up(patch, run.classifier.classes)
    asked = patch[[*_IDENTITY, "pixels"]].assign(target=patch["runner_up"])

    def compute() -> pd.DataFrame:
        return _kept(explain(asked, run.classifier, explainer), ["map_status", "forwards"])

    # A map alone, without measures, is another thing than an explanation of the same class.
    known = _stored_or(compute, asked, run, folder, role="runner-up")
    heat = _heat(known, int(patch["size"].iloc[0]))
    return _with_array(patch, "runner_up_heat", heat).assign(
        runner_up_status=known["map_status"].to_list(),
        runner_up_forwards=known["forwards"].to_list(),
        runner_up_similarity=similarity(patch["heat"].iloc[0], heat),
    )


def _kept(explained: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """What is stored of an explained patch: these columns, and the map as bytes."""
    return explained[columns].assign(heat=[to_grey(explained["map"].iloc[0]).tobytes()])


def _heat(stored: pd.DataFrame, size: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(stored["heat"].iloc[0], np.uint8).reshape(size, size)


def _stored_or(
    compute: Callable[[], pd.DataFrame],
    patch: pd.DataFrame,
    run: Run,
    folder: ReportFolder,
    **role: str,
) -> pd.DataFrame:
    """The explanation of a one-row patch for its target: stored, or computed, stored and logged."""
    strip_id, left, top, patch_key, target = (
        patch[name].iloc[0] for name in (*_IDENTITY, "target")
    )
    key = content_key(**run.explanation_parts(), patch=patch_key, target=target, **role)
    stored = folder.explanations.get(key)
    if stored is None:
        begun = time.monotonic()
        stored = compute()
        folder.explanations.put(key, stored)
        folder.log(
            "explained",
            strip_id=strip_id,
            left=int(left),
            top=int(top),
            target=target,
            **role,
            map_status=stored["map_status"].iloc[0],
            seconds=round(time.monotonic() - begun, 2),
        )
    return stored


def _with_array(row: pd.DataFrame, name: str, array: npt.NDArray[np.uint8] | None) -> pd.DataFrame:
    return row.assign(**{name: arrays([array], row)})
