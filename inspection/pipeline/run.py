"""The stages in a row: read → classify → flag → explain → measure → hold against → render."""

import time
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from inspection.errors import BatchError
from inspection.pipeline.classifier import load_classifier
from inspection.pipeline.engines import classify_batch, dispose, explain_batch
from inspection.pipeline.explainer import make_explainer
from inspection.pipeline.policy import (
    default_policy,
    flag,
    read_policy,
    resolve_confidence,
    resolve_thresholds,
)
from inspection.pipeline.record import Run, count, exit_status, fingerprint, make_record
from inspection.pipeline.settings import Settings
from inspection.pipeline.strips import Batch, list_batch
from inspection.quality.figures import Background, Figures, as_json, work_out
from inspection.quality.gradcam_agreement import make_gradcam
from inspection.quality.ground_truth import add_ground_truth
from inspection.quality.history import SAME_STRIPS, history
from inspection.quality.labels import Truth, check_labels, match, read_labels
from inspection.quality.weak import judge, rank
from inspection.report.build import build
from inspection.report.render import write_report
from inspection.store import pictures
from inspection.store.fields import patch_schema, strip_schema
from inspection.store.folder import FIGURES, ReportFolder, utc_now
from inspection.store.frames import rows
from inspection.store.reading import OpenedReport, open_report
from inspection.store.tables import write_flagged_csv, write_json, write_table
from sise.outputs import check_apart
from sise.progress import note


@dataclass(frozen=True)
class Finished:
    """A whole report. `record` is its batch.json; `seconds` is the time that this run took."""

    folder: ReportFolder
    record: dict[str, Any]
    up_to_date: bool
    seconds: float


def inspect(settings: Settings, batch: Batch | None = None) -> Finished:
    """Inspect a batch and write its report; continue or renew the one in `settings.out`.

    `batch` is what is in `settings.batch`, if it is not given.

    Raises an InspectionError, PrepError (labels), BundleError or SiseError for what a user can
    cure.
    """
    begun = time.monotonic()
    earlier_reports = [one for one in settings.earlier if not _is_out(one, settings)]
    check_apart(settings.out, [settings.bundle, *earlier_reports])
    return make_report(resolve(settings, batch), begun)


def make_report(run: Run, begun: float) -> Finished:
    """Inspect what of `run.batch` is not yet stored in `run.settings.out`, and write its report.

    `begun` is when the run began, by time.monotonic. Raises as `inspect`.
    """
    folder = ReportFolder(run.settings.out)
    with folder.open_for(run.batch):
        return _inspect(run, folder, begun)


def _inspect(run: Run, folder: ReportFolder, begun: float) -> Finished:
    earlier = folder.finished(fingerprint(run))
    if earlier is not None:
        return Finished(folder, earlier, True, time.monotonic() - begun)
    if folder.sealed:
        note(f"{folder.root}: a report of other settings is here and is replaced; its seal ends")
    folder.reopen()
    started = utc_now()
    folder.log("started", batch=run.batch.name, fingerprint=fingerprint(run))
    try:
        content = _run_stages(run, folder, started)
    except KeyboardInterrupt:
        folder.log("interrupted")
        raise
    seconds = time.monotonic() - begun
    folder.log("finished", exit_status=content["exit_status"], seconds=round(seconds, 1))
    return Finished(folder, content, False, seconds)


