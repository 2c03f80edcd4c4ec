r"""Whether *weak* says that a map misses the defect, and limits chosen by it.

    python benchmarks/weak/choose.py --rows /tmp/weak --out benchmarks/results/2026-11-27-weak.json

Reads what `measure.py` wrote, from bundles named DATA-TRAINING-SEED. Limits are chosen on
networks of seed 0 (validation and test crops) and reported on the test crops of the others.
Intervals (95 %) draw groups with replacement: all crops of an image, for all networks.
"""

import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jsonargparse import auto_cli
from scipy.stats import rankdata

from inspection.pipeline.policy import WeakRule
from inspection.quality.weak import judge
from sise.status import OK

RESAMPLES = 2000
BEST = 20
UNTIL = WeakRule(max_drop=0.5, max_removed=0.5, min_agreement=0.2, failures=2)
GRID = {
    "max_drop": (0.2, 0.5, 0.8, 0.95, 1.0),
    "max_removed": (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0),
    "min_agreement": (-1.0, 0.0, 0.1, 0.2, 0.3, 0.4),
    "failures": (1, 2, 3),
}
TRAINED = {"none": "trained as usual"}
# A card is made from this probability on (the policy's default threshold).
FLAGGED = 0.5
MISSES: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "no better than chance": lambda rows: rows["ebpg"] < rows["area"],
    "highest point off the defect": lambda rows: rows["pointing_near"] == 0,
    "region overlaps by IoU < 0.1": lambda rows: rows["region_iou"] < 0.1,
}
TESTS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "drop": lambda rows: rows["drop"],
    "left": lambda rows: rows["removed_share"],
    "agreement": lambda rows: -rows["agreement"].fillna(1),
    "overlap of both methods' top": lambda rows: -rows["top_overlap"],
    "left, less that of the mirrored top": lambda rows: (
        (rows["removed_score"] - rows["mirrored_removed"]) / rows["whole_score"]
    ),
    "left without the region": lambda rows: rows["region_removed"] / rows["whole_score"],
    "drop of the region": lambda rows: 1 - rows["region_kept"] / rows["whole_score"],
    "spread of the map": lambda rows: rows["mean_heat"],
    "border energy": lambda rows: rows["border"],
    "probability": lambda rows: -rows["whole_score"],
}


def main(rows: Path, out: Path) -> None:
    """Write the figures, and print the best rules.

    Args:
        rows: folder of Parquet files by `measure.py`.
        out: JSON file to write.
    """
    table = read(rows)
    shown = table[(table["asked"] == "true") & (table["score"] >= FLAGGED)]
    shown = shown[shown["map_status"] == OK]
    today = shown[shown["setting"] == "today"]
    chosen = WeakRule()
    parts = {
        f"{data}, {setting}, {part}": of
        for (data, setting, part), of in shown.groupby(["data", "setting", "part"])
    }
    parts |= {f"all, today, {part}": of for part, of in today.groupby("part")}
    parts |= {"all, today": today}
    parts |= {f"{data}, today": of for data, of in today.groupby("data")}
    parts |= {
        f"{data}, today, {training}": of
        for (data, training), of in today.assign(
            training=today["training"].map(TRAINED).fillna("trained with masking")
        ).groupby(["data", "training"])
    }
    found: dict[str, Any] = {
        "made": {
            "device": f"CPU, {platform.machine()}, 1 thread",
            "python": platform.python_version(),
            **{name: version(name) for name in ("steel-sise", "torch", "openvino", "numpy")},
        },
        "networks": sorted(table["bundle"].unique()),
        "rules": {"until 2026-11-27": vars(UNTIL), "today": vars(chosen)},
        "candidates": candidates(today[today["part"] == "choice"]),
        "parts": {name: figures(of, chosen) for name, of in parts.items()},
        "wrong class": {
            f"{data}, {kind}": wrong(of, chosen)
            for (data, kind), of in table[table["asked"] == "predicted"].groupby(["data", "kind"])
        },
    }
    out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    for candidate in found["candidates"]:
        print(candidate)


