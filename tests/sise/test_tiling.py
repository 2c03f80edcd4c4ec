import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sise.tiling import merge_tiles, tile_lefts


def test_a_severstal_strip_has_seven_tiles() -> None:
    assert tile_lefts(1600, 256, 224) == (0, 224, 448, 672, 896, 1120, 1344)


@pytest.mark.parametrize(
    ("width", "expected"),
    [(256, (0,)), (257, (0, 1)), (480, (0, 224)), (481, (0, 224, 225))],
)
def test_the_last_tile_ends_with_the_strip(width: int, expected: tuple[int, ...]) -> None:
    assert tile_lefts(width, 256, 224) == expected


@given(st.integers(256, 5000), st.integers(1, 256))
def test_every_column_is_covered_and_no_tile_comes_twice(width: int, stride: int) -> None:
    lefts = tile_lefts(width, 256, stride)
    covered = np.zeros(width, bool)
    for left in lefts:
        assert 0 <= left <= width - 256
        covered[left : left + 256] = True
    assert covered.all()
    assert len(set(lefts)) == len(lefts)


def test_what_cannot_be_covered_is_refused() -> None:
    with pytest.raises(ValueError, match="narrower than a tile"):
        tile_lefts(255, 256, 224)
    with pytest.raises(ValueError, match="stride must be 1 to 256"):
        tile_lefts(1600, 256, 257)


def test_where_tiles_overlap_the_larger_value_counts() -> None:
    merged = merge_tiles([np.array([[0.2, 0.8]]), np.array([[0.5, 0.1]])], [0, 1], 4, 1)
    assert merged.dtype == np.float32
    assert merged[0].tolist() == pytest.approx([0.2, 0.8, 0.1, 0.0])
