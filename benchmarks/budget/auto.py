r"""How near `budget="auto"` comes, and at what price, for several tolerances.

    python benchmarks/budget/auto.py --data $STEEL_DATA/neu_det --bundle_folder /tmp/neu50 \
        --scores /tmp/exact --out benchmarks/results/budget-auto --count 100
"""

import json
from pathlib import Path

import pandas as pd
import torch
from compare import estimated, fused, read_images
from jsonargparse import auto_cli
from rich.progress import track

from sise import budget, bundle

TOLERANCES = (0.1, 0.05, 0.02, 0.01, 0.005)


def main(data: Path, bundle_folder: Path, scores: Path, out: Path, count: int = 100) -> None:
    """Compare tolerances.

    Args:
        data: folder of NEU-DET.
        bundle_folder: the classifier that `exact.py` used.
        scores: folder that `exact.py` wrote.
        out: results, as OUT.json and OUT.md.
        count: images.
    """
    rows = []
    for known in track(list(read_images(data, bundle.load(bundle_folder), scores, count))):
        exact = fused(known.layers, [layer.scores for layer in known.layers], known.size)
        for tolerance in TOLERANCES:
            budget.TOLERANCE = tolerance  # type: ignore[misc]
            estimate, look_up = estimated(known.layers, known.size)
            budget.settle(
                estimate,
                look_up,  # type: ignore[arg-type]
                lambda found, one=known: fused(one.layers, found, one.size),  # type: ignore[misc]
            )
            heat = fused(known.layers, estimate.scores(), known.size)
            spent = int(torch.stack(estimate.scored).sum())
            rows.append(
                {
                    "tolerance": tolerance,
                    "passes": spent,
                    "share": spent / int(estimate.masks),
                    "correlation": float(budget.correlation(exact, heat)),
                }
            )
    table = pd.DataFrame(rows).groupby("tolerance")
    summary = pd.DataFrame(
        {
            "passes_mean": table["passes"].mean(),
            "passes_median": table["passes"].median(),
            "share_mean": table["share"].mean(),
            "correlation_median": table["correlation"].median(),
            "correlation_p10": table["correlation"].quantile(0.1),
            "correlation_min": table["correlation"].min(),
        }
    ).round(4)
    content = {"images": count, "rows": summary.reset_index().to_dict("records")}
    out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    lines = ["| tolerance | " + " | ".join(summary.columns) + " |", "|---" * 7 + "|"]
    lines += [
        f"| {tolerance} | " + " | ".join(f"{value:g}" for value in row) + " |"
        for tolerance, row in zip(summary.index, summary.to_numpy(), strict=True)
    ]
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
