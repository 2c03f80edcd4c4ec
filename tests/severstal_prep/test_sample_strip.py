import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from severstal_prep.sample import Strip, make_strip
from severstal_prep.sample.defects import paint
from severstal_prep.sample.marks import Mark, Room
from severstal_prep.sample.steel import Steel
from severstal_prep.sample.strip import SMALLEST_COMPONENT, VISIBLE, lay_mark, visible

COMBINATIONS = [(1,), (2,), (3,), (4,), (3, 4), (1, 3), (1, 2), (2, 3)]
LARGEST_REACH = 12


def seed(number: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(number)


@pytest.fixture(scope="module")
def strips() -> list[tuple[tuple[int, ...], Strip]]:
    return [
        (classes, make_strip(seed(10 * number + repeat), classes))
        for number, classes in enumerate(COMBINATIONS)
        for repeat in range(4)
    ]


def everywhere(shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    return np.ones(shape, np.bool_)


def change(shape: tuple[int, int], *boxes: tuple[slice, slice], by: int) -> npt.NDArray[np.bool_]:
    before = np.full(shape, 100, np.uint8)
    after = before.copy()
    for box in boxes:
        after[box] += by
    return visible(before, after, 3, everywhere(shape))


def test_a_change_shows_from_the_threshold_on() -> None:
    box = np.s_[10:20, 10:20]
    assert not change((30, 30), box, by=VISIBLE - 1).any()
    shows = change((30, 30), box, by=VISIBLE)
    assert shows[box].all()
    assert shows.sum() == 100


def test_a_darker_pixel_shows_as_a_brighter_one_does() -> None:
    before = np.full((30, 30), 4, np.uint8)
    after = before.copy()
    after[5:15, 5:15] = 250
    np.testing.assert_array_equal(
        visible(before, after, 3, everywhere(before.shape)),
        visible(after, before, 3, everywhere(before.shape)),
    )


def test_gaps_up_to_twice_the_reach_are_closed() -> None:
    left = np.s_[5:35, 5:15]
    for gap, closed in ((6, True), (8, False)):
        shows = change((40, 60), left, np.s_[5:35, 15 + gap : 25 + gap], by=50)
        assert shows[20, 15 : 15 + gap].all() == closed
        assert shows[20, 15 : 15 + gap].any() == closed


def test_a_change_does_not_spread_to_a_nearby_border() -> None:
    shows = change((30, 30), np.s_[10:20, 18:28], by=50)
    assert not shows[:, 28:].any()
    assert shows.sum() == 100


def test_crumbs_do_not_show() -> None:
    crumb, block = np.s_[2:7, 2:7], np.s_[20:26, 20:26]  # 25 and 36 pixels
    assert SMALLEST_COMPONENT == 30
    shows = change((40, 40), crumb, block, by=50)
    assert not shows[crumb].any()
    assert shows.sum() == 36


def even_steel(grey: int = 100) -> Steel:
    shape = (256, 1600)
    on_steel = everywhere(shape)
    on_steel[:, 1000:] = False
    return Steel(
        grey=np.full(shape, grey, np.uint8),
        light=np.full(shape, 80, np.float32),
        on_steel=on_steel,
        margin="right",
        first=0,
        last=1000,
    )


def lay(gain: float, glow: float, top: int, left: int) -> tuple[npt.NDArray[np.uint8], int]:
    steel = even_steel()
    grey, mask = steel.grey.copy(), np.zeros((256, 1600), np.bool_)
    shape = (20, 30)
    mark = Mark(
        np.full(shape, gain, np.float32), np.full(shape, glow, np.float32), top, left, reach=3
    )
    lay_mark(mark, steel, grey, mask)
    np.testing.assert_array_equal(mask, grey != steel.grey)
    return grey, int(mask.sum())


def test_a_mark_is_laid_by_its_formula() -> None:
    grey, pixels = lay(gain=0.5, glow=0.25, top=40, left=60)
    assert (grey[40:60, 60:90] == 70).all()  # 100 · 0.5 + 80 · 0.25
    assert pixels == 600


def test_a_mark_saturates() -> None:
    assert lay(gain=1, glow=3, top=40, left=60)[0].max() == 255
    assert lay(gain=-1, glow=0, top=40, left=60)[0].min() == 0


def test_a_mark_is_cut_at_the_strip_and_at_its_margin() -> None:
    grey, pixels = lay(gain=0.5, glow=0, top=-5, left=0)
    assert (grey[:15, :30] == 50).all()
    assert pixels == 15 * 30
    assert lay(gain=0.5, glow=0, top=250, left=0)[1] == 6 * 30
    assert lay(gain=0.5, glow=0, top=40, left=980)[1] == 20 * 20


def test_an_invisible_mark_changes_nothing() -> None:
    assert lay(gain=0.95, glow=0, top=40, left=60)[1] == 0


def test_outside_the_masks_a_strip_equals_its_clean_steel(
    strips: list[tuple[tuple[int, ...], Strip]],
) -> None:
    for classes, strip in strips:
        anywhere = np.logical_or.reduce(list(strip.masks.values()))
        np.testing.assert_array_equal(strip.grey[~anywhere], strip.clean[~anywhere])
        assert set(strip.masks) == set(classes)
        assert sum(mask.sum() for mask in strip.masks.values()) == anywhere.sum()  # disjoint


def test_every_mask_pixel_is_near_a_visible_change(
    strips: list[tuple[tuple[int, ...], Strip]],
) -> None:
    for _, strip in strips:
        changed = cv2.absdiff(strip.grey, strip.clean) >= VISIBLE
        distance = ndimage.distance_transform_edt(~changed)
        for mask in strip.masks.values():
            assert distance[mask].max() <= LARGEST_REACH
            assert changed[mask].mean() > 0.15


def test_components_are_no_crumbs(strips: list[tuple[tuple[int, ...], Strip]]) -> None:
    for _, strip in strips:
        for mask in strip.masks.values():
            labels, count = ndimage.label(mask, np.ones((3, 3)))
            assert count >= 1
            assert np.bincount(labels.ravel())[1:].min() >= SMALLEST_COMPONENT


def test_several_components_are_common(strips: list[tuple[tuple[int, ...], Strip]]) -> None:
    counts = [ndimage.label(mask)[1] for _, strip in strips for mask in strip.masks.values()]
    assert np.mean(np.array(counts) > 1) > 0.25


def test_defects_are_of_the_size_of_the_real_ones() -> None:
    """Medians of component boxes in the real labels: 25x44, 18x196, 34x181, 151x112 px."""
    widths, heights = {}, {}
    for class_id in (1, 2, 3, 4):
        boxes = []
        for number in range(9):
            mask = make_strip(seed(1000 * class_id + number), (class_id,)).masks[class_id]
            boxes += ndimage.find_objects(ndimage.label(mask, np.ones((3, 3)))[0])
        heights[class_id] = np.median([box[0].stop - box[0].start for box in boxes])
        widths[class_id] = np.median([box[1].stop - box[1].start for box in boxes])
    assert 14 <= widths[1] <= 36
    assert 25 <= heights[1] <= 60
    assert 8 <= widths[2] <= 26
    assert 100 <= heights[2] <= 256
    assert 60 <= heights[3] <= 256
    assert 90 <= widths[4] <= 240
    assert 60 <= heights[4] <= 180


@pytest.mark.parametrize("class_id", [1, 2, 3, 4])
@pytest.mark.parametrize("width", [160, 320, 1600])
def test_painters_stay_in_their_room(class_id: int, width: int) -> None:
    rng = np.random.default_rng(width + class_id)
    for margin in (None, "left", "right"):
        for _ in range(15):
            for mark in paint(class_id, rng, Room(0, width, margin)):
                assert mark.gain.shape == mark.glow.shape
                assert mark.gain.dtype == mark.glow.dtype == np.float32
                assert mark.left >= 0
                assert mark.left + mark.gain.shape[1] <= width
                assert mark.top < 256
                assert mark.top + mark.gain.shape[0] > 0
                assert mark.reach <= LARGEST_REACH


def test_the_clean_steel_knows_nothing_of_the_defects() -> None:
    bare = make_strip(seed(7), ())
    assert bare.masks == {}
    np.testing.assert_array_equal(bare.grey, bare.clean)
    np.testing.assert_array_equal(make_strip(seed(7), (3, 4)).clean, bare.grey)


def test_a_seed_gives_one_strip_and_is_left_as_it_was() -> None:
    once = seed(0)
    first, second = make_strip(once, (3,)), make_strip(once, (3,))
    np.testing.assert_array_equal(first.grey, second.grey)
    np.testing.assert_array_equal(first.masks[3], second.masks[3])
    assert (make_strip(seed(1), (3,)).clean != first.clean).mean() > 0.5
