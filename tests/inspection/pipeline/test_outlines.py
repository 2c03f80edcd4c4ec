import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path
from pycocotools import mask as coco_mask

from inspection.pipeline.outlines import doubled_area, outlines, polygons

MASKS = arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7)))


ROUGH = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.booleans())


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
def test_signed_areas_add_up_to_the_pixels(mask: npt.NDArray[np.bool_]) -> None:
    assert sum(doubled_area(loop) for loop in outlines(mask)) == 2 * mask.sum()


@given(MASKS)
@settings(max_examples=200)
def test_pycocotools_draws_the_mask_again(mask: npt.NDArray[np.bool_]) -> None:
    loops = outlines(mask)
    if all(doubled_area(loop) > 0 for loop in loops):
        np.testing.assert_array_equal(rasterised(loops, mask.shape), mask)


def drawing(*rows: str) -> npt.NDArray[np.bool_]:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def test_a_hole_is_cut_open_upwards() -> None:
    (polygon,) = polygons(drawing("###", "#.#", "###"))
    assert polygon == [
        (0, 0), (1, 0), (1, 1), (1, 2), (2, 2), (2, 1), (1, 1), (1, 0), (3, 0), (3, 3), (0, 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mask", "pieces"),
    [
        (drawing("#####", "#.#.#", "#####"), 1),
        (drawing("#####", "#.###", "###.#", "#####"), 1),
        (drawing("###", "#.#", "###", "#.#", "###"), 1),
        (drawing("####", "#.##", "##.#", "####"), 1),
        (drawing("#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"), 2),
        (drawing(".##", "#.#", "###"), 1),
        (drawing("#####", "##.##", "#...#", "##.##", "#####"), 1),
    ],
    ids=["side by side", "askew", "one above the other", "corner to corner", "island", "open",
         "cross"],
)  # fmt: skip
def test_every_piece_is_one_polygon_of_its_area(mask: npt.NDArray[np.bool_], pieces: int) -> None:
    found = polygons(mask)
    assert len(found) == pieces
    assert sum(doubled_area(polygon) for polygon in found) == 2 * mask.sum()
    np.testing.assert_array_equal(rasterised(found, mask.shape), mask)


@given(ROUGH)
@settings(max_examples=300)
def test_polygons_cut_open_are_the_mask_for_any_reader(mask: npt.NDArray[np.bool_]) -> None:
    found = polygons(mask)
    assert all(doubled_area(polygon) > 0 for polygon in found)
    assert sum(doubled_area(polygon) for polygon in found) == 2 * mask.sum()
    np.testing.assert_array_equal(rasterised(found, mask.shape), mask)
    rows, columns = np.indices(mask.shape) + 0.5
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    inside = [
        Path([*polygon, polygon[0]], closed=True).contains_points(centres) for polygon in found
    ]
    np.testing.assert_array_equal(np.any(inside, axis=0) if found else False, mask.ravel())


def test_a_sieve_on_the_border() -> None:
    mask = np.random.default_rng(0).random((120, 90)) > 0.2
    found = polygons(mask)
    assert sum(doubled_area(polygon) for polygon in found) == 2 * mask.sum()
    np.testing.assert_array_equal(rasterised(found, mask.shape), mask)
