"""Noise fields and brush marks, from which steel and defects are made.

All fields are float32 arrays (height, width); lengths are pixels.
"""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Point = tuple[float, float]
Shape = tuple[int, int]
CONSTANT = math.inf
CUBIC_KEEPS = 0.93  # of the deviation of white noise, when interpolated along one axis


def grain(rng: np.random.Generator, shape: Shape, sigma: float) -> Field:
    """White noise blurred by `sigma` (> 0), zero mean and unit standard deviation."""
    return _standardised(blurred(rng.standard_normal(shape, np.float32), sigma))


def value_noise(rng: np.random.Generator, shape: Shape, cell: tuple[float, float]) -> Field:
    """Smooth noise with features of about `cell` (rows, columns), mean near 0, deviation near 1.

    Normal variates on a coarse grid, interpolated by cubics; a cell of `CONSTANT` along an
    axis makes the field constant along it.
    """
    rows = max(1, math.ceil(shape[0] / cell[0]))
    columns = max(1, math.ceil(shape[1] / cell[1]))
    grid = rng.standard_normal((rows + 3 * (rows > 1), columns + 3 * (columns > 1)), np.float32)
    grid = _standardised(grid) / np.float32(CUBIC_KEEPS ** ((rows > 1) + (columns > 1)))
    return _field(cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC))


def octaves(rng: np.random.Generator, shape: Shape, cell: tuple[float, float], count: int) -> Field:
    """Fractal noise: `count` value noises, each of half the cell and half the amplitude."""
    total = value_noise(rng, shape, cell)
    for octave in range(1, count):
        scale = 0.5**octave
        finer = value_noise(rng, shape, (cell[0] * scale, cell[1] * scale))
        cv2.scaleAdd(finer, scale, total, dst=total)
    return _standardised(total)


def blurred(field: Field, sigma: float) -> Field:
    """A Gaussian blur."""
    return _field(cv2.GaussianBlur(field, (0, 0), sigma))


def smoothstep(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, a cubic between them."""
    t = (field - np.float32(low)) / np.float32(high - low)
    np.clip(t, 0, 1, out=t)
    return _field(t * t * (3 - 2 * t))


def specks(
    rng: np.random.Generator,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    shape: Shape,
    sizes: tuple[float, float],
) -> Field:
    """Round soft points of random brightness in [0, 1] at the given places.

    `sizes` is the range of their radii, of which most are small.
    """
    canvas = np.zeros(shape, np.uint8)
    radii = sizes[0] + (sizes[1] - sizes[0]) * rng.random(rows.size) ** 2
    brightness = rng.uniform(0.25, 1.0, rows.size)
    for row, column, radius, bright in zip(rows, columns, radii, brightness, strict=True):
        shift = 4  # cv2 draws at 1/16 pixel
        centre = (int(column) << shift, int(row) << shift)
        cv2.circle(
            canvas, centre, int(radius * 16), int(255 * bright), cv2.FILLED, cv2.LINE_AA, shift
        )
    return _field(canvas) / np.float32(255)


def ribbon(
    rng: np.random.Generator,
    shape: Shape,
    start: Point,
    end: Point,
    half_width: float,
    wobble: float = 0.0,
    fibre: tuple[float, float] = (1.5, 60.0),
) -> tuple[Field, Field]:
    """A brush mark from `start` to `end` (row, column), as (cover, fibres).

    `cover` is 1 along the middle, falls to 0 at `half_width` and tapers at both ends;
    `wobble` is the deviation by which the middle wanders. `fibres` is noise (unit deviation)
    drawn out along the mark, with features of `fibre` (across, along).
    """
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    rows -= np.float32(start[0])
    columns -= np.float32(start[1])
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    down, right = np.float32((end[0] - start[0]) / length), np.float32((end[1] - start[1]) / length)
    along = rows * down + columns * right
    across = columns * down - rows * right
    steps = math.ceil(length) + 1
    reach = math.ceil(2 * half_width) + 2
    if wobble:
        middle = wobble * octaves(rng, (1, steps), (1, max(8.0, length / 3)), 4)
        across -= _sampled(middle, np.zeros_like(along), along)
    strands = value_noise(rng, (reach, steps), fibre)
    fibres = _sampled(strands, across + np.float32(reach / 2), along)
    ends = smoothstep(np.minimum(along, length - along), 0, min(length / 6, 40.0))
    cover = smoothstep(1 - np.abs(across) / (half_width * (0.35 + 0.65 * ends)), 0, 0.5)
    return cover * ends, fibres


def _sampled(field: Field, rows: Field, columns: Field) -> Field:
    mode = cv2.BORDER_REFLECT
    return _field(cv2.remap(field, columns, rows, cv2.INTER_LINEAR, borderMode=mode))


def _standardised(field: Field) -> Field:
    mean, deviation = (float(moment[0, 0]) for moment in cv2.meanStdDev(field))
    scale = 1 / (deviation or 1.0)
    return field * np.float32(scale) - np.float32(mean * scale)


def _field(array: npt.NDArray[Any]) -> Field:
    return np.asarray(array, np.float32)
