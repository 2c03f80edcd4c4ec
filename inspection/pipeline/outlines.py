"""Masks as polygons along the edges of their pixels, so that the polygon is the mask exactly; and
simplified, without specks, for a page that draws hundreds of them.
"""

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Corner = tuple[int, int]

Step = tuple[Corner, Corner]
"""From a corner, in a direction: (x, y), (dx, dy)."""

_RIGHT, _DOWN, _LEFT, _UP = (1, 0), (0, 1), (-1, 0), (0, -1)


TOLERANCE = 1.0
"""How far, in px, a simplified outline may leave the exact one."""

SPECK = 16
"""Outlines that enclose fewer pixels are left out, if there is a larger one."""


def outlines(mask: Mask) -> list[list[Corner]]:
    """Closed outlines (x, y) of a mask (H, W), one per 4-connected piece and one per hole.

    Corners lie between pixels: pixel (row, column) spans (column, row) to (column + 1, row + 1).
    Only corners where the outline turns are given, the first not repeated. Pieces run clockwise
    as seen on the screen (positive `doubled_area`), holes counterclockwise.
    """
    steps = _steps(mask)
    loops = []
    while steps:
        loops.append(_corners(_loop(next(iter(steps)), steps)))
    return loops


def polygons(mask: Mask) -> list[list[Corner]]:
    """One polygon (x, y) per 4-connected piece of a mask (H, W), for formats that know no holes.

    Corners lie between pixels, as those of `outlines`. A hole is cut open by a slit of no width,
    straight up from its topmost corner to what lies above, so that the polygon passes the slit
    twice, never crosses itself and has exactly the piece's area.
    """
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return [_cut_open(outlines(labels == label)) for label in range(1, count)]


def _cut_open(loops: list[list[Corner]]) -> list[Corner]:
    """One polygon of a piece's outline and those of its holes."""
    # What lies above a hole starts higher up: it is the piece's outline, or a hole cut before.
    polygon, *holes = sorted((_from_top(loop) for loop in loops), key=_height)
    for hole in holes:
        x, y = hole[0]
        edges = zip(polygon, polygon[1:] + polygon[:1], strict=True)
        above = {
            left_y: edge
            for edge, ((left, left_y), (right, _)) in enumerate(edges)
            if left < right and left <= x <= right and left_y < y
        }
        nearest = max(above)
        cut = (x, nearest)
        before, after = polygon[: above[nearest] + 1], polygon[above[nearest] + 1 :]
        there = [] if before[-1] == cut else [cut]
        back = [] if after[:1] == [cut] else [cut]
        polygon = [*before, *there, *hole, hole[0], *back, *after]
    return polygon


def _from_top(loop: list[Corner]) -> list[Corner]:
    """The same loop, starting at its topmost corner, of several the leftmost."""
    start = loop.index(min(loop, key=lambda corner: (corner[1], corner[0])))
    return loop[start:] + loop[:start]


def _height(loop: list[Corner]) -> int:
    return loop[0][1]


def _steps(mask: Mask) -> dict[Step, None]:
    """All steps along the border, row by row, with the mask to the right."""
    padded = np.pad(mask, 1)
    sides = (
        (mask & ~padded[:-2, 1:-1], (0, 0), _RIGHT),
        (mask & ~padded[1:-1, 2:], (1, 0), _DOWN),
        (mask & ~padded[2:, 1:-1], (1, 1), _LEFT),
        (mask & ~padded[1:-1, :-2], (0, 1), _UP),
    )
    return {
        ((column + right, row + down), direction): None
        for border, (right, down), direction in sides
        for row, column in np.argwhere(border).tolist()
    }


def _loop(first: Step, steps: dict[Step, None]) -> list[Step]:
    """Take the steps that follow each other from `first` back to it out of `steps`."""
    loop = []
    step = first
    while step in steps:
        loop.append(step)
        del steps[step]
        (x, y), (dx, dy) = step
        end = (x + dx, y + dy)
        # Where two pixels touch at a corner only, the right turn stays with the pixel.
        turns = ((-dy, dx), (dx, dy), (dy, -dx))
        step = next(((end, turn) for turn in turns if (end, turn) in steps), first)
    return loop


def _corners(loop: list[Step]) -> list[Corner]:
    before = [loop[-1], *loop[:-1]]
    return [
        corner
        for (corner, direction), (_, arrived) in zip(loop, before, strict=True)
        if direction != arrived
    ]


def doubled_area(outline: list[Corner]) -> int:
    """Twice the signed area of an outline; negative for a hole."""
    return round(2 * cv2.contourArea(np.array(outline, np.int32), oriented=True))


def svg_path(mask: Mask) -> str:
    """SVG path data of a mask (H, W): "M x y L x y … Z" per outline; "" for an empty mask.

    Whole px, (0, 0) the mask's upper left corner, (W, H) its lower right one. Holes run against
    the pieces around them, so that either fill rule leaves them out.
    """
    if not mask.any():
        return ""
    loops = outlines(mask)
    shown = [loop for loop in loops if abs(doubled_area(loop)) >= 2 * SPECK]
    return " ".join(_path(simplified(loop)) for loop in shown or [max(loops, key=doubled_area)])


def simplified(outline: list[Corner]) -> list[Corner]:
    """Fewer of an outline's corners (x, y), by Douglas and Peucker, in the same order.

    The outline itself where a line would be all that is left of it.
    """
    points = np.array(outline, np.int32)[:, None]
    corners = cv2.approxPolyDP(points, TOLERANCE, closed=True)[:, 0].tolist()
    kept = [(int(x), int(y)) for x, y in corners]
    return kept if len(kept) > 2 and doubled_area(kept) else outline


def _path(outline: list[Corner]) -> str:
    return "M " + " L ".join(f"{x} {y}" for x, y in outline) + " Z"
