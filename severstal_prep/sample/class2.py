"""Class 2: a thin dark line that wanders along the rolling direction."""

import numpy as np

from severstal_prep.sample.marks import Mark, Room
from severstal_prep.sample.noise import blurred, ribbon, smoothstep
from severstal_prep.sample.steel import HEIGHT


def thin_lines(rng: np.random.Generator, room: Room) -> list[Mark]:
    """One, seldom two, thin wandering dark lines of ragged darkness."""
    return [_thin_line(rng, room) for _ in range(int(rng.choice([1, 2], p=[0.8, 0.2])))]


def _thin_line(rng: np.random.Generator, room: Room) -> Mark:
    height, width = int(rng.integers(110, HEIGHT + 1)), 30
    top = int(rng.integers(0, HEIGHT - height + 1))
    start, end = (0.0, 15 + rng.uniform(-4, 4)), (height - 1.0, 15 + rng.uniform(-4, 4))
    shape = (height, width)
    core, fibres = ribbon(rng, shape, start, end, rng.uniform(2.5, 4.0), 1.8, (1.2, 14))
    halo = np.clip(2.5 * blurred(core, 4.0), 0, 1)
    broken = 0.65 + 0.35 * smoothstep(fibres, -0.8, 0.2)
    gain = (1 - rng.uniform(0.14, 0.2) * halo) * (1 - rng.uniform(0.4, 0.6) * core * broken)
    return Mark(gain, np.zeros(shape, np.float32), top, room.left_for(rng, width), reach=4)