def resolve(settings: Settings, batch: Batch | None = None) -> Run:
    """Check and load everything that a run needs, before any work is done.

    `batch` is listed if it is not given.
    """
    size = settings.mm_per_px
    if size is not None and not (isfinite(size) and size > 0):
        raise BatchError(f"--mm-per-px must be a positive number of mm, not {size:g}")
    batch = list_batch(settings.batch) if batch is None else batch
    policy = default_policy() if settings.policy is None else read_policy(settings.policy.resolve())
    if not policy.rules:
        note(f"note: {policy.source} has no rules: every judged strip is {policy.otherwise}")
    classifier = load_classifier(
        settings.bundle,
        settings.device,
        settings.precision,
        settings.batch_size,
        settings.backend,
    )
    policy = resolve_confidence(policy, classifier.bundle.card.metrics)
    stride = settings.stride
    if stride is not None and not 1 <= stride <= classifier.patch:
        raise BatchError(f"--stride must be 1 to {classifier.patch} px, not {stride}")
    thresholds = resolve_thresholds(policy, classifier.classes, classifier.bundle.card.thresholds)
    labels = None if settings.truth is None else read_labels(settings.truth)
    if labels is not None:
        check_labels(labels, [strip.strip_id for strip in batch.strips], classifier.classes)
    earlier = tuple(
        open_report(folder) for folder in settings.earlier if not _is_out(folder, settings)
    )
    return Run(settings, batch, classifier, policy, thresholds, settings.sise, labels, earlier)


def _is_out(folder: Path, settings: Settings) -> bool:
    return folder.resolve() == settings.out.resolve()


def _run_stages(run: Run, folder: ReportFolder, started: str) -> dict[str, Any]:
    classes = run.classifier.classes
    patches, strips = classify_batch(run, folder)
    patches = flag(patches, classes, run.thresholds, run.policy.black_threshold)
    strips = dispose(strips, patches, run)
    truth = None if run.labels is None else match(run.labels, strips, classes)
    explainer = make_explainer(run.classifier, run.sise, run.settings.batch_size)
    gradcam = make_gradcam(run.classifier)
    patches = explain_batch(patches, strips, run, folder, explainer, gradcam)
    patches = rank(judge(patches, run.policy.weak))
    patches = add_ground_truth(patches, truth, classes, folder.root)
    strips = strips.assign(**_strip_pictures(strips, patches))

    counts = count(run.batch, strips, patches)
    status = exit_status(counts, run.settings.fail_on)
    content = make_record(run, counts, started, utc_now(), status)
    patches = write_table(folder.root / "results.parquet", patches, patch_schema(classes))
    strips = write_table(folder.root / "strips.parquet", strips, strip_schema(classes))
    write_flagged_csv(folder.root / "flagged.csv", patches)
    figures = _figures(run, OpenedReport(folder.root, content, patches, strips), truth)
    write_json(folder.root / FIGURES, as_json(figures))
    write_report(build(content, strips, patches, figures), folder.root)
    seal = folder.finish(content, {*_images(strips), *_images(patches)})
    folder.log("sealed", seal=seal)
    return content


def _figures(run: Run, report: OpenedReport, truth: Truth | None) -> Figures:
    settings = run.settings
    compared = history(report, run.earlier, settings.by)
    itself = tuple((str(f), SAME_STRIPS) for f in settings.earlier if _is_out(f, settings))
    compared = replace(compared, left_out=compared.left_out + itself)
    metrics = run.classifier.bundle.card.metrics
    return work_out(report, Background(compared, settings.by, truth, metrics))


def _strip_pictures(strips: pd.DataFrame, patches: pd.DataFrame) -> dict[str, list[str]]:
    """Paths of each strip's images: a thumbnail if it was read, the rest if it is explained."""
    explained = set(patches.loc[patches["explained"], "strip_id"])
    thumbs, raws, overlays = [], [], []
    for strip in rows(strips):
        readable, marked = strip.status == "inspected", strip.strip_id in explained
        thumbs.append(pictures.thumb_path(strip.strip_sha256) if readable else "")
        raw, over = pictures.strip_paths(strip.strip_sha256)
        raws.append(raw if marked else "")
        overlays.append(over if marked else "")
    return {"thumb_path": thumbs, "raw_path": raws, "overlay_path": overlays}


def _images(rows: pd.DataFrame) -> set[str]:
    names = ["thumb_path", "raw_path", "overlay_path", "map_path", "runner_up_map_path"]
    columns = rows.columns.intersection(names)
    return {path for name in columns for path in rows[name].dropna() if path}
