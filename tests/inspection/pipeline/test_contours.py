import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.pipeline.outlines import SPECK, doubled_area, outlines, simplified, svg_path


def mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Boxes (left, top, width, height) on 256 x 256 px."""
    found = np.zeros((256, 256), bool)
    for left, top, width, height in boxes:
        found[top : top + height, left : left + width] = True
    return found


def drawn(path: str) -> list[list[tuple[int, int]]]:
    """The outlines of path data; whatever is no such data fails."""
    assert re.fullmatch(r"(M \d+ \d+( L \d+ \d+)+ Z ?)*", path)
    numbers = [re.findall(r"(\d+) (\d+)", part) for part in path.split("Z") if part.strip()]
    return [[(int(x), int(y)) for x, y in corners] for corners in numbers]


def test_a_square_gives_its_corners() -> None:
    assert svg_path(mask((40, 96, 64, 64))) == "M 40 96 L 104 96 L 104 160 L 40 160 Z"
    assert svg_path(mask((0, 0, 256, 256))) == "M 0 0 L 256 0 L 256 256 L 0 256 Z"
    assert svg_path(mask()) == ""


def test_two_pieces_are_two_outlines() -> None:
    assert svg_path(mask((0, 0, 4, 4), (10, 20, 5, 6))) == (
        "M 0 0 L 4 0 L 4 4 L 0 4 Z M 10 20 L 15 20 L 15 26 L 10 26 Z"
    )


def test_a_hole_runs_the_other_way() -> None:
    ring = mask((10, 10, 20, 20))
    ring[15:25, 15:25] = False
    outer, hole = drawn(svg_path(ring))
    assert sorted(outer) == [(10, 10), (10, 30), (30, 10), (30, 30)]
    assert sorted(hole) == [(15, 15), (15, 25), (25, 15), (25, 25)]
    assert (doubled_area(outer), doubled_area(hole)) == (2 * 400, -2 * 100)


def test_specks_are_left_out_but_never_everything() -> None:
    square = (40, 96, 64, 64)
    assert svg_path(mask(square, (0, 0, 5, 3))) == svg_path(mask(square))
    assert svg_path(mask(square, (0, 0, 4, 4))) != svg_path(mask(square))
    pricked = mask(square)
    pricked[100:103, 50:55] = False
    assert svg_path(pricked) == svg_path(mask(square))
    assert svg_path(mask((9, 9, 1, 1), (5, 5, 2, 2))) == "M 5 5 L 7 5 L 7 7 L 5 7 Z"


@pytest.mark.parametrize("box", [(10, 20, 200, 1), (30, 3, 1, 100), (0, 255, 256, 1)])
def test_a_line_of_pixels_keeps_its_area(box: tuple[int, int, int, int]) -> None:
    (outline,) = drawn(svg_path(mask(box)))
    assert doubled_area(outline) == 2 * box[2] * box[3]


def test_a_disc_needs_few_corners() -> None:
    rows, columns = np.mgrid[:256, :256]
    disc = (rows - 128) ** 2 + (columns - 128) ** 2 < 80**2
    (exact,) = outlines(disc)
    (outline,) = drawn(svg_path(disc))
    assert len(outline) < len(exact) / 5
    assert doubled_area(outline) / 2 == pytest.approx(disc.sum(), rel=0.02)
    distances = [((x - 128) ** 2 + (y - 128) ** 2) ** 0.5 for x, y in outline]
    assert max(abs(distance - 80) for distance in distances) < 2


@given(st.integers(0, 2**16 - 1))
@settings(max_examples=60)
def test_any_mask_gives_some_outline_within_it(bits: int) -> None:
    small = np.array([bits >> place & 1 for place in range(16)], bool).reshape(4, 4)
    large = small.repeat(8, axis=0).repeat(8, axis=1)
    found = drawn(svg_path(large))
    assert bool(found) == bool(bits)
    assert all(len(outline) > 2 for outline in found)
    area = sum(doubled_area(outline) for outline in found) / 2
    assert area == pytest.approx(large.sum(), abs=SPECK)
    for outline in outlines(large):
        assert set(simplified(outline)) <= set(outline)
