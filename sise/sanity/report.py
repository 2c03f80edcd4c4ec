"""What a sanity check writes: tables, pictures and `card.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from sise import strict_json
from sise.bundle import library_versions
from sise.images import write_whole
from sise.sanity.pictures import draw_curves, draw_grid
from sise.sanity.run import Experiment, Row
from sise.sanity.summary import markdown, summarise
from sise.sanity.verdict import RULE, Verdict, judge

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
    write_whole(out / "summary.csv", lambda path: summary.to_csv(path, index=False))
    write_whole(out / "summary.md", lambda path: path.write_text(written, "utf-8"))
    draw_curves(out / "curves.png", summary, titles)
    draw_grid(out / "grid.png", experiment, experiment.subjects[:pictured])
    content = strict_json.dumps(_card(experiment, verdicts, margin, command), indent=2) + "\n"
    write_whole(out / "card.json", lambda path: path.write_text(content, "utf-8"))
    return verdicts


def _facts(experiment: Experiment) -> list[str]:
    plan, bundle = experiment.plan, experiment.bundle
    images = len({subject.item.image for subject in experiment.subjects})
    how = "from the logits down" if plan.mode == "cascading" else "one at a time"
    return [
        f"{bundle.card.architecture} (bundle {bundle.sha256[:12]}), {experiment.dataset.name}: "
        f"{len(experiment.subjects)} items of {images} images. Weights are drawn anew {how} in "
        f"{len(experiment.stages)} steps (seed {plan.seed}), and all at once with "
        f"{plan.seeds} seeds. The class explained is the item's own throughout."
    ]


def _card(
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
        "verdict": {text: asdict(verdict) for text, verdict in verdicts.items()},
        "versions": library_versions(),
    }
