"""What a run is made of, and what came of it: the content of batch.json."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from typing import Any

import pandas as pd

from inspection.coil.facts import facts
from inspection.coil.marks import BatchMark
from inspection.pipeline.classifier import Model
from inspection.pipeline.engines import Engine
from inspection.pipeline.judged import NOT_JUDGED, WHITE_LEVEL, WHITE_SHARE
from inspection.pipeline.policy import Policy
from inspection.pipeline.settings import SETTINGS, FailOn, Settings, SiseOptions
from inspection.pipeline.strips import Batch
from inspection.quality.gradcam_agreement import SECOND_METHOD
from inspection.quality.labels import Labels
from inspection.store.folder import FORMAT
from inspection.store.reading import OpenedReport
from inspection.store.tables import content_key
from severstal_prep.remote import named
from sise.backends import Backend
from sise.explanation import OK, REVISION
from sise.metrics import KEPT_SHARE
from sise.presets import MU

KEPT = 5
"""Goes up with every change of what is kept of an explanation, `sise.explanation.REVISION` with
every change of the map itself: what was kept before is not used, and a report is made anew."""

ROWS = 2
"""Goes up with every change of what is kept of a strip's patches, or of how they are laid out."""

COMPLETE, QUALITY_RULE, NOT_INSPECTED = 0, 3, 4
_LIBRARIES = ("steel-sise", "torch", "torchvision", "numpy", "pandas", "pillow", "scikit-image")


