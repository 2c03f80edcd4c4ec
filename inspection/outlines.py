"""Masks as polygons along the edges of their pixels, so that the polygon is the mask exactly."""

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Corner = tuple[int, int]

_RIGHT, _DOWN, _LEFT, _UP = (1, 0), (0, 1), (-1, 0), (0, -1)


def outlines(mask: Mask) -> list[list[Corner]]:
    """Closed outlines (x, y) of a mask (H, W), one per 4-connected piece and one per hole.

    Corners lie between pixels: pixel (row, column) spans (column, row) to (column + 1, row + 1).
    Only corners where the outline turns are given, the first not repeated. Pieces run clockwise
    as seen on the screen (positive `doubled_area`), holes counterclockwise.
    """
    steps = _steps(mask)
    loops = []
    while steps:
        start = next(iter(steps))
        loops.append(_follow(start, steps))
    return loops


def _steps(mask: Mask) -> dict[Corner, list[Corner]]:
    """From each corner of the border, the directions in which to go on, mask to the right."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    sides = (
        (inner & ~padded[:-2, 1:-1], (0, 0), _RIGHT),
        (inner & ~padded[1:-1, 2:], (1, 0), _DOWN),
        (inner & ~padded[2:, 1:-1], (1, 1), _LEFT),
        (inner & ~padded[1:-1, :-2], (0, 1), _UP),
    )
    steps: dict[Corner, list[Corner]] = {}
    for border, (right, down), direction in sides:
        for row, column in np.argwhere(border).tolist():
            steps.setdefault((column + right, row + down), []).append(direction)
    return steps


def _follow(start: Corner, steps: dict[Corner, list[Corner]]) -> list[Corner]:
    """Take the steps of one outline, which begins at `start`, out of `steps`."""
    corners: list[Corner] = []
    here, towards = start, steps[start][0]
    while here in steps:
        options = steps[here]
        # Where two pixels touch at a corner only, a right turn stays with the pixel.
        turn = (-towards[1], towards[0])
        ahead = turn if turn in options else options[0]
        options.remove(ahead)
        if not options:
            del steps[here]
        if ahead != towards or not corners:
            corners.append(here)
        towards = ahead
        here = (here[0] + ahead[0], here[1] + ahead[1])
        if here == start and not _goes_on(start, towards, corners, steps):
            break
    return _turning(corners)


def _goes_on(
    start: Corner, towards: Corner, corners: list[Corner], steps: dict[Corner, list[Corner]]
) -> bool:
    """Whether the outline passes its start once more before it closes."""
    first = corners[1] if len(corners) > 1 else start
    out = (np.sign(first[0] - start[0]), np.sign(first[1] - start[1]))
    turn = (-towards[1], towards[0])
    return out != turn and turn in steps.get(start, [])


def _turning(corners: list[Corner]) -> list[Corner]:
    """Drop the first corner if the outline runs straight through it."""
    (x0, y0), (x1, y1), (x2, y2) = corners[-1], corners[0], corners[1]
    straight = x0 == x1 == x2 or y0 == y1 == y2
    return corners[1:] if straight else corners


def doubled_area(outline: list[Corner]) -> int:
    """Twice the signed area of an outline (shoelace formula); negative for a hole."""
    following = outline[1:] + outline[:1]
    return sum(
        x * next_y - next_x * y
        for (x, y), (next_x, next_y) in zip(outline, following, strict=True)
    )
