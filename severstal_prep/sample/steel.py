"""Rolled steel without defects: light, brushed texture, stains, specks and the strip's edge.

What an inspector must not take for a defect is made here as well: oil and water stains, dark
dashes, bright specks, droplets that mirror the lamp, the raised pattern of chequer plate.
All strips, with or without defects, come from the same distribution.
"""

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from severstal_prep.sample.noise import (
    CONSTANT,
    Field,
    grain,
    octaves,
    ribbon,
    smoothstep,
    specks,
    value_noise,
)

HEIGHT = 256
WIDTH = 1600
STRIP = (HEIGHT, WIDTH)
NARROWEST_STEEL = 320


@dataclass(frozen=True)
class Steel:
    """A strip without defects.

    `grey` (256, 1600) uint8, `light` (256, 1600) float32: the local brightness in grey levels
    without texture, `on_steel` (256, 1600) bool: False in the black margin, which lies on
    `margin` ("left", "right" or None). Columns `first` to `last` (exclusive) are steel in
    every row.
    """

    grey: npt.NDArray[np.uint8]
    light: Field
    on_steel: npt.NDArray[np.bool_]
    margin: Literal["left", "right"] | None
    first: int
    last: int


def clean_strip(rng: np.random.Generator) -> Steel:
    """Draw a strip without defects."""
    light = _illumination(rng)
    tone = 1 + _rolled_texture(rng)
    tone *= _stains(rng)
    if rng.random() < 0.05:
        tone *= 1 + _chequer_plate(rng)
    grey = light * tone + _bright_specks(rng) + _droplets(rng)
    on_steel, margin = black_margin(rng)
    if margin is not None:
        grey *= _edge_light(rng, on_steel)
        grey = np.where(on_steel, grey, 4 + grain(rng, STRIP, 0.8))
    whole_columns = np.flatnonzero(on_steel.all(axis=0))
    return Steel(
        grey=np.clip(np.rint(grey), 0, 255).astype(np.uint8),
        light=light,
        on_steel=on_steel,
        margin=margin,
        first=int(whole_columns[0]),
        last=int(whole_columns[-1]) + 1,
    )


def _illumination(rng: np.random.Generator) -> Field:
    """Local brightness in grey levels, at least 32: gradients, bright bands, a glow below."""
    columns = np.linspace(0, 1, WIDTH, dtype=np.float32)[None]
    rows = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None]
    light: Field = 1 + rng.uniform(0.04, 0.16) * value_noise(rng, (1, WIDTH), (1, 420))
    light = light + rng.uniform(-0.15, 0.45) * (rows - 0.5) * 2
    light += rng.uniform(0, 0.05) * value_noise(rng, STRIP, (120, 260))
    if rng.random() < 0.4:
        side = columns if rng.random() < 0.5 else 1 - columns
        light *= 1 - rng.uniform(0.2, 0.5) * smoothstep(side, rng.uniform(0.5, 0.8), 1.05)
    if rng.random() < 0.4:
        band = np.exp(-(((columns - rng.uniform(0.1, 0.9)) / rng.uniform(0.02, 0.09)) ** 2))
        light *= 1 + rng.uniform(0.1, 0.4) * band
    if rng.random() < 0.3:
        glow = np.exp(-(((columns - rng.uniform(0, 1)) / rng.uniform(0.15, 0.5)) ** 2))
        light *= 1 + rng.uniform(0.3, 0.9) * glow * rows**2
    mean = rng.triangular(60, 102, 138)
    scaled: Field = np.maximum(light * mean, np.float32(32))
    return scaled


def _rolled_texture(rng: np.random.Generator) -> Field:
    """Relative texture of rolled steel: grain, brushed columns, fine ripples across."""
    texture = rng.uniform(0.05, 0.095) * grain(rng, STRIP, 0.65)
    texture += rng.uniform(0.015, 0.045) * value_noise(rng, STRIP, (70, 2.0))
    texture += rng.uniform(0.01, 0.025) * value_noise(rng, STRIP, (12, 1.6))
    texture += rng.uniform(0.01, 0.03) * octaves(rng, STRIP, (220, 60), 4)
    texture += rng.uniform(0.0, 0.03) * value_noise(rng, (1, WIDTH), (CONSTANT, 12))
    texture += rng.uniform(0.0, 0.04) * value_noise(rng, (1, WIDTH), (CONSTANT, 150))
    texture += rng.uniform(0.0, 0.035) * octaves(rng, STRIP, (50, 50), 3)
    ripple = value_noise(rng, STRIP, (2.6, 26))
    where = smoothstep(value_noise(rng, STRIP, (150, 300)), -1.0, 1.5)
    texture += float(rng.choice([0.01, 0.03, 0.06])) * ripple * where
    return texture.astype(np.float32)


