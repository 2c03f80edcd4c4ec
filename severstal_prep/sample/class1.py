"""Class 1: small marks, dark and bright side by side, scattered or in a column."""

import numpy as np

from severstal_prep.sample.marks import Mark, Room
from severstal_prep.sample.noise import Field, Point, smoothstep, value_noise
from severstal_prep.sample.steel import HEIGHT


def pits(rng: np.random.Generator, room: Room) -> list[Mark]:
    """Some small marks, most of them around one place."""
    count = int(rng.choice([1, 2, 3, 5, 8], p=[0.2, 0.3, 0.2, 0.2, 0.1]))
    centre = rng.uniform(room.first, room.last)
    marks = []
    for _ in range(count):
        width, height = int(rng.integers(22, 44)), int(rng.integers(30, 76))
        near = int(rng.normal(centre, 110)) if rng.random() < 0.7 else room.left_for(rng, width)
        left = int(np.clip(near, room.first, room.last - width))
        top = int(rng.integers(0, HEIGHT - height))
        marks.append(_pit(rng, (height, width), top, left))
    return marks


def _pit(rng: np.random.Generator, shape: tuple[int, int], top: int, left: int) -> Mark:
    gain, glow = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    middle = shape[1] / 2
    for _ in range(rng.integers(1, 4)):
        row = rng.uniform(0.25, 0.75) * shape[0]
        column = middle + rng.uniform(-0.15, 0.15) * shape[1]
        size = (rng.uniform(0.16, 0.3) * shape[0], rng.uniform(0.13, 0.24) * shape[1])
        rough = 0.3 * value_noise(rng, shape, (4, 3))
        dark = _blob(rows, columns, (row, column), size, rough)
        gain *= 1 - rng.uniform(0.45, 0.75) * dark
        if rng.random() < 0.75:
            aside = float(rng.choice([-1, 1])) * rng.uniform(0.7, 1.3) * size[1]
            place = (row + rng.uniform(-0.6, 0.9) * size[0], column + aside)
            small = (size[0] * rng.uniform(0.3, 0.8), size[1] * rng.uniform(0.35, 0.7))
            bright = _blob(rows, columns, place, small, 0.5 * value_noise(rng, shape, (3, 2)))
            glow += rng.uniform(0.5, 1.5) * bright
    return Mark(gain, glow, top, left, reach=5)


def _blob(rows: Field, columns: Field, centre: Point, radii: Point, rough: Field) -> Field:
    distance = np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1])
    return smoothstep(1 + rough - distance, 0, 0.5)
