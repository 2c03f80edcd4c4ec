"""The palettes of the maps, as tables for the page's SVG filters."""

from dataclasses import dataclass

import numpy as np

from sise.overlay import PALETTES, colorize

STEPS = 33
ALPHA = 0.75
"""Opacity of a map at its highest value, as in `sise.overlay.overlay`."""


@dataclass(frozen=True)
class Palette:
    """A palette by name: `red`, `green`, `blue` are `tableValues` of 33 numbers in [0, 1] from
    map value 0 to 1; `stops` are (offset, colour) of the same as a gradient."""

    name: str
    red: str
    green: str
    blue: str
    stops: tuple[tuple[str, str], ...]
    alpha: float = ALPHA


def palettes() -> tuple[Palette, ...]:
    """All palettes of `sise.overlay`, the default first."""
    return tuple(_palette(name) for name in PALETTES)


def _palette(name: str) -> Palette:
    ramp = np.linspace(0, 1, STEPS, dtype=np.float32)[None]
    colours = colorize(ramp, name)[0]
    red, green, blue = (" ".join(f"{value / 255:.3g}" for value in colours[:, i]) for i in range(3))
    stops = tuple(
        (f"{at:.4g}", f"#{r:02x}{g:02x}{b:02x}")
        for at, (r, g, b) in zip(ramp[0].tolist(), colours.tolist(), strict=True)
    )
    return Palette(name, red, green, blue, stops)
