"""Class 4: rough flakes with a raised, torn contour."""

import math

import cv2
import numpy as np

from severstal_prep.sample.marks import Mark, Room
from severstal_prep.sample.noise import Field, Shape, blurred, grain, octaves, smoothstep
from severstal_prep.sample.steel import HEIGHT


def torn_flakes(rng: np.random.Generator, room: Room) -> list[Mark]:
    """One to four torn flakes and scabs of very different size."""
    count = int(rng.choice([1, 2, 3, 4], p=[0.5, 0.28, 0.15, 0.07]))
    return [_flake(rng, room) for _ in range(count)]


def _flake(rng: np.random.Generator, room: Room) -> Mark:
    width = int(np.clip(rng.lognormal(math.log(170), 0.5), 56, min(420, room.width)))
    height = int(np.clip(width * rng.lognormal(-0.35, 0.35), 44, 240))
    inside = _torn_outline(rng, (height, width))
    body = blurred((inside > 0).astype(np.float32), 0.7)
    shadow = np.zeros_like(body)
    shadow[5:, 5:] = body[:-5, :-5]
    gain = (1 - body) * (1 - 0.55 * blurred(shadow, 1.5))
    glow = body * np.clip(_surface(rng, inside), 0.08, 2.4)
    overhang = height // 3
    top = int(rng.integers(-overhang, HEIGHT - height + overhang + 1))
    return Mark(gain, glow, top, room.left_for(rng, width), reach=6)


def _torn_outline(rng: np.random.Generator, shape: Shape) -> Field:
    """Positive inside the flake, 0 on its contour, negative outside and along the window."""
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
    power = rng.uniform(2, 5)  # from an ellipse towards a rectangle
    superellipse = np.abs(rows) ** power + np.abs(columns) ** power
    distance = (superellipse ** (1 / power)).astype(np.float32)
    torn = octaves(rng, shape, (shape[0] / 2.2, shape[1] / 2.5), 5)
    inside: Field = 0.74 - distance + 0.17 * torn - 4 * np.clip(distance - 0.85, 0, None)
    return inside


def _surface(rng: np.random.Generator, inside: Field) -> Field:
    """Brightness of the flake in units of the local light: tone, relief, gloss, bright rim."""
    shape = (inside.shape[0], inside.shape[1])
    shading = np.tanh(rng.uniform(0.35, 0.6) * _slope(_relief(rng, inside)))
    tone = float(rng.choice([0.5, 0.75, 1.05], p=[0.35, 0.35, 0.3])) * rng.uniform(0.85, 1.15)
    mottled = 1 + 0.16 * octaves(rng, shape, (50, 40), 4)
    gloss = float(rng.choice([0, 0.9])) * smoothstep(octaves(rng, shape, (70, 60), 3), 1.0, 1.8)
    frayed = smoothstep(octaves(rng, shape, (12, 12), 3), -0.2, 0.8)
    rim = frayed * smoothstep(inside, 0.0, 0.02) * (1 - smoothstep(inside, 0.03, 0.07))
    surface: Field = tone * mottled * (1 + 0.75 * shading) + gloss + rng.uniform(0, 0.9) * rim
    return surface + 0.07 * grain(rng, shape, 0.8)


def _slope(relief: Field) -> Field:
    """How much the surface rises towards the lower right, away from the lamp."""
    slope = cv2.Sobel(relief, cv2.CV_32F, 1, 0) + cv2.Sobel(relief, cv2.CV_32F, 0, 1)
    return np.asarray(slope, np.float32)


def _relief(rng: np.random.Generator, inside: Field) -> Field:
    """Height field of torn, layered scale: a rounded rim, terraces and cracks."""
    shape = (inside.shape[0], inside.shape[1])
    rim = smoothstep(inside, -0.02, 0.10)
    layers = octaves(rng, shape, (shape[0] / 2.5, shape[1] / 1.6), 5) * rng.uniform(0.4, 1.0)
    fraction = layers - np.floor(layers)
    terraces = np.floor(layers) + smoothstep(fraction, 0.0, 0.16)
    wrinkles = rng.uniform(0.1, 0.6) * octaves(rng, shape, (16, 22), 3)
    cracks = 1 - smoothstep(np.abs(octaves(rng, shape, (40, 80), 4)), 0.0, 0.07)
    relief: Field = 3.2 * rim + rng.uniform(0.6, 2.0) * terraces + wrinkles - 0.8 * cracks
    return relief