def _stains(rng: np.random.Generator) -> Field:
    """Factor of brightness left by oil, water and scale; each kind on some strips only."""
    factor = np.ones(STRIP, np.float32)
    kinds = (
        (0.45, _drips),
        (0.20, _pale_drips),
        (0.15, _blotches),
        (0.20, _dark_peppering),
        (0.25, _tide_marks),
        (0.25, _dashes),
    )
    for probability, stain in kinds:
        if rng.random() < probability:
            factor *= stain(rng)
    return factor


def _regions(rng: np.random.Generator, cell: float) -> Field:
    """Where along the strip a stain is likely: smooth noise, mostly columnar."""
    return value_noise(rng, STRIP, (400, cell)) + 0.3 * value_noise(rng, STRIP, (90, cell / 2))


def _drips(rng: np.random.Generator) -> Field:
    """Dark stains that ran down, sharply bounded and even inside."""
    run = octaves(rng, STRIP, (rng.uniform(110, 260), rng.uniform(9, 24)), 4)
    field = run + 0.9 * _regions(rng, rng.uniform(90, 200))
    border = rng.uniform(1.4, 2.1)
    return 1 - rng.uniform(0.15, 0.36) * smoothstep(field, border, border + 0.25)


def _pale_drips(rng: np.random.Generator) -> Field:
    """Bright worn areas with grainy, frayed sides."""
    run = octaves(rng, STRIP, (110, 14), 3)
    fringe = grain(rng, STRIP, 1.2)
    field = run + 0.3 * fringe + _regions(rng, 160)
    border = rng.uniform(1.5, 2.1)
    return 1 + rng.uniform(0.12, 0.4) * smoothstep(field, border, border + 0.4)


def _blotches(rng: np.random.Generator) -> Field:
    """Leopard-like spots of thin scale."""
    field = octaves(rng, STRIP, (26, 18), 4) + 1.2 * _regions(rng, 260)
    border = rng.uniform(1.1, 1.9)
    return 1 - rng.uniform(0.12, 0.28) * smoothstep(field, border, border + 0.5)


def _dark_peppering(rng: np.random.Generator) -> Field:
    """Clouds of small dark spots."""
    cloud = octaves(rng, STRIP, (90, 110), 3)
    field = value_noise(rng, STRIP, (4, 4)) + 1.5 * cloud
    border = rng.uniform(2.9, 3.6)
    return 1 - rng.uniform(0.2, 0.4) * smoothstep(field, border, border + 0.8)


def _tide_marks(rng: np.random.Generator) -> Field:
    """Large curved borders where a film of liquid ended."""
    factor = np.ones(STRIP, np.float32)
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    columns = np.arange(WIDTH, dtype=np.float32)[None]
    for _ in range(rng.integers(1, 4)):
        centre_row, centre_column = rng.uniform(-200, 456), rng.uniform(0, WIDTH)
        width, height = rng.uniform(60, 260), rng.uniform(200, 700)
        distance = np.hypot((columns - centre_column) / width, (rows - centre_row) / height)
        factor *= 1 - rng.uniform(-0.08, 0.14) * smoothstep(1 - distance, 0, 6 / width)
    return factor


def _dashes(rng: np.random.Generator) -> Field:
    """A few short dark dashes along the rolling direction."""
    factor = np.ones(STRIP, np.float32)
    for _ in range(rng.integers(2, 9)):
        height = int(rng.integers(18, 56))
        top = int(rng.integers(0, HEIGHT - height))
        left = int(rng.integers(0, WIDTH - 16))
        cover, _ = ribbon(rng, (height, 16), (0, 8), (height - 1, 8), rng.uniform(1.5, 3.0), 0.6)
        factor[top : top + height, left : left + 16] *= 1 - rng.uniform(0.15, 0.4) * cover
    return factor


