import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from severstal_prep.errors import RleError
from severstal_prep.rle import decode, encode, parse

# Of the strips with true pixel masks: pixels and bounding box (left, top, right, bottom; all
# inclusive), counted pixel by pixel in plain Python.
EXACT = {
    ("72aaba8ad.jpg", "4"): (24515, (524, 120, 816, 252)),
    ("988cf521f.jpg", "1"): (4665, (99, 38, 1215, 255)),
    ("b2ad335bf.jpg", "3"): (92655, (0, 76, 1391, 255)),
    ("b6a257b28.jpg", "2"): (1471, (1492, 0, 1509, 146)),
    ("bca4ae758.jpg", "1"): (2839, (1109, 101, 1440, 243)),
    ("f383950e8.jpg", "3"): (12055, (249, 27, 343, 193)),
    ("f383950e8.jpg", "4"): (36002, (1215, 0, 1459, 255)),
}


def test_decodes_a_tiny_strip_by_hand() -> None:
    # 3 rows, 4 columns, numbered down the columns: 1 4 7 10 / 2 5 8 11 / 3 6 9 12.
    mask = decode("2 3 9 1 11 2", height=3, width=4)
    expected = np.array([[0, 1, 0, 0], [1, 0, 0, 1], [1, 0, 1, 1]], dtype=bool)
    np.testing.assert_array_equal(mask, expected)
    assert mask.dtype == np.bool_
    assert encode(expected) == "2 3 9 1 11 2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", np.zeros((2, 3))), ("1 6", np.ones((2, 3))), ("1 2 3 1", [[1, 1, 0], [1, 0, 0]])],
    ids=["empty", "full", "runs that touch"],
)
def test_decodes_the_extremes(text: str, expected: object) -> None:
    np.testing.assert_array_equal(decode(text, 2, 3), np.asarray(expected, dtype=bool))


def test_runs_that_touch_are_written_as_one() -> None:
    assert encode(decode("1 2 3 1", 2, 3)) == "1 3"


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)))
def test_round_trip_of_any_mask(mask: np.ndarray) -> None:
    height, width = mask.shape
    np.testing.assert_array_equal(decode(encode(mask), height, width), mask)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=10))
def test_round_trip_of_any_text(gaps_and_lengths: list[tuple[int, int]]) -> None:
    position, numbers, pixels = 1, list[int](), set[int]()
    for gap, length in gaps_and_lengths:
        position += gap
        numbers += [position, length]
        pixels |= set(range(position, position + length))
        position += length
    text = " ".join(map(str, numbers))
    mask = decode(text, 20, 10)
    assert {int(i) + 1 for i in np.flatnonzero(mask.ravel(order="F"))} == pixels
    assert encode(mask) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1 2 3", "odd count of numbers (3)"),
        ("1", "odd count of numbers (1)"),
        ("1 two", "holds 'two'"),
        ("1.0 2", "holds '1.0'"),
        ("1_0 2", "holds '1_0'"),
        ("1 ２", "holds '２'"),  # a full-width digit
        ("nan 2", "holds 'nan'"),
        ("1 -", "no proper number"),
        ("1 99999999999999999999", "no proper number"),
        ("0 2", "starts at 0"),
        ("-5 2", "starts at -5"),
        ("3 0", "run at 3 has length 0"),
        ("3 -1", "run at 3 has length -1"),
        ("12 2", "run at 12 of length 2 ends past the last pixel (12)"),
        ("13 1", "ends past"),
        ("2 9223372036854775807", "ends past"),
        ("9223372036854775807 1", "ends past"),
        ("5 1 2 1", "run at 2 comes after the one at 5"),
        ("2 3 4 2", "runs at 2 and 4 overlap"),
        ("2 3 2 3", "runs at 2 and 2 overlap"),
    ],
)
def test_refuses_what_is_no_mask(text: str, complaint: str) -> None:
    with pytest.raises(RleError) as caught:
        decode(text, height=3, width=4)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("separator", ["\x1c", "\x1f", "\x85", "\xa0", "\u2003"])
def test_separators_of_other_alphabets_are_refused(separator: str) -> None:
    """Python splits words at these, and the numbers around them are whole."""
    with pytest.raises(RleError, match=r"^EncodedPixels holds .*: write whole numbers between"):
        decode(f"1{separator}3", 4, 4)


def test_counts_pixels_between_positions() -> None:
    runs = parse("3 4 10 2", height=12, width=1)  # positions 2 to 5, and 9 and 10
    assert runs.pixels_between(0, 12) == 6
    assert runs.pixels_between(0, 2) == 0
    assert runs.pixels_between(4, 10) == 3
    assert runs.pixels_between(6, 9) == 0
    assert runs.pixels_between(3, 4) == 1


def test_real_masks(steel_data: Path) -> None:
    csv.field_size_limit(10**8)
    with (steel_data / "severstal_sample" / "train.csv").open(newline="") as stream:
        found = {(r["ImageId"], r["ClassId"]): r["EncodedPixels"] for r in csv.DictReader(stream)}
    for key, (pixels, bounds) in EXACT.items():
        mask = decode(found[key], 256, 1600)
        rows, columns = np.nonzero(mask)
        assert int(mask.sum()) == pixels, key
        assert (columns.min(), rows.min(), columns.max(), rows.max()) == bounds, key
        assert encode(mask) == found[key], key
