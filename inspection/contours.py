"""Masks as outlines to be drawn: SVG path data, simplified, without specks.

`outlines` gives the mask's edges exactly; a page that draws hundreds of them wants few corners.
"""

import cv2
import numpy as np

from inspection.outlines import Corner, Mask, doubled_area, outlines

TOLERANCE = 1.0
"""How far, in px, a simplified outline may leave the exact one."""

SPECK = 16
"""Outlines that enclose fewer pixels are left out, if there is a larger one."""


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
