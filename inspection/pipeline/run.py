"""The stages in a row: read → classify → flag → explain → measure → hold against → render."""

import time
from contextlib import closing
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from inspection.coil.marks import BatchMark, roll_marks, strips_with
from inspection.coil.periods import Search
from inspection.coil.positions import place_patches, place_strips
from inspection.errors import BatchError, EngineError, PolicyError
from inspection.pipeline.classifier import Classifier, Model, describe_model, load_classifier
from inspection.pipeline.engines import (
    Engine,
    LocalEngine,
    ProcessEngine,
    Worker,
    WorkerOptions,
)
from inspection.pipeline.policy import (
    Proposal,
    RollMarkRule,
    default_policy,
    propose_for_mark,
    read_policy,
    resolve_by_card,
    resolve_thresholds,
)
from inspection.pipeline.record import (
    Run,
    count,
    exit_status,
    fingerprint,
    make_record,
    stride_of,
)
from inspection.pipeline.settings import BackendName, DeviceName, PrecisionName, Settings
from inspection.pipeline.stages import classify_strips, explain_strips
from inspection.pipeline.strips import AGAIN, Batch, list_batch
from inspection.quality.figures import Background, Figures, as_json, work_out
from inspection.quality.ground_truth import WITHOUT_TRUTH, HeldAgainst, hold_against
from inspection.quality.history import SAME_STRIPS, history
from inspection.quality.labels import Truth, check_labels, match, read_labels
from inspection.quality.similar import find_similar
from inspection.quality.weak import judge, rank
from inspection.report.build import build
from inspection.report.render import write_report
from inspection.store.fields import patch_schema, similar_schema, strip_schema
from inspection.store.folder import FIGURES, SIMILAR, ReportFolder, utc_now
from inspection.store.reading import OpenedReport, open_report
from inspection.store.tables import write_flagged_csv, write_json, write_table
from inspection.words import catalogue, speaking
from severstal_prep.engines import cluster_address
from severstal_prep.remote import named
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

    `batch` is what `settings.batch` holds, if that is known. Raises an InspectionError, PrepError
    (labels), BundleError or SiseError for what a user can cure.
    """
    begun = time.monotonic()
    earlier_reports = [one for one in settings.earlier if not _is_out(one, settings)]
    check_apart(settings.out, [settings.bundle, *earlier_reports])
    run = resolve(settings, batch)
    with closing(run.engine):
        return make_report(run, begun)


def make_report(run: Run, begun: float, folder: ReportFolder | None = None) -> Finished:
    """Inspect what of `run.batch` is not yet stored in `run.settings.out`, and write its report.

    `begun` is when the run began, by time.monotonic; `folder` is that of `run.settings.out`, if it
    is known. Raises as `inspect`.
    """
    folder = ReportFolder(run.settings.out) if folder is None else folder
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
    """Check and load everything that a run needs, before any work is done."""
    size = settings.mm_per_px
    if size is not None and not (isfinite(size) and size > 0):
        raise BatchError(f"--mm-per-px must be a positive number of mm, not {size:g}")
    catalogue(settings.language)
    batch = list_batch(settings.batch) if batch is None else batch
    policy = default_policy() if settings.policy is None else read_policy(settings.policy.resolve())
    if not policy.rules:
        note(f"note: {policy.source} has no rules: every judged strip is {policy.otherwise}")
    cluster = _cluster(settings)
    here = settings.jobs == 1 and cluster is None
    classifier = load_classifier(settings.bundle, *_asked(settings)) if here else None
    model = _describe(settings, cluster) if classifier is None else classifier.model
    policy = resolve_by_card(policy, model.card.metrics)
    if settings.stride is not None and not 1 <= settings.stride <= model.patch:
        raise BatchError(f"--stride must be 1 to {model.patch} px, not {settings.stride}")
    thresholds = resolve_thresholds(policy, model.classes, model.card.thresholds)
    labels = None if settings.truth is None else read_labels(settings.truth)
    if labels is not None:
        check_labels(labels, [strip.strip_id for strip in batch.strips], model.classes)
    earlier = tuple(
        open_report(folder) for folder in settings.earlier if not _is_out(folder, settings)
    )
    options = WorkerOptions(
        settings.bundle, model, stride_of(settings, model), settings.sise, settings.batch_size
    )
    engine = _engine(options, classifier, cluster, settings.jobs)
    return Run(settings, batch, model, engine, policy, thresholds, labels, earlier)


def _cluster(settings: Settings) -> str | None:
    """The address of the Ray cluster that does the work, None for this machine."""
    if settings.engine == "ray":
        return cluster_address(settings.ray_address)
    if settings.ray_address is not None:
        raise EngineError("--ray-address belongs to --engine ray: add that, or leave it out")
    return None


def _engine(
    options: WorkerOptions, classifier: Classifier | None, cluster: str | None, jobs: int
) -> Engine:
    if cluster is not None:
        from inspection.pipeline.ray_engine import RayEngine

        return RayEngine(options, cluster, jobs)
    if classifier is not None:
        return LocalEngine(Worker(classifier, options))
    return ProcessEngine(options, jobs)


def _describe(settings: Settings, cluster: str | None) -> Model:
    if cluster is None:
        return describe_model(settings.bundle, *_asked(settings))
    from inspection.pipeline.ray_engine import describe_on

    return describe_on(cluster, settings.bundle, *_asked(settings))


def _asked(
    settings: Settings,
) -> tuple[DeviceName, PrecisionName, int | Literal["auto"], BackendName]:
    """How the model is to run."""
    return settings.device, settings.precision, settings.batch_size, settings.backend


def _is_out(folder: Path, settings: Settings) -> bool:
    return folder.resolve() == settings.out.resolve()


def _run_stages(run: Run, folder: ReportFolder, started: str) -> dict[str, Any]:
    classes = run.model.classes
    patches, strips = classify_strips(run, folder)
    run, strips = _without_changed(run, strips)
    truth = _truth(run, strips)  # before any map is made, as it may be refused
    patches, strips = explain_strips(patches, strips, run, folder)
    run, strips = _without_changed(run, strips)
    truth = truth and _truth(run, strips)
    patches = rank(judge(patches, run.policy.weak))
    held = None if truth is None else hold_against(patches, truth, classes, folder.root)
    patches = patches.assign(**WITHOUT_TRUTH) if held is None else held.patches
    patches, strips, marks = _along_coils(run, patches, strips)
    run = _with_pictures(run, folder)

    counts = count(run.batch, strips, patches)
    status = exit_status(counts, run.settings.fail_on)
    content = make_record(run, counts, marks, (started, utc_now()), status)
    patches = write_table(folder.root / "results.parquet", patches, patch_schema(classes))
    strips = write_table(folder.root / "strips.parquet", strips, strip_schema(classes))
    write_flagged_csv(folder.root / "flagged.csv", patches)
    report = OpenedReport(folder.root, content, patches, strips)
    similar = _similar(run, report, folder)
    figures = _figures(run, report, held)
    write_json(folder.root / FIGURES, as_json(figures))
    with speaking(run.settings.language):
        write_report(build(content, strips, patches, figures, similar), folder.root)
    catalogue_pictures = {p for entry in run.policy.classes.values() for p in entry.pictures}
    shown = {*_images(strips), *_images(patches), *_images(similar), *catalogue_pictures}
    seal = folder.finish(content, shown)
    folder.log("sealed", seal=seal)
    return content


def _along_coils(
    run: Run, patches: pd.DataFrame, strips: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[BatchMark, ...]]:
    """Where strips and patches lie along their coils, what repeats there, and what the policy
    proposes for it."""
    coils, rule = run.batch.coils, run.policy.roll_marks or RollMarkRule()
    strips = place_strips(strips, coils, run.settings.mm_per_px)
    patches = place_patches(patches, strips, coils)
    search = Search(
        rule.shortest_m, rule.longest_m, rule.tolerance_mm / 1000, rule.min_repeats,
        rule.false_alarms,
    )  # fmt: skip
    patches, marks = roll_marks(patches, strips, search)
    marked = strips_with(patches)
    told = [
        propose_for_mark(Proposal(disposition, why), run.policy)
        if strip_id in marked
        else Proposal(disposition, why)
        for strip_id, disposition, why in zip(
            strips["strip_id"], strips["disposition"], strips["rule"], strict=True
        )
    ]
    strips = strips.assign(
        disposition=[proposal.disposition for proposal in told],
        rule=[proposal.rule for proposal in told],
    )
    return patches, strips, marks


def _with_pictures(run: Run, folder: ReportFolder) -> Run:
    """The run with the pictures of its policy's defect catalogue in the report."""
    root = Path(run.policy.source).parent
    classes = {
        name: replace(
            entry,
            pictures=tuple(_picture(folder, root, picture, run) for picture in entry.pictures),
        )
        for name, entry in run.policy.classes.items()
    }
    return replace(run, policy=replace(run.policy, classes=classes))


