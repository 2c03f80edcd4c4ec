import numpy as np
import pytest
from matplotlib import colormaps

from sise.errors import SiseError
from sise.overlay import PALETTES, colorize, overlay, to_grey


def test_grey_rounds_and_clips() -> None:
    values = np.array([[0.0, 0.5, 1.0], [-0.1, 1.2, 0.1]])
    assert to_grey(values).tolist() == [[0, 128, 255], [0, 255, 26]]


@pytest.mark.parametrize("palette", PALETTES)
def test_colours_are_matplotlibs(palette: str) -> None:
    ramp = np.linspace(0, 1, 256)[None]
    expected = colormaps[palette](np.arange(256))[None, :, :3] * 255
    assert np.abs(colorize(ramp, palette).astype(float) - expected).max() <= 1


def test_the_scale_is_fixed_not_stretched_to_the_map() -> None:
    assert np.array_equal(
        colorize(np.full((2, 2), 0.3)), colorize(np.array([[0.3, 1.0]]))[:, [0, 0]].repeat(2, 0)
    )


def test_where_the_map_is_zero_the_steel_stays_as_it_is() -> None:
    image = np.full((1, 2, 3), 90, np.uint8)
    values = np.array([[0.0, 1.0]])
    blended = overlay(image, values, alpha=0.5)
    assert blended[0, 0].tolist() == [90, 90, 90]
    colour = colorize(values)[0, 1].astype(float)
    assert blended[0, 1].tolist() == np.rint(45 + colour / 2).astype(int).tolist()


def test_sizes_must_agree() -> None:
    with pytest.raises(SiseError, match="differ in size"):
        overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5)))


def test_an_unknown_palette_is_refused_by_name() -> None:
    with pytest.raises(SiseError, match="'jet': one of inferno"):
        colorize(np.zeros((1, 1)), "jet")
