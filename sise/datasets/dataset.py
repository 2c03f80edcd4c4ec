"""What every reader gives: `Item`s, and on request their pixels and truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Truth = Literal["pixels", "boxes"]


@dataclass(frozen=True)
class Item:
    """One class of one image, to be explained.

    `id` is unique in its dataset; items of one image share `image`. `label` is an index of the
    dataset's classes. Items of one `group` show the same thing, such as a tile photographed
    twice; "" is a group of the image alone. `truth` says what is known of the class: its pixels,
    or boxes around them.
    """

    id: str
    image: str
    label: int
    group: str = ""
    truth: Truth = "pixels"

    @property
    def unit(self) -> str:
        """What intervals and tests draw as one: the group, or the image alone."""
        return self.group or self.image


class Dataset(Protocol):
    """Labelled images of one layout. Nothing is read before it is asked for."""

    @property
    def name(self) -> str:
        """What it is and which part of it, for tables: "NEU-DET"."""
        ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def items(self) -> Sequence[Item]: ...

    def pixels(self, item: Item) -> npt.NDArray[np.uint8]:
        """(H, W, 3) RGB. Raises DatasetError for a file that cannot be read."""
        ...

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        """(H, W): the pixels of the item's class, of the size of `pixels`."""
        ...


def mask_of_boxes(
    boxes: Sequence[tuple[float, float, float, float]], size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Inside any box (left, top, right, bottom) of px, the edges rounded: (H, W).

    What lies outside the image is cut off; a box that touches it holds a pixel at least.
    """
    mask = np.zeros(size, dtype=np.bool_)
    for left, top, right, bottom in boxes:
        mask[_span(top, bottom, size[0]), _span(left, right, size[1])] = True
    return mask


def _span(low: float, high: float, length: int) -> slice:
    if high < 0 or low >= length:
        return slice(0)
    start = min(max(round(low), 0), length - 1)
    return slice(start, max(round(high), start + 1))
