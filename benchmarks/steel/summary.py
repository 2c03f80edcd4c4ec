"""Tables of what `measure.py` found.

    python -m benchmarks.steel.summary --csv /tmp/steel.csv --json benchmarks/results/NAME.json

Means over images, and paired differences against plain SISE with a bootstrap interval: the same
images under both, drawn with replacement.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse import auto_cli

from benchmarks.steel.variants import PLAIN

RESAMPLES = 10_000
METRICS = (
    "ebpg", "miou", "bbox", "drop_grey", "drop_mean", "drop_blur", "drop_inpaint",
    "increase_grey", "increase_mean", "increase_blur", "increase_inpaint", "border",
)  # fmt: skip


def main(csv: Path, json_out: Path | None = None, seed: int = 0) -> None:
    """Print a table per part; write everything as JSON too.

    Args:
        csv: what `measure.py` wrote.
        json_out: where to write all means and intervals.
        seed: of the bootstrap.
    """
    table = pd.read_csv(csv, keep_default_na=True)
    found = {part: summarise(rows, seed) for part, rows in table.groupby("part")}
    for part, variants in found.items():
        print(f"\n{part}\n")
        print(markdown(variants))
    if json_out is not None:
        json_out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def summarise(rows: pd.DataFrame, seed: int) -> dict[str, dict[str, object]]:
    """Per variant: images, passes, and per metric the mean, its difference to plain, interval."""
    plain = rows[rows["variant"] == PLAIN.name].set_index("item")
    summary: dict[str, dict[str, object]] = {}
    for variant, part in rows.groupby("variant", sort=False):
        one = part.set_index("item")
        entry: dict[str, object] = {
            "images": len(one),
            "without_map": int((one["status"] != "ok").sum()),
            "passes": round(float(one["forwards"].mean()), 1),
        }
        for metric in METRICS:
            values = one[metric].dropna()
            if values.empty:
                continue
            paired = (one[metric] - plain[metric]).dropna().to_numpy()
            entry[metric] = {
                "mean": round(float(values.mean()), 4),
                "n": len(values),
                "difference": round(float(paired.mean()), 4),
                "interval": interval(paired, seed),
            }
        summary[str(variant)] = entry
    return summary


def interval(values: np.ndarray, seed: int) -> list[float]:
    """The 95 % percentile bootstrap interval of the mean of values (N,)."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return [round(float(low), 4), round(float(high), 4)]


def markdown(variants: dict[str, dict[str, object]]) -> str:
    """Means, and below each of them its paired difference to plain.

    * where the interval of the difference excludes 0.
    """
    shown = [m for m in METRICS if any(m in entry for entry in variants.values())]
    lines = [f"| variant | images | {' | '.join(shown)} |", "|---" * (len(shown) + 2) + "|"]
    for name, entry in variants.items():
        figures = [entry.get(metric) for metric in shown]
        means = [f"{one['mean']:.3f}" if isinstance(one, dict) else "–" for one in figures]
        lines.append(f"| {name} | {entry['images']} | {' | '.join(means)} |")
        if name != PLAIN.name:
            changes = [_change(one) if isinstance(one, dict) else "–" for one in figures]
            lines.append(f"| | | {' | '.join(changes)} |")
    return "\n".join(lines)


def _change(figures: dict[str, object]) -> str:
    low, high = figures["interval"]  # type: ignore[misc]
    return f"{figures['difference']:+.3f}{'*' if low > 0 or high < 0 else ''}"


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
