"""Class 3, the most frequent and varied: lines, scrapes, smears, flecks, damaged edges."""

import math

import numpy as np

from severstal_prep.sample.marks import Mark, Room
from severstal_prep.sample.noise import (
    octaves,
    ribbon,
    smoothstep,
    specks,
    value_noise,
)
from severstal_prep.sample.steel import HEIGHT


def broad_damage(rng: np.random.Generator, room: Room) -> list[Mark]:
    """Dark lines, diagonal scrapes, white smears, swarms of flecks or a damaged edge."""
    if room.margin is not None and rng.random() < 0.5:
        return [_damaged_edge(rng, room)]
    kinds = (_dark_lines, _scrape, _smear, _swarm, _slashes)
    kind = kinds[int(rng.choice(5, p=[0.46, 0.17, 0.15, 0.12, 0.10]))]
    return kind(rng, room)


def _dark_lines(rng: np.random.Generator, room: Room) -> list[Mark]:
    """Groups of straight parallel dark lines, many over the full height."""
    marks = []
    slant = rng.normal(0, 4)
    for _ in range(rng.integers(1, 6)):
        height = HEIGHT if rng.random() < 0.6 else int(rng.integers(90, 220))
        top = 0 if rng.random() < 0.7 else HEIGHT - height
        lines = int(rng.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.2, 0.1]))
        width = min(room.width, 24 + 14 * lines)
        gain, glow = np.ones((height, width), np.float32), np.zeros((height, width), np.float32)
        for line in range(lines):
            column = (line + 1) * width / (lines + 1) + rng.uniform(-2, 2)
            half_width = float(rng.choice([2.2, 3.5, 6.0], p=[0.4, 0.4, 0.2]))
            cover, fibres = ribbon(
                rng,
                (height, width),
                (-40, column),
                (height + 20, column + slant),
                half_width,
                0.3,
                (1.5, 90),
            )
            gain *= 1 - cover * (rng.uniform(0.25, 0.5) + 0.22 * smoothstep(fibres, -0.5, 1.5))
            if rng.random() < 0.25:
                sparks = smoothstep(value_noise(rng, (height, width), (5, 2)), 1.5, 2.2)
                glow += rng.uniform(0.5, 1.4) * cover * sparks
        fade = smoothstep(np.arange(height, dtype=np.float32)[:, None], -1, rng.uniform(15, 90))
        fade = fade[::-1] if top == 0 else fade
        gain = 1 - (1 - gain) * (fade if height < HEIGHT else 1)
        marks.append(Mark(gain, glow, top, room.left_for(rng, width), reach=5))
    return marks


def _scrape(rng: np.random.Generator, room: Room) -> list[Mark]:
    """A long scrape across the strip: strands of dark and bright along a shallow diagonal."""
    width = int(min(room.width, rng.uniform(420, 1500)))
    rise = width * rng.uniform(0.06, 0.22) * float(rng.choice([-1, 1]))
    half_width = rng.uniform(14, 42)
    height = min(HEIGHT, int(abs(rise) + 2 * half_width) + 24)
    middle, half_rise = (
        height / 2,
        np.clip(rise, half_width - height + 8, height - half_width - 8) / 2,
    )
    start, end = (middle - half_rise, 0.0), (middle + half_rise, width - 1.0)
    cover, fibres = ribbon(
        rng, (height, width), start, end, half_width, rng.uniform(0, 4), (1.7, rng.uniform(90, 320))
    )
    worn = smoothstep(octaves(rng, (height, width), (60, 160), 3), -1.3, 0.6)
    gain = 1 - cover * (rng.uniform(0.15, 0.3) + 0.35 * smoothstep(-fibres, 0.2, 1.8))
    glow = cover * worn * rng.uniform(0.6, 2.2) * smoothstep(fibres, 0.6, 1.8)
    top = int(rng.integers(0, HEIGHT - height + 1))
    return [Mark(gain, glow, top, room.left_for(rng, width), reach=6)]


