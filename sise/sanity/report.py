"""What a sanity check writes: tables, pictures and its record, `card.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sise import strict_json
from sise.bundle import library_versions
from sise.evaluation.pictures import Line, grid
from sise.evaluation.report import write_table, write_text
from sise.evaluation.subject import Subject
from sise.explanation import OK
from sise.images import write_png, write_whole
from sise.registry import MethodSpec
from sise.sanity.run import OTHER_IMAGE, UNTRAINED, Experiment, Row, State
from sise.sanity.similarity import MEASURES
from sise.sanity.summary import STEPWISE, markdown, summarise
from sise.sanity.verdict import RULE, Verdict, judge

TILE = 112
"""Pixels of a map in the grid."""
# Okabe and Ito: eight colours that colour-blind readers tell apart.
_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
)  # fmt: skip
FORMAT = "steel-sise sanity check 1"


def publish(
    experiment: Experiment, rows: Sequence[Row], margin: float, pictured: int, command: str
) -> dict[str, Verdict]:
    """Write `similarities.parquet`, `summary.md`, `summary.csv`, `curves.png`, `grid.png` and,
    last, `card.json` into the experiment's folder; the verdict on each method.

    The grid shows the first `pictured` subjects.
    """
    plan, out = experiment.plan, experiment.out
    table = pd.DataFrame(rows)
    summary = summarise(table, plan.seed)
    verdicts = {
        spec.text: judge(table[table["method"] == spec.text], margin, plan.seed)
        for spec in plan.specs
    }
    titles = {spec.text: spec.title for spec in plan.specs}
    written = markdown(summary, verdicts, plan.specs, _facts(experiment), margin)
    write_whole(out / "similarities.parquet", lambda path: table.to_parquet(path, index=False))
    write_table(out / "summary.csv", summary)
    write_text(out / "summary.md", written)
    draw_curves(out / "curves.png", summary, titles)
    write_png(out / "grid.png", draw_grid(experiment, experiment.subjects[:pictured]))
    record = _record(experiment, verdicts, margin, command)
    write_text(out / "card.json", strict_json.dumps(record, indent=2) + "\n")
    return verdicts


def _facts(experiment: Experiment) -> str:
    plan, bundle = experiment.plan, experiment.bundle
    images = len({subject.item.image for subject in experiment.subjects})
    how = "from the logits down" if plan.mode == "cascading" else "one at a time"
    return (
        f"{bundle.card.architecture} (bundle {bundle.sha256[:12]}), {experiment.dataset.name}: "
        f"{len(experiment.subjects)} items of {images} images. Weights are drawn anew {how} in "
        f"{len(experiment.stages)} steps (seed {plan.seed}), and all at once with "
        f"{plan.seeds} seeds. The class explained is the item's own throughout."
    )


def _record(
    experiment: Experiment, verdicts: Mapping[str, Verdict], margin: float, command: str
) -> dict[str, Any]:
    plan, bundle = experiment.plan, experiment.bundle
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "bundle": {"sha256": bundle.sha256, "architecture": bundle.card.architecture},
        "dataset": {
            "name": experiment.dataset.name,
            "items": [subject.item.id for subject in experiment.subjects],
        },
        "methods": {spec.text: spec.title for spec in plan.specs},
        "mode": plan.mode,
        "seed": plan.seed,
        "seeds": plan.seeds,
        "options": dict(plan.shared),
        "steps": {stage.name: list(stage.modules) for stage in experiment.stages},
        "rule": RULE,
        "margin": margin,
        "verdict": {text: _plain(verdict) for text, verdict in verdicts.items()},
        "versions": library_versions(),
    }


def _plain(verdict: Verdict) -> dict[str, Any]:
    """As the record has it: without the number of images."""

    def keep(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in pairs if name != "images"}

    return asdict(verdict, dict_factory=keep)


def draw_curves(path: Path, summary: pd.DataFrame, titles: Mapping[str, str]) -> None:
    """Each deciding measure against the step: a line a method with its interval, floor dashed."""
    shown = [name for name, measure in MEASURES.items() if measure.decides]
    figure = Figure(figsize=(6.4 * len(shown), 5.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(shown)))
    for panel, name in zip(axes, shown, strict=True):
        _draw_measure(panel, summary[summary["measure"] == name], titles)
        panel.set_title(f"{MEASURES[name].title} with the trained model's map")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    write_whole(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def _draw_measure(panel: Axes, summary: pd.DataFrame, titles: Mapping[str, str]) -> None:
    cascade = bool((summary["kind"] == "cascading").any())
    stages: Sequence[str] = []
    for index, (text, title) in enumerate(titles.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        of = summary[summary["method"] == text]
        steps = of[of["kind"].isin(STEPWISE)].sort_values("step")
        stages = list(steps["stage"])
        x = np.arange(1, len(steps) + 1)
        line = np.concatenate([[1.0], steps["mean"]]) if cascade else steps["mean"].to_numpy()
        panel.plot(
            np.arange(len(line)) + (not cascade), line, color=colour, marker=".", label=title
        )
        panel.fill_between(
            x, steps["low"].to_numpy(), steps["high"].to_numpy(), color=colour, alpha=0.18, lw=0
        )
        for floor in of[of["kind"] == OTHER_IMAGE]["mean"]:
            panel.axhline(floor, color=colour, linestyle="--", linewidth=1)
        for final in of[of["kind"] == UNTRAINED]["mean"]:
            panel.plot(len(stages) + 0.6, final, color=colour, marker="D", clip_on=False)
    ticks = ["trained", *stages] if cascade else stages
    panel.set_xticks(np.arange(len(ticks)) + (not cascade), ticks, rotation=60, ha="right")
    panel.set_xlabel("weights drawn anew, " + ("down to" if cascade else "of this alone"))
    panel.set_ylim(top=1.03)
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.plot([], [], color="grey", linestyle="--", label="maps of other images of the class")
    panel.plot([], [], color="grey", marker="D", linestyle="", label="untrained nets, all seeds")


def draw_grid(experiment: Experiment, subjects: Sequence[Subject]) -> npt.NDArray[np.uint8]:
    """A line for each method and subject: the image, the original map, and that of each step."""
    final = () if experiment.plan.mode == "cascading" else experiment.untrained[:1]
    states = {"trained": None, **{state.stage: state for state in (*experiment.steps, *final)}}
    return grid(
        [
            _line_of(experiment, spec, subject, states)
            for spec in experiment.plan.specs
            for subject in subjects
        ],
        tile=TILE,
        across=1 + len(states),
    )


def _line_of(
    experiment: Experiment, spec: MethodSpec, subject: Subject, states: Mapping[str, State | None]
) -> Line:
    dataset, item = experiment.dataset, subject.item
    made = {name: experiment.map(spec, subject, state) for name, state in states.items()}
    return Line(
        f"{spec.title}, {dataset.classes[item.label]}",
        made["trained"].score,
        dataset.pixels(item),
        dataset.truth(item),
        {name: one.map.numpy() if one.status == OK else one.status for name, one in made.items()},
    )
