from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from severstal_prep.sample.steel import NARROWEST_STEEL, Steel, black_margin, clean_strip


@pytest.fixture(scope="module")
def steels() -> list[Steel]:
    return [clean_strip(np.random.default_rng(number)) for number in range(40)]


def look(grey: npt.NDArray[np.uint8]) -> list[float]:
    """Mean, deviation, unevenness of light along the strip, roughness along and across."""
    steel = grey[:, grey.mean(axis=0) >= 12].astype(np.float32)
    return [
        steel.mean(),
        steel.std(),
        steel.mean(axis=0).std(),
        np.diff(steel, axis=1).std(),
        np.diff(steel, axis=0).std(),
    ]


def test_shapes_and_ranges(steels: list[Steel]) -> None:
    for steel in steels:
        assert steel.grey.shape == steel.light.shape == steel.on_steel.shape == (256, 1600)
        assert steel.grey.dtype == np.uint8
        assert steel.light.dtype == np.float32
        assert steel.light.min() >= 32
        assert steel.last - steel.first >= NARROWEST_STEEL - 20
        assert steel.on_steel[:, steel.first : steel.last].all()


def test_black_margins_on_some_strips_at_either_end(steels: list[Steel]) -> None:
    sides = [steel.margin for steel in steels]
    assert 0.08 <= np.mean([side is not None for side in sides]) <= 0.35
    assert {"left", "right"} <= set(sides)
    for steel in steels:
        margin = steel.grey[~steel.on_steel]
        if steel.margin is None:
            assert margin.size == 0
        else:
            assert margin.max() < 12
            assert steel.grey[steel.on_steel].mean() > 40
            column = 0 if steel.margin == "left" else -1
            assert not steel.on_steel[:, column].any()


def test_some_strips_are_mostly_margin() -> None:
    draws = [black_margin(np.random.default_rng(number)) for number in range(600)]
    black = [1 - on_steel.mean() for on_steel, _ in draws]
    assert 0.12 < np.mean([share > 0 for share in black]) < 0.24
    assert max(black) > 0.75
    assert max(black) < 1 - (NARROWEST_STEEL - 20) / 1600


def test_light_is_uneven_and_texture_follows_the_rolling_direction(steels: list[Steel]) -> None:
    spreads, ratios = [], []
    for steel in steels:
        spreads.append(np.percentile(steel.light, 95) / np.percentile(steel.light, 5))
        part = steel.grey[:, steel.first : steel.last].astype(np.float32)
        rough = part - cv2.GaussianBlur(part, (0, 0), 8)
        down = (rough[4:] * rough[:-4]).mean()
        across = (rough[:, 4:] * rough[:, :-4]).mean()
        ratios.append(down > across)
    assert np.median(spreads) > 1.3
    assert np.mean(ratios) > 0.8  # streaks run down


def test_normal_steel_has_bright_specks_and_dark_stains(steels: list[Steel]) -> None:
    relative = [steel.grey / steel.light for steel in steels if steel.margin is None]
    assert np.mean([(part > 1.7).sum() > 20 for part in relative]) > 0.25
    stained = [(cv2.blur(part, (7, 7)) < 0.75).mean() > 0.005 for part in relative]
    assert 0.2 < np.mean(stained) < 0.9


def test_looks_like_real_strips(steel_data: Path, steels: list[Steel]) -> None:
    paths = sorted((steel_data / "severstal_sample" / "train_images").glob("*.jpg"))
    real = np.median([look(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) for path in paths], axis=0)
    generated = np.median([look(steel.grey) for steel in steels], axis=0)
    assert len(paths) == 52
    np.testing.assert_allclose(generated, real, rtol=0.35)