def _smear(rng: np.random.Generator, room: Room) -> list[Mark]:
    """White smears: bundles of saturated strands with dark ones beside them."""
    width, height = min(room.width, int(rng.integers(180, 460))), int(rng.integers(100, 230))
    gain, glow = np.ones((height, width), np.float32), np.zeros((height, width), np.float32)
    angle = rng.normal(0.25, 0.3)
    for _ in range(rng.integers(4, 10)):
        length = width * rng.uniform(0.25, 0.7)
        turn = angle + rng.normal(0, 0.12)
        row, column = height * rng.uniform(0.25, 0.75), width * rng.uniform(0.3, 0.7)
        half = (0.5 * length * math.sin(turn), 0.5 * length * math.cos(turn))
        start, end = (row - half[0], column - half[1]), (row + half[0], column + half[1])
        cover, fibres = ribbon(
            rng, (height, width), start, end, rng.uniform(3, 12), rng.uniform(0.3, 1.5), (1.3, 60)
        )
        gain *= 1 - 0.55 * cover * smoothstep(-fibres, 0.3, 1.2)
        glow += rng.uniform(1.2, 3.0) * cover * smoothstep(fibres, -0.1, 1.0)
    scattered = 60
    points = specks(
        rng,
        np.clip(rng.normal(height / 2, height / 6, scattered), 2, height - 3).astype(np.int64),
        np.clip(rng.normal(width / 2, width / 6, scattered), 2, width - 3).astype(np.int64),
        (height, width),
        (0.5, 1.6),
    )
    glow += 1.5 * points
    top = int(rng.integers(-height // 6, HEIGHT - height + height // 6))
    return [Mark(gain, glow, top, room.left_for(rng, width), reach=9)]


def _swarm(rng: np.random.Generator, room: Room) -> list[Mark]:
    """A swarm of white flecks."""
    width, height = min(room.width, int(rng.integers(90, 300))), int(rng.integers(70, 170))
    count = int(width * height * rng.uniform(0.004, 0.009))
    rows = np.clip(rng.normal(height / 2, height / 6, count), 3, height - 4).astype(np.int64)
    columns = np.clip(rng.normal(width / 2, width / 6, count), 3, width - 4).astype(np.int64)
    glow = 2.2 * specks(rng, rows, columns, (height, width), (0.5, 3.2))
    top = int(rng.integers(0, HEIGHT - height))
    gain = np.ones((height, width), np.float32)
    return [Mark(gain, glow, top, room.left_for(rng, width), reach=12)]


def _slashes(rng: np.random.Generator, room: Room) -> list[Mark]:
    """Short bright scratches, steep and parallel."""
    marks = []
    angle = float(rng.choice([-1, 1])) * rng.uniform(0.5, 1.0)
    for _ in range(rng.integers(1, 5)):
        length = min(rng.uniform(70, 190), room.width - 16.0)
        half = (0.5 * length * math.sin(angle), 0.5 * length * math.cos(angle))
        shape = (int(2 * abs(half[0])) + 28, min(room.width, int(2 * abs(half[1])) + 28))
        centre = (shape[0] / 2, shape[1] / 2)
        start = (centre[0] - half[0], centre[1] - half[1])
        end = (centre[0] + half[0], centre[1] + half[1])
        cover, fibres = ribbon(rng, shape, start, end, rng.uniform(3, 9), 1.0, (1.3, 80))
        gain = 1 - 0.25 * cover
        glow = rng.uniform(0.8, 2.0) * cover * smoothstep(fibres, -0.2, 1.2)
        top = int(rng.integers(0, max(1, HEIGHT - shape[0])))
        marks.append(Mark(gain, glow, top, room.left_for(rng, shape[1]), reach=6))
    return marks


def _damaged_edge(rng: np.random.Generator, room: Room) -> Mark:
    """A dark frayed band at the edge of the strip, with glints."""
    height, width = int(rng.integers(120, HEIGHT + 1)), int(rng.integers(30, 64))
    column = 6.0 if room.margin == "left" else width - 7.0
    cover, fibres = ribbon(
        rng, (height, width), (0, column), (height - 1, column), width - 12.0, 3.0, (2.5, 22)
    )
    frayed = cover * smoothstep(octaves(rng, (height, width), (30, 7), 4) + 2.2 * cover, 0.6, 1.4)
    gain = 1 - frayed * (0.5 + 0.2 * smoothstep(fibres, -0.5, 1.0))
    glints = smoothstep(value_noise(rng, (height, width), (2.5, 2.5)), 1.7, 2.4)
    glow = 1.2 * frayed * glints
    left = room.first if room.margin == "left" else room.last - width
    return Mark(gain, glow, int(rng.integers(0, HEIGHT - height + 1)), left, reach=5)