def read(folder: Path) -> pd.DataFrame:
    """All rows, with data, training, part ("choice" or "report"), kind (of a wrong class), miss."""
    table = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*/*.parquet"))])
    names = table["bundle"].str.split("-", expand=True)
    table = table.assign(
        data=names[0],
        training=names[1],
        part=np.where(names[2] == "0", "choice", "report"),
        kind=np.where(table["true"] == "normal", "a normal crop", "another defect"),
        explained=True,
    ).reset_index(drop=True)
    return judge(table, UNTIL)


def candidates(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The best rules of the grid by Matthews' correlation of weak and no better than chance."""
    missed = MISSES["no better than chance"](rows).to_numpy()
    found = []
    for limits in product(*GRID.values()):
        rule = WeakRule(**dict(zip(GRID, limits, strict=True)))
        weak = judge(rows, rule)["weak"].to_numpy()
        found.append(
            {**vars(rule), "matthews": matthews(weak, missed), **reliability(weak, missed)}
        )
    return sorted(found, key=lambda one: -one["matthews"])[:BEST]


def figures(rows: pd.DataFrame, chosen: WeakRule) -> dict[str, Any]:
    """Of rows of flagged crops explained for their class: misses, AUC of tests, both rules."""
    found: dict[str, Any] = {"maps": len(rows), "groups": rows["group_id"].nunique()}
    found |= {name: round(float(rows[name].mean()), 4) for name in ("ebpg", "area", "bbox")}
    for name, misses in MISSES.items():
        found[name] = {
            "misses": interval(misses(rows).to_numpy(), rows),
            "auc": {test: auc(of(rows), misses(rows)) for test, of in TESTS.items()},
            "until 2026-11-27": judged(rows, misses(rows).to_numpy(), UNTIL),
            "today": judged(rows, misses(rows).to_numpy(), chosen),
        }
    return found


def judged(rows: pd.DataFrame, missed: np.ndarray, rule: WeakRule) -> dict[str, Any]:
    """Precision and recall of weak with intervals, and misses by how many tests fail."""
    told = judge(rows, rule)
    weak = told["weak"].to_numpy()
    failed = np.array(
        [len([word for word in why.split("; ") if word]) for why in told["weak_because"]]
    )
    counts = {
        str(count): {
            "maps": int((failed == count).sum()),
            "missed": int(missed[failed == count].sum()),
        }
        for count in range(4)
    }
    return {
        **reliability(weak, missed),
        "matthews": matthews(weak, missed),
        "weak_interval": interval(weak, rows),
        "precision_interval": interval(missed, rows, weak),
        "recall_interval": interval(weak, rows, missed),
        "missed_not_weak": interval(missed, rows, ~weak),
        "by_tests_failed": counts,
    }


def wrong(rows: pd.DataFrame, chosen: WeakRule) -> dict[str, Any]:
    """How often weak fires where the class that is explained is not what the crop shows."""
    return {
        "maps": len(rows),
        "until 2026-11-27": interval(judge(rows, UNTIL)["weak"].to_numpy(), rows),
        "today": interval(judge(rows, chosen)["weak"].to_numpy(), rows),
    }


def reliability(weak: np.ndarray, missed: np.ndarray) -> dict[str, float | None]:
    """Shares in [0, 1]; None of nothing."""
    return {
        "weak": _share(weak),
        "precision": _share(missed[weak]),
        "recall": _share(weak[missed]),
    }


def _share(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None


def interval(
    values: np.ndarray, rows: pd.DataFrame, among: np.ndarray | None = None
) -> list[float] | None:
    """Share of values (N,) bool among some rows, and its bootstrap interval over groups."""
    among = np.ones(len(values), np.bool_) if among is None else among
    if not among.any():
        return None
    groups, place = np.unique(rows["data"] + rows["group_id"], return_inverse=True)
    hits = np.bincount(place, values & among, len(groups))
    trials = np.bincount(place, among, len(groups))
    drawn = np.random.default_rng(0).integers(0, len(groups), (RESAMPLES, len(groups)))
    with np.errstate(invalid="ignore"):
        shares = hits[drawn].sum(axis=1) / trials[drawn].sum(axis=1)
    low, high = np.nanpercentile(shares, [2.5, 97.5])
    return [round(float(number), 4) for number in (hits.sum() / trials.sum(), low, high)]


def matthews(weak: np.ndarray, missed: np.ndarray) -> float:
    """Matthews' correlation coefficient of two bool arrays; 0 where one is constant."""
    if weak.all() or not weak.any() or missed.all() or not missed.any():
        return 0.0
    return round(float(np.corrcoef(weak, missed)[0, 1]), 4)


def auc(values: pd.Series, missed: pd.Series) -> float | None:
    """How often a miss has the higher value than a hit, ties counted half; None without both."""
    misses, hits = int(missed.sum()), int((~missed).sum())
    if not misses or not hits:
        return None
    ranks = rankdata(values)[missed.to_numpy()].sum()
    return round(float((ranks - misses * (misses + 1) / 2) / (misses * hits)), 3)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
