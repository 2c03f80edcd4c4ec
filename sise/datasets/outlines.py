"""COCO's outlines, held against their image.

pycocotools, in C, believes whatever they say, and ends the process at a coordinate that is no
number, or at a run beyond the image.
"""

import math
from collections.abc import Iterator

_LARGEST = 2**31


def check_outline(outline: object, size: tuple[int, int]) -> None:
    """Raise ValueError unless `outline` is polygons or run lengths of an image of `size` (H, W)."""
    if isinstance(outline, list) and outline:
        for polygon in outline:
            _check_polygon(polygon, 2 * max(size))
        return
    if not isinstance(outline, dict):
        raise ValueError("neither polygons nor run lengths")
    if outline.get("size") != list(size):
        raise ValueError(f"of size {outline.get('size')}, not {list(size)}")
    counts = outline.get("counts")
    lengths = list(_unpacked(counts)) if isinstance(counts, str) else counts
    if not isinstance(lengths, list) or not all(map(_is_length, lengths)):
        raise ValueError("run lengths that are no whole numbers")
    if sum(lengths) != math.prod(size):
        raise ValueError(f"run lengths of {sum(lengths)} pixels, not {math.prod(size)}")


def _check_polygon(polygon: object, farthest: int) -> None:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        raise ValueError("a polygon without three points")
    for number in polygon:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError("a polygon with a coordinate that is no number")
        if not abs(number) <= farthest:
            raise ValueError(f"a polygon that reaches to {number:g}")


def _is_length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST


def _unpacked(text: str) -> Iterator[int]:
    """Run lengths out of COCO's packed form: five bits a letter, from the third on differences to
    the one before the last."""
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("packed run lengths with a letter that is none of theirs")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        yield lengths[-1]
        value = shift = 0
    if shift:
        raise ValueError("packed run lengths that are cut off")
