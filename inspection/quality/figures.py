"""All figures of a finished report in one place: what a page shows, and a program reads."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inspection.pipeline.settings import By
from inspection.quality.confidence import Bin, Reliability, confidence, histogram, reliability
from inspection.quality.drift import NO_REFERENCE, Drift, Reference, drift, reference
from inspection.quality.ground_truth import HeldAgainst, hold_against
from inspection.quality.history import History, read_history, subgroups
from inspection.quality.labels import RULE, read_truth
from inspection.quality.laney import Chart, chart
from inspection.quality.localisation import Localisation, summarise
from inspection.quality.outcomes import Outcomes, outcomes
from inspection.store.reading import OpenedReport
from inspection.words import word
from sise.bundle import read_card
from sise.statistics import Rate


@dataclass(frozen=True)
class TruthFigures:
    """What the truth says of a batch; `unlisted` counts strips that the label file leaves out,
    which are normal if `unlisted_is_normal`, otherwise not counted."""

    rule: str
    labels_sha256: str
    unlisted: int
    unlisted_is_normal: bool
    outcomes: Outcomes
    localisation: Localisation
    reliability: Reliability


@dataclass(frozen=True)
class Figures:
    """`truth` is None if no label file was given; `reference` are the scores of training, None if
    they are not known; `drift` is None if there is nothing to compare, `no_drift` says why.
    `left_out`: earlier reports not in the chart, and why."""

    chart: Chart
    left_out: tuple[tuple[str, str], ...]
    confidence: tuple[Bin, ...]
    reference: Reference | None
    drift: Drift | None
    no_drift: str
    truth: TruthFigures | None


@dataclass(frozen=True)
class Request:
    """What to compare a report with: Severstal's label file, earlier reports (a subgroup per
    `by`), and the model bundle, whose card has the reference of the scores."""

    truth: Path | None = None
    earlier: Sequence[Path] = ()
    by: By = "strip"
    bundle: Path | None = None


@dataclass(frozen=True)
class Background:
    """The same, read. `metrics` are those of the bundle's card, None if there is no bundle."""

    history: History
    by: By
    truth: HeldAgainst | None
    metrics: Mapping[str, Any] | None


def figures(report: OpenedReport, request: Request) -> Figures:
    """Work out a report's figures.

    Raises TruthError and AnnotationError for labels, ReportFolderError for earlier reports, and
    BundleError for a bundle that cannot be used.
    """
    truth, bundle = request.truth, request.bundle
    background = Background(
        history=read_history(report, request.earlier, request.by),
        by=request.by,
        truth=None if truth is None else _held(report, truth),
        metrics=None if bundle is None else read_card(bundle).metrics,
    )
    return work_out(report, background)


def work_out(report: OpenedReport, background: Background) -> Figures:
    """The figures of a report against what was read."""
    known, moved, why_not = _drift(report, background.metrics)
    own = subgroups(report.record["batch"], report.patches, background.by)
    truth = background.truth
    return Figures(
        chart=chart(own, background.history.subgroups),
        left_out=background.history.left_out,
        confidence=histogram(report.patches, report.classes),
        reference=known,
        drift=moved,
        no_drift=why_not,
        truth=None if truth is None else truth_figures(truth, report.classes),
    )


def _held(report: OpenedReport, labels: Path) -> HeldAgainst:
    truth = read_truth(labels, report.strips, report.classes)
    return hold_against(report.patches, truth, report.classes, report.root)


def truth_figures(held: HeldAgainst, classes: Sequence[str]) -> TruthFigures:
    """What the truth says of a batch; `classes` in the order of the model's outputs."""
    truth, patches = held.truth, held.patches
    return TruthFigures(
        rule=RULE,
        labels_sha256=truth.sha256,
        unlisted=truth.unlisted,
        unlisted_is_normal=truth.unlisted_is_normal,
        outcomes=outcomes(patches, classes),
        localisation=summarise(patches[patches["explained"]]),
        reliability=reliability(patches, classes),
    )


def _drift(
    report: OpenedReport, metrics: Mapping[str, Any] | None
) -> tuple[Reference | None, Drift | None, str]:
    if metrics is None:
        return None, None, word("no bundle was given")
    known = reference(metrics)
    if known is None:
        return None, None, NO_REFERENCE
    judged = report.patches[report.patches["steel"]]
    strips = judged["strip_id"].factorize()[0]
    moved = drift(np.asarray(confidence(judged, report.classes)), strips, known)
    return known, moved, "" if moved else word("no patch shows steel")


def as_json(figures: Figures) -> dict[str, Any]:
    """The figures as JSON values; each rate with its share and 95 % interval."""
    return asdict(figures, dict_factory=_with_rates) | {"drift": _drift_json(figures.drift)}


def _drift_json(moved: Drift | None) -> dict[str, Any] | None:
    return None if moved is None else asdict(moved) | {"level": moved.level}


def _with_rates(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(entries)
    if content.keys() == {"hits", "trials"}:
        rate = Rate(**content)
        content |= {"share": rate.share, "interval": rate.interval}
    return content
