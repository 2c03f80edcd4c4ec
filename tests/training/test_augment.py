import os
from collections import Counter

import numpy as np
import pytest

from training.augment import Augmentation, Augmenter
from training.errors import RecipeError

CORNERS = np.zeros((8, 8, 3), np.uint8)
CORNERS[0, 0] = 200


def bright_corner(crop: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(crop[..., 0].argmax(), crop.shape[:2])
    return int(row), int(column)


def test_default_changes_nothing() -> None:
    crop = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    assert np.array_equal(Augmenter(Augmentation())(crop, 3), crop)


def test_flips_are_independent_of_each_other() -> None:
    augmenter = Augmenter(Augmentation(horizontal_flip=0.5, vertical_flip=0.5))
    seen = Counter(bright_corner(augmenter(CORNERS, seed)) for seed in range(400))
    assert set(seen) == {(0, 0), (0, 7), (7, 0), (7, 7)}
    assert all(70 <= count <= 130 for count in seen.values())


def test_certain_flip_mirrors() -> None:
    assert bright_corner(Augmenter(Augmentation(horizontal_flip=1.0))(CORNERS, 0)) == (0, 7)
    assert bright_corner(Augmenter(Augmentation(vertical_flip=1.0))(CORNERS, 0)) == (7, 0)


def test_equal_seeds_give_equal_crops_whatever_was_drawn_before() -> None:
    settings = Augmentation(0.5, 0.5, brightness=0.2, contrast=0.2, shift=0.1)
    crop = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    one, two = Augmenter(settings), Augmenter(settings)
    one(crop, 99)
    assert np.array_equal(one(crop, 0), two(crop, 0))
    assert not np.array_equal(one(crop, 0), one(crop, 1))


def test_mask_moves_with_its_crop_and_changes_nothing_of_it() -> None:
    augmenter = Augmenter(Augmentation(0.5, 0.5, brightness=0.2, contrast=0.2, shift=0.2))
    mask = CORNERS[..., 0] // 200
    for seed in range(20):
        crop, moved = augmenter.with_mask(CORNERS, mask, seed)
        assert np.array_equal(crop, augmenter(CORNERS, seed))
        assert set(np.unique(moved)) <= {0, 1}
        if crop.max() > 150:  # not between pixels, nor out of the crop
            assert moved[bright_corner(crop)] == 1


def test_brightness_stays_within_its_limit_and_reaches_both_ways() -> None:
    augmenter = Augmenter(Augmentation(brightness=0.1))
    grey = np.full((4, 4, 3), 100, np.uint8)
    shifts = [int(augmenter(grey, seed)[0, 0, 0]) - 100 for seed in range(200)]
    assert min(shifts) >= -26
    assert max(shifts) <= 26
    assert min(shifts) < -15
    assert max(shifts) > 15


def test_shift_moves_by_its_share_and_mirrors_the_rim() -> None:
    ramp = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[None, :, None], 100, 0).repeat(3, 2)
    augmenter = Augmenter(Augmentation(shift=0.1))
    for seed in range(20):
        shifted = augmenter(ramp, seed)[50, :, 0].astype(int)
        assert abs(int(shifted[50]) - 100) <= 22, "10 px at 2 grey levels per px, and rounding"
        assert shifted.min() > 0 or shifted[:30].min() == 0, "no black border"


def test_share_outside_its_range_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"data\.augment\.shift must be 0 to 1, not 3"):
        Augmentation(shift=3)


def test_albumentations_does_not_ask_the_network() -> None:
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