def _bright_specks(rng: np.random.Generator) -> Field:
    """Grey levels added by specks of dust and scale, some of them crowded in bands."""
    count = int(rng.choice([4, 30, 120, 400], p=[0.25, 0.4, 0.25, 0.1]))
    crowded = int(count * float(rng.choice([0.0, 0.6])))
    band = rng.normal(rng.uniform(0, WIDTH), rng.uniform(20, 120), crowded)
    columns = np.concatenate([band, rng.uniform(0, WIDTH, count - crowded)]).astype(np.int64)
    rows = rng.integers(0, HEIGHT, count)
    points = specks(rng, rows, columns, STRIP, (0.3, 1.1))
    return rng.uniform(50, 140) * points


def _droplets(rng: np.random.Generator) -> Field:
    """Grey levels added by drops of water that mirror the lamp: white blobs and rings in rows."""
    glare = np.zeros(STRIP, np.float32)
    if rng.random() > 0.1:
        return glare
    width = int(rng.integers(120, 260))
    left = int(rng.integers(0, WIDTH - width))
    lines = value_noise(rng, (1, width), (CONSTANT, 14))
    drops = octaves(rng, (HEIGHT, width), (24, 9), 3)
    across = np.linspace(-1, 1, width, dtype=np.float32)[None]
    field = drops + 0.9 * lines - 0.6 * across**2 - rng.uniform(1.7, 2.2)
    inside = smoothstep(field, 0, 0.2)
    hollow = smoothstep(field, 0.5, 0.7) * smoothstep(
        value_noise(rng, (HEIGHT, width), (40, 30)), -0.3, 0.1
    )
    glare[:, left : left + width] = 220 * inside * (1 - 0.85 * hollow)
    return glare


def _chequer_plate(rng: np.random.Generator) -> Field:
    """Relative shading of raised lenses in alternating directions."""
    pitch = rng.uniform(120, 160)
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    columns = np.arange(WIDTH, dtype=np.float32)[None]
    origin_row, origin_column = rng.uniform(0, pitch, 2)
    shading = np.zeros(STRIP, np.float32)
    for index, angle in enumerate((math.pi / 4, -math.pi / 4)):
        shift = index * pitch / 2
        y = (rows - origin_row - shift) % pitch - pitch / 2
        x = (columns - origin_column - shift) % pitch - pitch / 2
        along = x * math.cos(angle) - y * math.sin(angle)
        across = x * math.sin(angle) + y * math.cos(angle)
        half_width = pitch * 0.085 * np.clip(1 - (along / (pitch * 0.26)) ** 2, 1e-3, None)
        slope = across / half_width
        raised = smoothstep(1.15 - np.abs(slope), 0, 0.3)
        light_from_above = 0.55 * np.sin(np.clip(slope, -1.15, 1.15) * math.pi / 2.3)
        shading += raised * (0.1 + light_from_above) * rng.uniform(0.7, 1.0)
    return shading


def black_margin(
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.bool_], Literal["left", "right"] | None]:
    """Where there is steel, and the side of the black margin; most strips have none."""
    on_steel = np.ones(STRIP, np.bool_)
    if rng.random() > 0.18:
        return on_steel, None
    side: Literal["left", "right"] = "left" if rng.random() < 0.45 else "right"
    widest = WIDTH - NARROWEST_STEEL
    width = widest if rng.random() < 0.1 else rng.triangular(24, 180, 620)
    rough = rng.uniform(-6, 6) * np.linspace(-1, 1, HEIGHT)
    rough += 0.8 * value_noise(rng, (HEIGHT, 1), (6, CONSTANT))[:, 0]
    distance = np.arange(WIDTH) if side == "left" else np.arange(WIDTH)[::-1]
    return distance[None] >= (width - 8 + rough)[:, None], side


def _edge_light(rng: np.random.Generator, on_steel: npt.NDArray[np.bool_]) -> Field:
    """Factor of brightness near the strip's edge: darker or brighter, sometimes a bright rim."""
    pixels = on_steel.astype(np.uint8)
    distance = np.asarray(cv2.distanceTransform(pixels, cv2.DIST_L2, 3), np.float32)
    near = 1 - smoothstep(distance, 0, rng.uniform(15, 90))
    factor = 1 + float(rng.choice([-0.5, -0.3, 0.4])) * near
    if rng.random() < 0.4:
        rim = distance < rng.uniform(3, 10)
        factor *= 1 + rim * np.clip(0.6 * grain(rng, STRIP, 1.0), 0, None)
    result: Field = factor.astype(np.float32)
    return result
