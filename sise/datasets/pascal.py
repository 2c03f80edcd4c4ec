"""Annotations in the XML of PASCAL VOC, which NEU-DET and many labelling programs write too."""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from sise.datasets.dataset import mask_of_boxes
from sise.errors import DatasetError

EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Box:
    """An object: its class, `edges` (left, top, right, bottom) in px as the file counts them.

    Files count from 1, and hold their edges. `difficult`: the annotators found it hard to
    recognise.
    """

    name: str
    edges: tuple[float, float, float, float]
    difficult: bool

    @property
    def from_zero(self) -> tuple[float, float, float, float]:
        """The box as arrays are indexed: right and bottom are the first px outside."""
        left, top, right, bottom = self.edges
        return left - 1, top - 1, right, bottom


@dataclass(frozen=True)
class Annotation:
    """The objects of an image of `size` (H, W), or None where the file does not say."""

    size: tuple[int, int] | None
    boxes: tuple[Box, ...]

    def mask(self, name: str, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Inside a box of class `name`: (H, W) as the image (H, W, 3) has it."""
        own = [box.from_zero for box in self.boxes if box.name == name]
        return mask_of_boxes(own, (image.shape[0], image.shape[1]))


def read_annotation(path: Path) -> Annotation:
    """Read the objects of an image, not their parts (the heads and hands of people).

    Raises DatasetError for a file that is missing or damaged, and for a box without its four
    edges, or with its right before its left.
    """
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314  (the user's own data)
        size = root.find("size")
        return Annotation(
            None
            if size is None
            else (int(size.findtext("height", "")), int(size.findtext("width", ""))),
            tuple(_box(element, place) for place, element in enumerate(root.findall("object"), 1)),
        )
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file; copy the annotations again") from error
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable annotation ({error})") from error


def _box(element: ElementTree.Element, place: int) -> Box:
    texts = [element.findtext(f"bndbox/{edge}", "") for edge in EDGES]
    try:
        left, top, right, bottom = (float(text) for text in texts)
    except ValueError as error:
        raise ValueError(f"object {place}: no box of {', '.join(EDGES)} in {texts}") from error
    if not (-math.inf < left <= right < math.inf and -math.inf < top <= bottom < math.inf):
        raise ValueError(f"object {place}: not a box from left to right and from top to bottom")
    return Box(
        element.findtext("name", "").strip(),
        (left, top, right, bottom),
        element.findtext("difficult", "0").strip() == "1",
    )
