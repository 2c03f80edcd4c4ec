"""Rows of an evaluation, as `sise evaluate` writes them, with values given by hand."""

from typing import Any

import pandas as pd


def rows(
    values: dict[str, dict[str, list[float]]], label: list[str] | None = None, **facts: Any
) -> pd.DataFrame:
    """values[method][metric] is a value per item."""
    made = []
    for method, metrics in values.items():
        for item in range(len(next(iter(metrics.values())))):
            made.append(
                {
                    "method": method,
                    "item": f"i{item}",
                    "image": f"i{item}",
                    "label": label[item] if label else "patches",
                    "status": "ok",
                    "score": 0.9,
                    "forwards": 10,
                    "seconds": 0.5,
                    **{name: one[item] for name, one in metrics.items()},
                    **facts,
                }
            )
    return pd.DataFrame(made)
