"""One strip: clean steel, the defects laid on it, and exactly where they show."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from severstal_prep.sample.defects import paint
from severstal_prep.sample.marks import Mark, Room
from severstal_prep.sample.steel import Steel, clean_strip

VISIBLE = 8
SMALLEST_COMPONENT = 30
ATTEMPTS = 20


@dataclass(frozen=True)
class Strip:
    """A generated strip (256, 1600).

    `grey` uint8 with its defects, `clean` uint8 without them, `masks` bool per class. The
    masks are disjoint, and `grey` equals `clean` wherever no mask is set.
    """

    grey: npt.NDArray[np.uint8]
    clean: npt.NDArray[np.uint8]
    masks: Mapping[int, npt.NDArray[np.bool_]]


def make_strip(seed: np.random.SeedSequence, classes: tuple[int, ...]) -> Strip:
    """Draw a strip with defects of the given classes (1 to 4), one mask for each.

    The clean steel depends on `seed` alone. A mask holds the pixels that a defect changed by
    `VISIBLE` grey levels or more and the gaps between them (`Mark.reach`), on steel only;
    groups of fewer than `SMALLEST_COMPONENT` pixels are left out, of strip and mask. All
    before JPEG.
    """
    steel = clean_strip(np.random.default_rng(child_seed(seed, 0)))
    rng = np.random.default_rng(child_seed(seed, 1))
    grey = steel.grey.copy()
    masks = {}
    for class_id, room in _rooms(rng, steel, classes).items():
        masks[class_id] = _lay_defects(rng, class_id, room, steel, grey)
    return Strip(grey, steel.grey, masks)


def child_seed(seed: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """The descendant of `seed` by that key; unlike `spawn`, it leaves `seed` as it was."""
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key))


def _rooms(rng: np.random.Generator, steel: Steel, classes: tuple[int, ...]) -> dict[int, Room]:
    """Give each class columns of its own, so that no pixel belongs to two classes."""
    order = rng.permutation(classes)
    borders = np.linspace(steel.first, steel.last, len(order) + 1).astype(int)
    rooms = {}
    for index, class_id in enumerate(order):
        first, last = int(borders[index]), int(borders[index + 1])
        at_left = steel.margin == "left" and index == 0
        at_right = steel.margin == "right" and index == len(order) - 1
        margin = steel.margin if at_left or at_right else None
        rooms[int(class_id)] = Room(first, last, margin)
    return rooms


def _lay_defects(
    rng: np.random.Generator,
    class_id: int,
    room: Room,
    steel: Steel,
    grey: npt.NDArray[np.uint8],
) -> npt.NDArray[np.bool_]:
    """Draw defects of a class into `grey`, and return where they show."""
    mask = np.zeros(grey.shape, np.bool_)
    for _ in range(ATTEMPTS):
        for mark in paint(class_id, rng, room):
            lay_mark(mark, steel, grey, mask)
        if mask.any():
            return mask
    raise RuntimeError(f"no defect of class {class_id} became visible in {ATTEMPTS} attempts")


def lay_mark(
    mark: Mark, steel: Steel, grey: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]
) -> None:
    """Draw a mark into `grey` where it shows, and add those pixels to `mask`, both in place."""
    above = max(0, -mark.top)
    bottom = min(mark.top + mark.gain.shape[0], grey.shape[0])
    window = np.s_[max(0, mark.top) : bottom, mark.left : mark.left + mark.gain.shape[1]]
    height = window[0].stop - window[0].start
    gain, glow = mark.gain[above : above + height], mark.glow[above : above + height]
    before = grey[window]
    drawn = before * gain + steel.light[window] * glow
    after = np.clip(np.rint(drawn), 0, 255).astype(np.uint8)
    shows = visible(before, after, mark.reach, steel.on_steel[window])
    np.copyto(before, after, where=shows)
    mask[window] |= shows


def visible(
    before: npt.NDArray[np.uint8],
    after: npt.NDArray[np.uint8],
    reach: int,
    where: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Where a change shows: altered pixels, gaps of up to `2 * reach` closed, crumbs left out.

    All arrays are (H, W); only pixels of `where` count.
    """
    change = np.abs(after.astype(np.int16) - before)
    altered = ((change >= VISIBLE) & where).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    # Without a border of zeros, closing would reach out to the window's edge.
    padded = cv2.copyMakeBorder(altered, *(4 * (reach,)), cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)[reach:-reach, reach:-reach]
    closed = np.where(where, closed, 0).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    large = statistics[:, cv2.CC_STAT_AREA] >= SMALLEST_COMPONENT
    large[0] = False
    shows: npt.NDArray[np.bool_] = large[labels]
    return shows
