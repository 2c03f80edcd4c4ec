"""The figures that the SISE paper reports, as data: tables 1, 2, 4, 6 and 7.

Source: Sattarzadeh et al., Explaining Convolutional Neural Networks through Attribution-Based
Input Sampling and Block-Wise Feature Aggregation, AAAI 2021, with its appendix. All in per cent,
seconds where named so. Methods and metrics go by their names in `sise.registry.METHODS` and
`sise.metrics.METRICS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

METRICS = ("ebpg", "miou", "bbox", "drop", "increase")
"""The five that the paper reports, in its order."""

VOC = "PASCAL VOC 2007, test"
COCO = "COCO val2014"
SEVERSTAL = "recast Severstal, test, the paper's subset"
"""What the names of these datasets begin with (`sise.datasets`)."""

METHODS = (
    "gradcam", "gradcam++", "extremal-perturbation", "rise", "scorecam", "integrated-gradients",
    "fullgrad", "sise",
)  # fmt: skip
"""Those that the paper compares."""

Figures = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Reported:
    """`figures[method][metric]` of the paper's `table`, for one dataset and network."""

    table: int
    dataset: str
    architecture: str
    figures: Figures


def reported(dataset: str, architecture: str) -> Reported | None:
    """What the paper reports for a dataset, by its name, and a network; None if nothing."""
    for one in TABLES:
        if dataset.startswith(one.dataset) and architecture == one.architecture:
            return one
    return None


def _by_method(methods: tuple[str, ...], rows: Mapping[str, tuple[float, ...]]) -> Figures:
    """The paper's rows are metrics: method -> metric -> figure."""
    return MappingProxyType(
        {
            method: MappingProxyType({metric: values[place] for metric, values in rows.items()})
            for place, method in enumerate(methods)
        }
    )


TABLES = (
    Reported(1, VOC, "vgg16", _by_method(METHODS, {
        "ebpg": (55.44, 46.29, 61.19, 33.44, 46.42, 36.87, 38.72, 60.54),
        "miou": (26.52, 28.1, 25.44, 27.11, 27.71, 14.11, 26.61, 27.79),
        "bbox": (51.7, 55.59, 51.2, 54.59, 54.98, 33.97, 54.17, 55.68),
        "drop": (49.47, 60.63, 43.90, 39.62, 39.79, 64.74, 60.78, 38.40),
        "increase": (31.08, 23.89, 32.65, 37.76, 36.42, 26.17, 22.73, 37.96),
    })),
    Reported(1, VOC, "resnet50", _by_method(METHODS, {
        "ebpg": (60.08, 47.78, 63.24, 32.86, 35.56, 40.62, 39.55, 66.08),
        "miou": (32.16, 30.16, 26.29, 27.4, 31.0, 15.41, 20.2, 31.37),
        "bbox": (60.25, 58.66, 52.34, 55.55, 60.02, 34.79, 44.94, 61.59),
        "drop": (35.80, 41.77, 39.38, 39.77, 35.36, 66.12, 65.99, 30.92),
        "increase": (36.58, 32.15, 34.27, 37.08, 37.08, 24.24, 25.36, 40.22),
    })),
    Reported(2, SEVERSTAL, "resnet101", _by_method(
        ("gradcam", "gradcam++", "rise", "scorecam", "fullgrad", "sise"), {
        "drop": (67.44, 64.1, 63.25, 64.29, 77.23, 61.06),
        "increase": (12.46, 12.96, 15.63, 10.35, 10.26, 15.64),
    })),
    Reported(4, COCO, "vgg16", _by_method(METHODS, {
        "ebpg": (23.77, 18.11, 25.71, 11.5, 12.59, 14.01, 13.96, 28.16),
        "miou": (15.04, 15.69, 12.81, 14.94, 15.52, 7.13, 14.25, 15.57),
        "bbox": (28.98, 20.48, 24.93, 28.9, 27.8, 14.54, 27.52, 29.63),
        "drop": (44.46, 45.63, 41.86, 38.69, 33.73, 52.73, 52.39, 32.9),
        "increase": (40.28, 38.33, 41.30, 46.05, 49.26, 34.11, 32.68, 50.56),
    })),
    Reported(4, COCO, "resnet50", _by_method(METHODS, {
        "ebpg": (25.3, 17.81, 27.54, 11.35, 12.6, 14.41, 14.39, 29.43),
        "miou": (17.89, 15.8, 13.61, 14.69, 16.36, 7.24, 10.14, 17.03),
        "bbox": (32.39, 28.28, 26.98, 29.43, 29.27, 14.54, 19.32, 33.34),
        "drop": (33.42, 41.71, 36.24, 37.93, 35.06, 55.38, 56.83, 31.41),
        "increase": (48.39, 40.54, 45.74, 45.44, 47.25, 32.18, 29.59, 49.76),
    })),
)  # fmt: skip
"""Tables 1, 2 and 4."""

MU: Mapping[float, Mapping[str, float]] = MappingProxyType({
    0.0: MappingProxyType({"ebpg": 66.08, "miou": 31.37, "bbox": 61.59, "drop": 30.92,
                           "increase": 40.22, "seconds": 9.21}),
    0.3: MappingProxyType({"ebpg": 66.54, "miou": 31.5, "bbox": 61.45, "drop": 31.5,
                           "increase": 40.05, "seconds": 2.18}),
    0.5: MappingProxyType({"ebpg": 65.84, "miou": 30.63, "bbox": 59.83, "drop": 33.31,
                           "increase": 38.36, "seconds": 0.65}),
    0.75: MappingProxyType({"ebpg": 62.5, "miou": 28.51, "bbox": 56.53, "drop": 38.83,
                            "increase": 36.09, "seconds": 0.38}),
})  # fmt: skip
"""Table 6: SISE by μ, ResNet-50 on VOC 2007 test."""

SECONDS: Mapping[str, Mapping[str, float]] = MappingProxyType({
    "vgg16": MappingProxyType(dict(zip(
        METHODS, (0.006, 0.006, 87.42, 64.28, 5.90, 0.68, 18.69, 5.90), strict=True))),
    "resnet50": MappingProxyType(dict(zip(
        METHODS, (0.019, 0.020, 78.37, 26.08, 18.17, 0.52, 34.03, 9.21), strict=True))),
})  # fmt: skip
"""Table 7: seconds an image of VOC 2007 test, on a Tesla T4 with 16 GB."""
