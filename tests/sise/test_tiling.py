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


def test_overlapping_tiles_give_way_to_each_other() -> None:
    # Two tiles of 4 px that share 2: the left one's weights there are 1.5 and 0.5, the right
    # one's 0.5 and 1.5, and the strip's own ends count in full.
    merged = merge_tiles([np.full((1, 4), 0.8), np.full((1, 4), 0.4)], [0, 2], 6, 1)
    assert merged.dtype == np.float32
    assert merged[0].tolist() == pytest.approx([0.8, 0.8, 0.7, 0.5, 0.4, 0.4])


def test_a_lone_tile_stays_as_it_is_and_the_rest_is_zero() -> None:
    tile = np.array([[0.2, 0.8, 0.4], [1.0, 0.0, 0.6]], np.float32)
    merged = merge_tiles([tile], [2], 7, 2)
    assert np.array_equal(merged, np.pad(tile, ((0, 0), (2, 2))))
    assert not merge_tiles([], [], 7, 2).any()


@given(st.integers(8, 60), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_merging_is_a_mean_of_the_tiles_that_are_there(width: int, stride: int, seed: int) -> None:
    lefts = tile_lefts(width, 8, stride)
    generator = np.random.default_rng(seed)
    maps = [generator.random((3, 8)) for _ in lefts]
    merged = merge_tiles(maps, lefts, width, 3)
    low, high = np.full((3, width), np.inf), np.full((3, width), -np.inf)
    for values, left in zip(maps, lefts, strict=True):
        tile = (slice(None), slice(left, left + 8))
        low[tile], high[tile] = np.minimum(low[tile], values), np.maximum(high[tile], values)
    assert (merged >= low - 1e-6).all()
    assert (merged <= high + 1e-6).all()
    even = merge_tiles([np.full((3, 8), 0.3)] * len(lefts), lefts, width, 3)
    np.testing.assert_allclose(even, 0.3, rtol=1e-6)


def test_a_step_between_tiles_is_spread_over_their_overlap() -> None:
    lefts = tile_lefts(1600, 256, 224)
    maps = [np.full((1, 256), float(index % 2)) for index in range(len(lefts))]
    steps = np.abs(np.diff(merge_tiles(maps, lefts, 1600, 1)[0]))
    assert steps.max() == pytest.approx(1 / 32, abs=1e-6)


def test_tiles_of_two_rows_give_way_to_each_other_both_ways() -> None:
    # Four tiles of 4×4 px that share 2 px both ways; where all meet, the first weighs 1.5 of 2
    # across and 1.5 of 2 down at (2, 2), and 0.5 of 2 down at (3, 2).
    maps = [np.full((4, 4), value) for value in (0.8, 0.4, 0.4, 0.4)]
    merged = merge_tiles(maps, [0, 2, 0, 2], 6, 6, [0, 0, 2, 2])
    assert merged[0].tolist() == pytest.approx([0.8, 0.8, 0.7, 0.5, 0.4, 0.4])
    assert merged[2, 2] == pytest.approx(0.4 + 0.4 * 0.75 * 0.75)
    assert merged[3, 2] == pytest.approx(0.4 + 0.4 * 0.25 * 0.75)
    assert merged[:, 5].tolist() == pytest.approx([0.4] * 6)
    alone = merge_tiles([np.full((4, 4), 0.8)], [2], 6, 6, [2])
    assert np.array_equal(alone > 0, np.pad(np.ones((4, 4), bool), ((2, 0), (2, 0))))
