"""The paper's figures: what its text says of them, which a slip of the pen would break."""

from sise.evaluation.paper import METRICS, MU, SECONDS, TABLES, Figures, reported
from sise.registry import METHODS

VOC, COCO = "PASCAL VOC 2007, test", "COCO val2014"
SEVERSTAL = "recast Severstal, test, the paper's subset (500 of 3500 crops of class 3, seed 0)"


def best(figures: Figures, metric: str) -> str:
    choose = min if metric == "drop" else max
    return choose(figures, key=lambda method: figures[method][metric])


def figures_of(dataset: str, architecture: str) -> Figures:
    found = reported(dataset, architecture)
    assert found is not None
    return found.figures


def test_the_best_of_each_row_is_the_one_printed_in_bold() -> None:
    bold = {
        (VOC, "vgg16"): ["extremal-perturbation", "gradcam++", "sise", "sise", "sise"],
        (VOC, "resnet50"): ["sise", "gradcam", "sise", "sise", "sise"],
        (COCO, "vgg16"): ["sise", "gradcam++", "sise", "sise", "sise"],
        (COCO, "resnet50"): ["sise", "gradcam", "sise", "sise", "sise"],
    }
    for (dataset, architecture), methods in bold.items():
        figures = figures_of(dataset, architecture)
        assert [best(figures, metric) for metric in METRICS] == methods


def test_rows_add_up() -> None:
    """Each row of the paper's text, added up."""
    sums = {
        (one.table, one.architecture): [
            round(sum(by[metric] for by in one.figures.values()), 2)
            for metric in next(iter(one.figures.values()))
        ]
        for one in TABLES
    }
    assert sums == {
        (1, "vgg16"): [378.91, 203.39, 411.88, 397.33, 248.66],
        (1, "resnet50"): [385.77, 213.99, 428.14, 355.11, 266.98],
        (2, "resnet101"): [397.37, 77.3],
        (4, "vgg16"): [147.81, 110.95, 202.78, 342.39, 332.57],
        (4, "resnet50"): [152.83, 112.76, 213.55, 327.98, 338.89],
    }


def test_single_figures() -> None:
    assert figures_of(VOC, "resnet50")["rise"]["ebpg"] == 32.86
    assert figures_of(VOC, "vgg16")["integrated-gradients"]["drop"] == 64.74
    assert figures_of(COCO, "resnet50")["fullgrad"]["bbox"] == 19.32
    assert figures_of(SEVERSTAL, "resnet101")["scorecam"] == {"drop": 64.29, "increase": 10.35}
    assert SECONDS["resnet50"]["extremal-perturbation"] == 78.37
    assert SECONDS["vgg16"]["sise"] == 5.90
    assert MU[0.5] == {
        "ebpg": 65.84, "miou": 30.63, "bbox": 59.83, "drop": 33.31, "increase": 38.36,
        "seconds": 0.65,
    }  # fmt: skip


def test_tables_that_repeat_a_figure_agree() -> None:
    plain = {name: value for name, value in MU[0.0].items() if name != "seconds"}
    assert figures_of(VOC, "resnet50")["sise"] == plain
    assert SECONDS["resnet50"]["sise"] == MU[0.0]["seconds"]


def test_methods_are_those_of_the_registry() -> None:
    named = {method for one in TABLES for method in one.figures}
    assert named | SECONDS["vgg16"].keys() <= METHODS.keys()


def test_other_data_and_networks_have_nothing_beside_them() -> None:
    assert reported("NEU-DET", "resnet50") is None
    assert reported(VOC, "resnet101") is None
    assert reported("PASCAL VOC 2007, val", "resnet50") is None
    assert reported("recast Severstal, test", "resnet101") is None
