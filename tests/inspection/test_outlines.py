import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from inspection.outlines import doubled_area, outlines

MASKS = arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7)))


def rasterised(loops: list[list[tuple[int, int]]], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Polygons as pycocotools draws them, (H, W)."""
    polygons = [[float(value) for corner in loop for value in corner] for loop in loops]
    if not polygons:
        return np.zeros(shape, bool)
    runs = coco_mask.merge(coco_mask.frPyObjects(polygons, *shape))
    return np.asarray(coco_mask.decode(runs), bool)


@pytest.mark.parametrize(
    ("mask", "loops"),
    [
        ([[1]], [[(0, 0), (1, 0), (1, 1), (0, 1)]]),
        ([[0, 1, 1], [0, 1, 0]], [[(1, 0), (3, 0), (3, 1), (2, 1), (2, 2), (1, 2)]]),
        ([[0, 0]], []),
    ],
)
def test_outlines_turn_at_the_corners_of_pixels(
    mask: list[list[int]], loops: list[list[tuple[int, int]]]
) -> None:
    assert outlines(np.array(mask, bool)) == loops


def test_pixels_that_touch_at_a_corner_are_apart() -> None:
    loops = outlines(np.array([[1, 0], [0, 1]], bool))
    assert sorted(map(sorted, loops)) == [
        [(0, 0), (0, 1), (1, 0), (1, 1)],
        [(1, 1), (1, 2), (2, 1), (2, 2)],
    ]


def test_a_hole_runs_the_other_way() -> None:
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert sorted(doubled_area(loop) for loop in outlines(ring)) == [-2, 18]


@given(MASKS)
@settings(deadline=None)
def test_signed_areas_add_up_to_the_pixels(mask: npt.NDArray[np.bool_]) -> None:
    assert sum(doubled_area(loop) for loop in outlines(mask)) == 2 * mask.sum()


@given(MASKS)
@settings(max_examples=200, deadline=None)
def test_pycocotools_draws_the_mask_again(mask: npt.NDArray[np.bool_]) -> None:
    loops = outlines(mask)
    if all(doubled_area(loop) > 0 for loop in loops):
        np.testing.assert_array_equal(rasterised(loops, mask.shape), mask)
