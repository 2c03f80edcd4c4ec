"""What each setting of a sweep comes to, beside exact SISE on the same items."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sise.ablation.sweep import Setting
from sise.evaluation.statistics import intervals, means, per_image
from sise.evaluation.summary import summarise
from sise.evaluation.summary_types import Comparison, Estimate
from sise.statistics import pearson

METRICS = ("ebpg", "miou", "bbox", "drop", "increase")
"""The paper's five, in its order."""

MapOf = Callable[[str, str], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Point:
    """A setting's means. `agreement` is the correlation r of its maps with the exact ones.

    `comparisons` are differences from exact SISE; none for exact SISE itself.
    """

    setting: Setting
    forwards: float
    seconds: float
    agreement: Estimate
    metrics: Mapping[str, Estimate]
    comparisons: Mapping[str, Comparison]


def points(
    rows: pd.DataFrame, settings: Sequence[Setting], map_of: MapOf, seed: int
) -> tuple[Point, ...]:
    """Sum up an evaluation's rows; `map_of(method, item)` is the map (H, W) behind a row."""
    exact = settings[0].spec.text
    board = summarise(rows, exact, seed).whole
    found = []
    for setting in settings:
        own = rows[rows["method"] == setting.spec.text]
        row = board.row(setting.spec.text)
        compared = {name: row.cells[name].comparison for name in METRICS}
        found.append(
            Point(
                setting,
                row.forwards,
                row.seconds,
                _agreement(own, exact, map_of, seed),
                {name: row.cells[name].estimate for name in METRICS},
                {name: one for name, one in compared.items() if one is not None},
            )
        )
    return tuple(found)


def _agreement(rows: pd.DataFrame, exact: str, map_of: MapOf, seed: int) -> Estimate:
    pairs = zip(rows["method"], rows["item"], strict=True)
    each = [float(pearson(map_of(method, item), map_of(exact, item))) for method, item in pairs]
    data = per_image(np.array(each)[:, None], pd.factorize(rows["image"])[0])
    (low,), (high,) = intervals(data, seed)
    return Estimate(
        float(means(data)[0]), float(low), float(high), int(data.items[0]), int(data.images[0])
    )
