"""The grid of maps, read back pixel by pixel."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sise.datasets.dataset import Item
from sise.evaluation.pictures import (
    GAP,
    OUTLINE,
    PAD,
    Line,
    as_jpeg,
    caption,
    grid,
    shown,
)
from sise.overlay import overlay

TILE = 40


def line(label: str = "a", size: tuple[int, int] = (TILE, TILE), maps: int = 1) -> Line:
    truth = np.zeros(size, np.bool_)
    truth[10:30, 10:30] = True
    return Line(
        label,
        0.5,
        np.full((*size, 3), 100, np.uint8),
        truth,
        {f"M{place}": np.full(size, 1.0, np.float32) for place in range(maps)},
    )


def tiles(picture: npt.NDArray[np.uint8], across: int) -> list[npt.NDArray[np.uint8]]:
    """Of the last row of tiles, from the picture's lower right corner."""
    bottom, right = picture.shape[0] - PAD, picture.shape[1] - PAD
    lefts = [right - (across - place) * (TILE + GAP) + GAP for place in range(across)]
    return [picture[bottom - TILE : bottom, left : left + TILE] for left in lefts]


def test_the_image_is_outlined_and_the_map_laid_over() -> None:
    one = line()
    image, laid = tiles(grid([one], TILE), 2)
    assert image[10, 20].tolist() == list(OUTLINE)
    assert image[20, 20].tolist() == [100, 100, 100]
    assert image[5, 5].tolist() == [100, 100, 100]
    assert (laid == overlay(one.pixels, one.maps["M0"])).all()


def test_a_map_of_another_size_is_stretched_to_its_image() -> None:
    values = np.zeros((4, 4), np.float32)
    values[:, 2:] = 1
    laid = tiles(grid([Line("a", 0.5, line().pixels, line().truth, {"M": values})], TILE), 2)[1]
    assert laid[20, 2].tolist() == [100, 100, 100]
    assert laid[20, 38].tolist() != [100, 100, 100]


def test_a_few_bright_pixels_do_not_darken_the_rest() -> None:
    values = np.full((TILE, TILE), 0.1, np.float32)
    values[0, 0] = 1.0
    spiky = Line("a", 0.5, line().pixels, line().truth, {"M": values})
    laid = tiles(grid([spiky], TILE), 2)[1]
    assert (laid == overlay(line().pixels, np.ones((TILE, TILE)))).all()


def test_a_map_of_zeros_leaves_the_image() -> None:
    blank = Line("a", 0.5, line().pixels, line().truth, {"M": np.zeros((8, 8), np.float32)})
    assert (tiles(grid([blank], TILE), 2)[1] == 100).all()


def test_no_map_is_said_in_its_place() -> None:
    missing = Line("a", 0.5, line().pixels, line().truth, {"M": "flat"})
    laid = tiles(grid([missing], TILE), 2)[1]
    assert laid[2, 2].tolist() == [205, 205, 205]
    assert (laid < 100).any()  # the words


def test_an_image_keeps_its_proportions() -> None:
    wide = tiles(grid([line(size=(20, 80))], TILE), 2)[1]
    assert (wide[14] == (236, 239, 242)).all()
    assert (wide[15:25] != 236).any(axis=2).all()
    assert (wide[25] == (236, 239, 242)).all()


def test_many_methods_go_on_in_further_bands() -> None:
    few, many = grid([line(maps=3)], TILE, across=4), grid([line(maps=5)], TILE, across=4)
    assert few.shape[1] == many.shape[1]  # 5 maps: 3 and 2, each with its image
    assert many.shape[0] == 2 * few.shape[0] + GAP


def test_labels_of_any_length_and_script_fit() -> None:
    short, long = grid([line()], TILE), grid([line("заворот кромки по всей длине")], TILE)
    assert long.shape[1] > short.shape[1] + 100


def test_a_grid_of_nothing() -> None:
    for lines in ([], [line(maps=0)]):
        with pytest.raises(ValueError, match="maps"):
            grid(lines)


def test_the_first_of_each_class_is_shown() -> None:
    labels = {"d": 1, "a": 1, "c": 0, "b": 0, "e": 1}
    items = [Item(name, name, label) for name, label in labels.items()]
    assert [item.id for item in shown(items)] == ["c", "d"]
    assert [item.id for item in shown(items, 2)] == ["c", "b", "d", "a"]
    assert "first item of each class" in caption()
    assert "first 2 items of each class" in caption(2)


def test_a_jpeg_of_it() -> None:
    picture = grid([line()], TILE)
    stored = Image.open(io.BytesIO(as_jpeg(picture)))
    assert stored.format == "JPEG"
    assert np.asarray(stored).shape == picture.shape