def stride_of(settings: Settings, model: Model) -> int:
    """Px between patches: what is asked for, or seven eighths of a patch."""
    return max(1, model.patch * 7 // 8) if settings.stride is None else settings.stride


@dataclass(frozen=True)
class Run:
    """A run, resolved: nothing in it is "auto"; `engine` does the work.

    `thresholds` is per defect class, `labels` what `settings.truth` says, `earlier` the reports of
    `settings.earlier` but for this one itself.
    """

    settings: Settings
    batch: Batch
    model: Model
    engine: Engine
    policy: Policy
    thresholds: Mapping[str, float]
    labels: Labels | None = None
    earlier: tuple[OpenedReport, ...] = ()

    @property
    def stride(self) -> int:
        """Px between patches."""
        return stride_of(self.settings, self.model)

    def prediction_parts(self) -> dict[str, Any]:
        """All that a strip's probabilities depend on, but the strip."""
        return {
            "format": FORMAT,
            "bundle": self.model.sha256,
            "device": self.model.device,
            "precision": self.model.precision,
            "backend": self.model.backend,
            "stride": self.stride,
            "rows": ROWS,
            "white_level": WHITE_LEVEL,
        }

    def explanation_parts(self) -> dict[str, Any]:
        """All that a patch's map and measures depend on, but the patch and its target."""
        parts = self.prediction_parts() | sise_parameters(self.settings.sise, self.model)
        del parts["stride"], parts["rows"], parts["white_level"]
        return parts | {"second_method": SECOND_METHOD}


@dataclass(frozen=True)
class Counts:
    """What came of a run, in numbers. `entries` = strips + skipped; strips = inspected +
    unreadable + not_judged. Of `flagged` patches, `class_unsure` reach no class's own threshold;
    `near` are not flagged, but listed. `flagged_by_class` counts patches, `dispositions` strips,
    and `rules` inspected strips by the rule that proposed (strips.parquet's `rule`). `forwards` are
    those of all maps, `passed_over` those of the skipped that look like an image or hold one."""

    entries: int
    strips: int
    inspected: int
    unreadable: int
    skipped: int
    patches: int
    without_steel: int
    flagged: int
    flagged_by_class: Mapping[str, int]
    dispositions: Mapping[str, int]
    dispositions_by_rule: Mapping[str, int]
    rules: Mapping[str, int]
    explained: int
    without_map: int
    forwards: int
    not_judged: int = 0
    passed_over: int = 0
    class_unsure: int = 0
    near: int = 0


def count(batch: Batch, strips: pd.DataFrame, patches: pd.DataFrame) -> Counts:
    """Count a run's rows of strips and patches."""
    inspected = strips[strips["status"] == "inspected"]
    flagged = patches.loc[patches["flagged"], "indicated"]
    explained = patches[patches["explained"]]
    return Counts(
        entries=len(strips) + len(batch.skipped),
        strips=len(strips),
        inspected=len(inspected),
        unreadable=int((strips["status"] == "unreadable").sum()),
        skipped=len(batch.skipped),
        patches=len(patches),
        without_steel=int((~patches["steel"]).sum()),
        flagged=len(flagged),
        class_unsure=int(patches["class_unsure"].sum()),
        near=int(patches["near"].sum()),
        flagged_by_class=_tally(flagged),
        dispositions=_tally(strips["disposition"]),
        dispositions_by_rule=_tally(inspected["disposition"]),
        rules=_tally(inspected["rule"]),
        explained=len(explained),
        without_map=int((explained["map_status"] != OK).sum()),
        forwards=int(explained[["forwards", "runner_up_forwards"]].sum().sum()),
        not_judged=int((strips["status"] == NOT_JUDGED).sum()),
        passed_over=len(batch.passed_over),
    )


def _tally(values: pd.Series) -> dict[str, int]:
    return {str(name): int(number) for name, number in values.value_counts().sort_index().items()}


def sise_parameters(options: SiseOptions, model: Model) -> dict[str, Any]:
    """The explanation's and its measures' parameters, as reported."""
    chosen = asdict(options)
    told = {name: SETTINGS[name] for name in chosen if SETTINGS[name].words}
    return {
        "method": "SISE",
        "mu": MU,
        **chosen,
        **{f"{name}_in_words": one.said(chosen[name]) for name, one in told.items()},
        "masks": "every feature map with average gradient above mu times the layer's largest",
        "layers": "last of each convolutional block",
        "scoring_precision": model.precision,
        "kept_share": KEPT_SHARE,
        "backend": model.backend,
        "revision": REVISION,
        "kept": KEPT,
    }


def config(run: Run) -> dict[str, Any]:
    """The resolved configuration, in plain values: settings, and what else decides."""
    resolved = {
        "stride": run.stride,
        "precision": run.model.precision,
        "backend": run.model.backend,
        "device": run.model.device,
        "truth": _file(run.labels),
        "earlier": [
            {
                "folder": named(str(report.root.resolve())),
                "fingerprint": report.record["fingerprint"],
            }
            for report in run.earlier
        ],
    }
    elsewhere = {one.name for one in fields(SiseOptions)}
    recorded = [name for name, one in SETTINGS.items() if one.recorded and name not in elsewhere]
    return {
        **{name: getattr(run.settings, name) for name in recorded},
        **resolved,
        "patch": run.model.patch,
        "thresholds": dict(run.thresholds),
        "any_defect_threshold": run.policy.any_defect_threshold,
        "black_threshold": run.policy.black_threshold,
        "white_level": WHITE_LEVEL,
        "white_threshold": WHITE_SHARE,
        "sise": sise_parameters(run.settings.sise, run.model),
    }


def _file(labels: Labels | None) -> dict[str, str] | None:
    if labels is None:
        return None
    return {"file": named(str(labels.csv.resolve())), "sha256": labels.sha256}


def fingerprint(run: Run) -> str:
    """SHA-256 over all that the report depends on; equal means there is nothing to do."""
    return content_key(
        format=FORMAT,
        version=version("steel-sise"),
        batch=run.batch.name,
        inputs=run.batch.digest(),
        skipped=[asdict(entry) for entry in run.batch.skipped],
        bundle=run.model.sha256,
        policy=run.policy.sha256,
        config=config(run),
        **({"coils": coils} if (coils := [facts(coil) for coil in run.batch.coils]) else {}),
    )


def make_record(
    run: Run, counts: Counts, marks: Sequence[BatchMark], times: tuple[str, str], status: int
) -> dict[str, Any]:
    """The content of batch.json. `times` are begin and end, UTC, ISO 8601."""
    started, ended = times
    card = run.model.card
    resolved = config(run)
    return {
        "format": FORMAT,
        "fingerprint": fingerprint(run),
        "batch": run.batch.name,
        "batch_folder": named(str(run.batch.root)),
        "started": started,
        "ended": ended,
        "exit_status": status,
        "counts": asdict(counts),
        "config": resolved,
        "config_sha256": content_key(**resolved),
        "policy": _policy(run.policy),
        "bundle": {
            "folder": named(str(run.settings.bundle.resolve())),
            "sha256": run.model.sha256,
            "weights_sha256": card.weights_sha256,
            "architecture": card.architecture,
            "classes": list(card.classes),
            "temperature": card.temperature,
            "created": card.created,
            "dataset": dict(card.dataset),
        },
        "device": run.model.device_name,
        "versions": versions(run.model.backend),
        "inputs": [
            {"strip_id": strip.strip_id, "sha256": strip.sha256, "bytes": strip.size}
            for strip in run.batch.strips
        ],
        "skipped": [asdict(entry) for entry in run.batch.skipped],
        "coils": [facts(coil) for coil in run.batch.coils],
        "roll_marks": [mark.as_json() for mark in marks],
    }


def _policy(policy: Policy) -> dict[str, Any]:
    rules = [asdict(rule) | {"in_words": str(rule)} for rule in policy.rules]
    unsure = policy.unsure
    said = None if unsure is None else asdict(unsure) | {"in_words": str(unsure)}
    source = named(policy.source)
    return asdict(policy) | {"rules": rules, "unsure": said, "source": source}


def exit_status(counts: Counts, fail_on: FailOn | None) -> int:
    """3 if a rule proposed a disposition of `fail_on`, else 4 if a strip was not inspected or an
    image passed over, else 0.

    Only rules count: a strip that could not be read or judged has no quality.
    """
    proposed = counts.dispositions_by_rule
    fired = (
        sum(count for name, count in proposed.items() if name != "accept")
        if fail_on == "any"
        else proposed.get(fail_on or "", 0)
    )
    if fail_on is not None and fired:
        return QUALITY_RULE
    incomplete = counts.unreadable or counts.not_judged or counts.passed_over
    return NOT_INSPECTED if incomplete else COMPLETE


def versions(backend: Backend) -> dict[str, str]:
    """Versions of what decides a result."""
    libraries = _LIBRARIES if backend == "torch" else (*_LIBRARIES, backend)
    return {"python": platform.python_version()} | {name: version(name) for name in libraries}
