import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from severstal_prep.sample.noise import (
    CONSTANT,
    grain,
    octaves,
    ribbon,
    smoothstep,
    specks,
    value_noise,
)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("cell", [(3.0, 5.0), (8.0, 8.0), (2.6, 26.0), (CONSTANT, 4.0)])
def test_value_noise_has_mean_0_and_deviation_1(cell: tuple[float, float]) -> None:
    fields = [value_noise(generator(seed), (256, 512), cell) for seed in range(10)]
    assert np.mean([field.mean() for field in fields]) == pytest.approx(0, abs=0.05)
    assert np.mean([field.std() for field in fields]) == pytest.approx(1, abs=0.07)
    assert fields[0].dtype == np.float32


def test_a_constant_cell_makes_equal_rows() -> None:
    field = value_noise(generator(), (40, 60), (CONSTANT, 5))
    np.testing.assert_allclose(field, np.broadcast_to(field[:1], field.shape), atol=1e-5)
    assert np.ptp(field[0]) > 1


def test_the_cell_is_the_size_of_features() -> None:
    def neighbours(field: np.ndarray, distance: int, axis: int) -> float:
        a = np.take(field, range(distance, field.shape[axis]), axis)
        b = np.take(field, range(field.shape[axis] - distance), axis)
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    field = value_noise(generator(), (256, 1024), (4, 40))
    assert neighbours(field, 8, axis=0) < 0.15
    assert neighbours(field, 8, axis=1) > 0.85
    assert neighbours(field, 80, axis=1) < 0.15


def test_octaves_and_grain_are_standardised() -> None:
    for field in (octaves(generator(), (64, 128), (30, 30), 4), grain(generator(), (64, 128), 2)):
        assert field.mean() == pytest.approx(0, abs=1e-5)
        assert field.std() == pytest.approx(1, abs=1e-4)


def test_smoothstep_by_hand() -> None:
    field = np.array([-5, 2, 3, 4, 6, 99], np.float32)
    expected = [0, 0, 0.15625, 0.5, 1, 1]  # t = 0.25 gives 3/16 - 2/64
    np.testing.assert_allclose(smoothstep(field, 2, 6), expected, atol=1e-6)


def test_specks_lie_where_asked_and_nowhere_else() -> None:
    canvas = specks(generator(), np.array([5, 20]), np.array([7, 30]), (40, 50), (1.0, 2.0))
    assert canvas[5, 7] >= 0.25
    assert canvas[20, 30] >= 0.25
    canvas[1:10, 3:12] = 0
    canvas[16:25, 26:35] = 0
    assert not canvas.any()


@given(st.integers(0, 2**32), st.floats(3, 12))
@settings(max_examples=20)
def test_a_ribbon_covers_its_line_and_nothing_beyond_its_width(seed: int, half: float) -> None:
    cover, fibres = ribbon(generator(seed), (200, 64), (0, 32), (199, 32), half)
    assert cover.min() >= 0
    assert cover.max() <= 1
    assert cover[100, 32] == pytest.approx(1)
    np.testing.assert_allclose(cover[100, 1:32], cover[100, 63:32:-1], atol=1e-5)
    columns = np.arange(64)
    assert not cover[:, np.abs(columns - 32) > half].any()
    assert cover[0, 32] == pytest.approx(0)
    assert fibres.shape == cover.shape


def test_a_ribbon_follows_its_diagonal_with_fibres_along_it() -> None:
    cover, fibres = ribbon(generator(3), (120, 120), (0, 0), (119, 119), 20, fibre=(1.5, 80))
    assert cover[60, 60] == pytest.approx(1)
    assert cover[10, 110] == 0
    middle = fibres[30:90, 30:90]
    along = np.corrcoef(middle[1:, 1:].ravel(), middle[:-1, :-1].ravel())[0, 1]
    across = np.corrcoef(middle[1:, :-1].ravel(), middle[:-1, 1:].ravel())[0, 1]
    assert along > 0.95
    assert across < along - 0.3
