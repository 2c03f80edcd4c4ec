"""How good a map is, per image: `METRICS`, one entry each.

A metric gives one number per image, NaN where it is undefined. Nothing is averaged here: means,
intervals and tests are for whoever compares.
"""

from sise.metrics.faithfulness import (
    KEPT_SHARE,
    STEPS,
    PerturbationScores,
    area,
    drop,
    increase,
    left,
)
from sise.metrics.inputs import MetricInput, ModelQuery, Score
from sise.metrics.localisation import MIOU_SHARE, bbox, ebpg, miou, pointing
from sise.metrics.ranking import has_order, ranks, top_pixels, top_share
from sise.metrics.shape import RIM, border_energy, sparsity
from sise.metrics.table import METRICS, Better, Metric, Needs, measure

__all__ = [
    "KEPT_SHARE",
    "METRICS",
    "MIOU_SHARE",
    "RIM",
    "STEPS",
    "Better",
    "Metric",
    "MetricInput",
    "ModelQuery",
    "Needs",
    "PerturbationScores",
    "Score",
    "area",
    "bbox",
    "border_energy",
    "drop",
    "ebpg",
    "has_order",
    "increase",
    "left",
    "measure",
    "miou",
    "pointing",
    "ranks",
    "sparsity",
    "top_pixels",
    "top_share",
]
