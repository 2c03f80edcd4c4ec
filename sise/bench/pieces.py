"""Cutting the masks of many layers into pieces."""

from collections.abc import Iterator, Sequence

from sise.sampling import MaskSet


def pieces(mask_sets: Sequence[MaskSet], count: int) -> Iterator[list[MaskSet]]:
    """All masks in order, `count` at a time; a piece may hold masks of several layers."""
    left, piece = count, []
    for part in mask_sets:
        start = 0
        while start < len(part):
            stop = min(start + left, len(part))
            piece.append(MaskSet(part.masks[start:stop], part.owners[start:stop]))
            left -= stop - start
            start = stop
            if left == 0:
                yield piece
                left, piece = count, []
    if piece:
        yield piece