def _picture(folder: ReportFolder, root: Path, picture: str, run: Run) -> str:
    path = folder.copy_picture(root, picture)
    if not path:
        raise PolicyError(
            f"{run.policy.source}: classes: {picture}: no whole JPEG beside the policy or below, "
            "or too large"
        )
    return path


def _truth(run: Run, strips: pd.DataFrame) -> Truth | None:
    return None if run.labels is None else match(run.labels, strips, run.model.classes)


def _without_changed(run: Run, strips: pd.DataFrame) -> tuple[Run, pd.DataFrame]:
    """A strip that changed after it was listed counts as one that could not be opened: the report
    is of other inputs than those listed, so that the same command does not take it for theirs."""
    changed = strips["reason"].str.endswith(AGAIN)
    names = set(strips.loc[changed, "strip_id"])
    files = tuple(
        replace(file, sha256="", size=0) if file.strip_id in names else file
        for file in run.batch.strips
    )
    told = strips.assign(
        strip_sha256=strips["strip_sha256"].mask(changed, ""),
        bytes=strips["bytes"].mask(changed, 0),
    )
    return replace(run, batch=replace(run.batch, strips=files)), told


def _similar(run: Run, report: OpenedReport, folder: ReportFolder) -> pd.DataFrame:
    """Find what indications are alike, and keep that with the pictures that it takes."""
    found = find_similar(report, run.earlier)
    pictures = [
        path if root is None else folder.copy_picture(root, path)
        for path, root in zip(found["raw_path"], found["root"], strict=True)
    ]
    found = found.assign(raw_path=pictures)
    return write_table(folder.root / SIMILAR, found, similar_schema())


def _figures(run: Run, report: OpenedReport, truth: HeldAgainst | None) -> Figures:
    settings = run.settings
    compared = history(report, run.earlier, settings.by)
    itself = tuple((named(str(f)), SAME_STRIPS) for f in settings.earlier if _is_out(f, settings))
    compared = replace(compared, left_out=compared.left_out + itself)
    return work_out(report, Background(compared, settings.by, truth, run.model.card.metrics))


def _images(rows: pd.DataFrame) -> set[str]:
    columns = [name for name in rows.columns if name.endswith("_path")]
    return {path for name in columns for path in rows[name].dropna() if path}
