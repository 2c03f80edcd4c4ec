"""The grid of the paper's figures 6 and 8: a row an item, the image and each method's map."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from sise.datasets.dataset import Item
from sise.overlay import overlay

Pixels = npt.NDArray[np.uint8]

TILE = 152
ACROSS = 8
"""Tiles in a line: about 1,400 px wide, so that text is legible in a README."""

SHOWN_AS_ONE = 0.99
"""Quantile of a map that gets the brightest colour, the same for every method."""

GAP, PAD = 6, 14
TEXT, SMALL = 15, 13
INK, MUTED, PAPER, EMPTY = (23, 33, 43), (85, 98, 110), (255, 255, 255), (236, 239, 242)
OUTLINE = (0, 190, 255)


@dataclass(frozen=True, eq=False)
class Line:
    """An item: pixels (H, W, 3) uint8 RGB, truth (H, W) bool, and maps by the method's title.

    A map (h, w) lies in [0, 1], of any size, or is a word: why there is none. `score` is the
    model's probability of the class `label`.
    """

    label: str
    score: float
    pixels: Pixels
    truth: npt.NDArray[np.bool_]
    maps: Mapping[str, npt.NDArray[np.float32] | str]


def shown(items: Sequence[Item], per_class: int = 1) -> list[Item]:
    """Which items to show: the first of each class, as they come. Nobody chooses."""
    taken: dict[int, int] = {}
    chosen = []
    for item in items:
        taken[item.label] = taken.get(item.label, 0) + 1
        if taken[item.label] <= per_class:
            chosen.append(item)
    return sorted(chosen, key=lambda item: item.label)


def caption(per_class: int = 1) -> str:
    """What to say beside a grid of `shown` items."""
    which = "first item" if per_class == 1 else f"first {per_class} items"
    return (
        f"The {which} of each class in the order of the evaluation, not chosen by its looks. "
        "Left, the image with its ground truth outlined, the class explained and the model's "
        "probability of it; then each method's map laid over, the brighter the higher, with its "
        "highest 1 % of pixels alike."
    )


def grid(lines: Sequence[Line], tile: int = TILE, across: int = ACROSS) -> Pixels:
    """The picture (H, W, 3) uint8 RGB. Methods that need more than a line go on in further bands.

    Every band repeats the image. Raises ValueError without lines or maps.
    """
    titles = list(lines[0].maps) if lines else []
    if not titles:
        raise ValueError("a grid needs lines with maps")
    count = -(-len(titles) // (across - 1))
    bands = [list(band) for band in np.array_split(titles, count)]
    fonts = _Fonts.load()
    label_width = max(_width(line, fonts) for line in lines)
    columns = 1 + max(map(len, bands))
    heads = [max(len(_wrapped(title, tile, fonts.small)) for title in band) for band in bands]
    head_heights = [count * (SMALL + 4) + GAP for count in heads]
    body = len(lines) * (tile + GAP)
    width = 2 * PAD + label_width + columns * (tile + GAP) - GAP
    height = 2 * PAD + sum(head_heights) + len(bands) * body - GAP + (len(bands) - 1) * 2 * PAD
    canvas = Image.new("RGB", (width, height), PAPER)
    top = PAD
    for band, head in zip(bands, head_heights, strict=True):
        _band(canvas, (top, head, label_width, tile), lines, band, fonts)
        top += head + body + 2 * PAD
    return np.asarray(canvas)


def as_jpeg(picture: Pixels) -> bytes:
    """A file of it, for a README and for the page."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="JPEG", quality=88, optimize=True)
    return stream.getvalue()


@dataclass(frozen=True)
class _Fonts:
    text: ImageFont.FreeTypeFont
    small: ImageFont.FreeTypeFont

    @staticmethod
    def load() -> "_Fonts":
        """DejaVu Sans, which comes with matplotlib: the same letters on every machine."""
        path = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
        return _Fonts(ImageFont.truetype(path, TEXT), ImageFont.truetype(path, SMALL))


def _band(
    canvas: Image.Image,
    layout: tuple[int, int, int, int],
    lines: Sequence[Line],
    titles: Sequence[str],
    fonts: _Fonts,
) -> None:
    """Draw the methods `titles` of all lines; layout: top, head, width of the labels, tile."""
    top, head, label_width, tile = layout
    draw = ImageDraw.Draw(canvas)
    lefts = [PAD + label_width + place * (tile + GAP) for place in range(1 + len(titles))]
    for left, title in zip(lefts, ["image", *titles], strict=True):
        said = _wrapped(title, tile, fonts.small)
        for place, words in enumerate(reversed(said)):
            at = (left + tile / 2, top + head - GAP - place * (SMALL + 4))
            draw.text(at, words, INK, fonts.small, anchor="ms")
    for row, line in enumerate(lines):
        y = top + head + row * (tile + GAP)
        right = PAD + label_width - 2 * GAP
        draw.text((right, y + tile / 2 - 4), line.label, INK, fonts.text, anchor="rs")
        draw.text((right, y + tile / 2 + 6), _score(line), MUTED, fonts.small, anchor="rt")
        tiles = [_outlined(line, tile), *(_laid_over(line, title, tile) for title in titles)]
        for left, one, title in zip(lefts, tiles, ["", *titles], strict=True):
            canvas.paste(EMPTY, (left, y, left + tile, y + tile))
            height, width = one.shape[:2]
            canvas.paste(
                Image.fromarray(one), (left + (tile - width) // 2, y + (tile - height) // 2)
            )
            why = line.maps.get(title)
            if isinstance(why, str):
                reason = "\n".join(_wrapped(why, tile - 2 * GAP, fonts.small))
                middle = (left + tile / 2, y + tile / 2)
                draw.multiline_text(middle, reason, INK, fonts.small, "mm", align="center")


def _outlined(line: Line, tile: int) -> Pixels:
    """The image with the edge of its truth drawn in, light on dark, seen on any steel."""
    picture = _fitted(line.pixels, tile)
    height, width = picture.shape[:2]
    truth = cv2.resize(line.truth.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
    edges, _ = cv2.findContours(truth, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, edges, -1, (0, 0, 0), 4)
    cv2.drawContours(picture, edges, -1, OUTLINE, 2)
    return picture


def _laid_over(line: Line, title: str, tile: int) -> Pixels:
    picture, values = _fitted(line.pixels, tile), line.maps[title]
    if isinstance(values, str):
        return (picture // 4 + 180).astype(np.uint8)
    height, width = picture.shape[:2]
    resized = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    return overlay(picture, np.clip(resized / _brightest(values), 0, 1))


def _brightest(values: npt.NDArray[np.float32]) -> float:
    """What is shown as 1: a few single pixels above the rest would leave the others dark."""
    return float(np.quantile(values, SHOWN_AS_ONE)) or 1.0


def _fitted(pixels: Pixels, tile: int) -> Pixels:
    """As large as goes into a square of `tile` px, in its own proportions."""
    height, width = pixels.shape[:2]
    scale = tile / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=way), np.uint8)


def _width(line: Line, fonts: _Fonts) -> int:
    """Of the label's column, with its distance from the image."""
    needed = (fonts.text.getlength(line.label), fonts.small.getlength(_score(line)))
    return round(max(needed)) + 2 * GAP


def _score(line: Line) -> str:
    return f"{line.score:.3f}" if line.score >= 0.001 else f"{line.score:.1e}"


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont) -> list[str]:
    """Lines no wider than `width` px, broken at spaces; a longer word stands alone."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
