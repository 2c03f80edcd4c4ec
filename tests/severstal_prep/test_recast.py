from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from severstal_prep.annotations import read_annotations
from severstal_prep.errors import OptionError
from severstal_prep.recast import BLACK_LEVEL, Drop, Rules, black_fractions, recast
from severstal_prep.rle import Runs


def columns(left: int, width: int, height: int = 256) -> Runs:
    """A box from the top of the strip."""
    starts = np.arange(left, left + width) * 256
    return Runs(starts, np.full(width, height))


def classes(labels: dict[int, Runs], rules: Rules, black: tuple[float, ...] | None = None) -> list:
    return [crop.class_id for crop in recast(labels, rules, black)]


def test_any_pixel_makes_a_defect_crop_of_a_single_class_strip() -> None:
    # Columns 287 and 288, one pixel high: the last of crop 0 and the first of crop 1.
    crops = recast({3: columns(287, 2, height=1)}, Rules())
    assert [crop.left for crop in crops] == [32, 288, 544, 800, 1056, 1312]
    assert [crop.class_id for crop in crops] == [3, 3, 0, 0, 0, 0]
    assert [crop.defect_pixels for crop in crops] == [1, 1, 0, 0, 0, 0]
    assert all(crop.drop is None for crop in crops)


def test_defects_beside_the_crops_leave_normal_crops() -> None:
    labels = {1: columns(0, 32)}
    assert classes(labels, Rules()) == [0] * 6
    assert classes(labels, Rules(offset=31)) == [1, 0, 0, 0, 0, 0]
    assert classes({1: columns(1568, 32)}, Rules()) == [0] * 6
    assert classes({1: columns(1568, 32)}, Rules(offset=33)) == [0, 0, 0, 0, 0, 1]


def test_strips_of_several_classes_give_normal_crops_only() -> None:
    crops = recast({1: columns(40, 6, 6), 4: columns(900, 50, 10)}, Rules())
    assert [crop.class_id for crop in crops] == [None, 0, 0, None, 0, 0]
    assert [crop.drop for crop in crops] == [
        Drop.SEVERAL_CLASSES, None, None, Drop.SEVERAL_CLASSES, None, None,
    ]  # fmt: skip
    assert [crop.defect_pixels for crop in crops] == [36, 0, 0, 500, 0, 0]


def test_crops_below_the_minimum_are_neither_defect_nor_normal() -> None:
    labels = {2: columns(287, 3, height=4)}  # 4 px in crop 0, 8 px in crop 1
    assert classes(labels, Rules(min_defect_pixels=4)) == [2, 2, 0, 0, 0, 0]
    crops = recast(labels, Rules(min_defect_pixels=5))
    assert [crop.class_id for crop in crops] == [None, 2, 0, 0, 0, 0]
    assert crops[0].drop is Drop.TOO_FEW_PIXELS


def test_black_normal_crops_are_dropped_and_black_defect_crops_kept() -> None:
    black = (1.0, 1.0, 0.96, 0.95, 0.94, 0.0)
    crops = recast({4: columns(40, 5)}, Rules(), black)
    assert [crop.class_id for crop in crops] == [4, None, None, 0, 0, 0]
    assert [crop.drop for crop in crops][:3] == [None, Drop.BLACK, Drop.BLACK]
    assert classes({4: columns(40, 5)}, Rules(black_threshold=1), black) == [4, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("normals", "of_unlabelled", "of_labelled"),
    [("annotated", [None] * 6, [1, 0, 0, 0, 0, 0]),
     ("all", [0] * 6, [1, 0, 0, 0, 0, 0]),
     ("none", [None] * 6, [1, None, None, None, None, None])],
)  # fmt: skip
def test_which_strips_give_normal_crops(
    normals: str, of_unlabelled: list, of_labelled: list
) -> None:
    rules = Rules(normals=normals)
    assert classes({}, rules) == of_unlabelled
    assert classes({1: columns(40, 5)}, rules) == of_labelled


@pytest.mark.parametrize(
    "options",
    [{"offset": -1}, {"offset": 65}, {"min_defect_pixels": 0}, {"min_defect_pixels": 65537},
     {"black_threshold": -0.1}, {"black_threshold": 1.1}, {"black_threshold": float("nan")}],
)  # fmt: skip
def test_refuses_senseless_rules(options: dict) -> None:
    with pytest.raises(OptionError, match=next(iter(options)).replace("_", "-")):
        Rules(**options)


def test_black_fraction_counts_pixels_below_the_level() -> None:
    strip = np.full((256, 1600), BLACK_LEVEL, dtype=np.uint8)
    strip[:64, 32:288] = BLACK_LEVEL - 1
    strip[:, 544:] = 0
    strip[:, 1000:1100] = 200  # 56 columns of crop 3, 44 of crop 4
    assert black_fractions(strip, 32) == (0.25, 0.0, 1.0, 200 / 256, 212 / 256, 1.0)


def test_reproduces_table_3_of_the_paper(steel_data: Path) -> None:
    annotations = read_annotations(steel_data / "severstal_labels" / "train_boxes.csv")
    kept = Counter(
        crop.class_id for a in annotations.strips.values() for crop in recast(a.labels, Rules())
    )
    assert {c: kept[c] for c in (1, 2, 3, 4)} == {1: 1336, 2: 210, 3: 11666, 4: 1388}
    assert kept[0] == 23873
