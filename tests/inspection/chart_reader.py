"""Reads a drawing back: what a browser would show, in the chart's own units."""

import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from inspection.charts.drawing import Drawing

Place = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """From the chart's units to the values of an axis, by two of its ticks."""

    origin: float
    unit: float

    def __call__(self, place: float) -> float:
        return (place - self.origin) / self.unit


def parsed(drawing: Drawing) -> ElementTree.Element:
    return ElementTree.fromstring(drawing.svg)  # noqa: S314


def texts(drawing: Drawing) -> list[tuple[str, Place]]:
    """What is written, and where; turned texts at (0, 0)."""
    return [
        (e.text or "", (float(e.get("x", 0)), float(e.get("y", 0))))
        for e in parsed(drawing).iter("text")
    ]


def y_scale(drawing: Drawing, low: tuple[str, float], high: tuple[str, float]) -> Scale:
    """By the first texts that label two values of the y axis."""
    y = {}
    for text, (_, place) in texts(drawing):
        y.setdefault(text, place)
    unit = (y[high[0]] - y[low[0]]) / (high[1] - low[1])
    # A label's base line lies below the value: its marks must be asked for the same shift.
    return Scale(y[low[0]] - low[1] * unit, unit)


def boxes(drawing: Drawing, fill: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of the filled paths of a colour."""
    found = []
    for path in parsed(drawing).iter("path"):
        if path.get("fill") == f"var(--{fill})":
            numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", path.attrib["d"])]
            x, y = numbers[::2], numbers[1::2]
            found.append((min(x), min(y), max(x), max(y)))
    return found


def uses(drawing: Drawing, **wanted: str) -> list[Place]:
    """Places of the markers with these attributes."""
    return [
        (float(e.attrib["x"]), float(e.attrib["y"]))
        for e in parsed(drawing).iter("use")
        if all(e.get(name) == value for name, value in wanted.items())
    ]


def titles(drawing: Drawing) -> list[str]:
    """What pointing at a mark tells."""
    root = parsed(drawing)
    return [e.text or "" for e in root.iter("title") if e is not root.find("title")]


def attributes(drawing: Drawing) -> list[tuple[str, str, Any]]:
    return [(e.tag, name, value) for e in parsed(drawing).iter() for name, value in e.items()]
