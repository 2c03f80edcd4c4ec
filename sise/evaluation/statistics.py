"""How sure a mean is: intervals by drawing images again, paired tests by flipping signs.

The unit is the image, not the item: items of one image (its classes) share pixels and model
answers, so that they are drawn and flipped together. So are images of one group, which count as
one here. Every column (a metric of a method, or a
difference of two) sees the same draws; a value that is undefined (NaN) is left out of its column.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sise.evaluation.summary_types import Estimate

Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]

RESAMPLES = 10_000
FLIPS = 50_000
LEVEL = 0.95
FEWEST = 6
"""Images below which neither interval nor p is given: 5 signs can never say p < 0.05."""

_CHUNK = 4_000_000


@dataclass(frozen=True, eq=False)
class PerImage:
    """For each image and column, the sum of its items' defined values and how many these are.

    `sums` and `counts` (images, columns) float64.
    """

    sums: Floats
    counts: Floats

    @property
    def items(self) -> npt.NDArray[np.int64]:
        """Defined values: (columns,)."""
        return np.asarray(self.counts.sum(axis=0), np.int64)

    @property
    def images(self) -> npt.NDArray[np.int64]:
        """Images with a defined value: (columns,)."""
        return np.asarray(np.count_nonzero(self.counts, axis=0), np.int64)


def per_image(values: Floats, images: npt.NDArray[Any]) -> PerImage:
    """Gather items by image: values (items, columns), images (items,) any labels -> PerImage."""
    order = np.argsort(images, kind="stable")
    labels, ordered = images[order], values[order]
    starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
    defined = ~np.isnan(ordered)
    return PerImage(
        np.add.reduceat(np.where(defined, ordered, 0.0), starts, axis=0),
        np.add.reduceat(defined.astype(np.float64), starts, axis=0),
    )


def means(data: PerImage) -> Floats:
    """The mean over all defined items: (columns,), NaN where there is none."""
    with np.errstate(invalid="ignore"):
        return np.asarray(data.sums.sum(axis=0) / data.counts.sum(axis=0))


def estimates(
    values: Floats,
    images: npt.NDArray[Any],
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[Estimate]:
    """The mean of each column with its interval, of `per_image`'s values and images."""
    data = per_image(values, images)
    low, high = intervals(data, seed, resamples, level)
    columns = zip(means(data), low, high, data.items, data.images, strict=True)
    return [
        Estimate(float(mean), float(least), float(most), int(items), int(several))
        for mean, least, most, items, several in columns
    ]


def intervals(
    data: PerImage, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Percentile bootstrap of `means`, images drawn with replacement: low and high (columns,).

    NaN with fewer than `FEWEST` images. Source: Efron and Tibshirani, An Introduction to the
    Bootstrap (1993), chapter 13; whole images: the cluster bootstrap.
    """
    enough = data.images >= FEWEST
    sums = data.sums[:, enough].astype(np.float32)
    divisors, which = np.unique(data.counts[:, enough], axis=1, return_inverse=True)
    divisors = divisors.astype(np.float32)
    drawn = np.empty((resamples, sums.shape[1]), np.float32)
    done = 0
    for weights in _draws(len(sums), resamples, seed):
        with np.errstate(invalid="ignore"):  # a draw without any defined value: left out
            means_drawn = (weights @ sums) / (weights @ divisors)[:, which.ravel()]
        drawn[done : done + len(weights)] = means_drawn
        done += len(weights)
    edges = np.full((2, len(enough)), np.nan)
    if enough.any():
        quantile = np.nanquantile if np.isnan(drawn).any() else np.quantile  # the quicker one
        edges[:, enough] = quantile(drawn, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return edges[0], edges[1]


def _draws(images: int, resamples: int, seed: int) -> Iterator[Weights]:
    """How often each image is drawn in each resample: (some resamples, images) at a time."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _CHUNK // images)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = generator.integers(images, size=(rows, images))
        flat = (drawn + images * np.arange(rows)[:, None]).ravel()
        counts = np.bincount(flat, minlength=rows * images).reshape(rows, images)
        yield counts.astype(np.float32)


def sign_flip(differences: PerImage, seed: int, flips: int = FLIPS) -> Floats:
    """Two-sided p of paired differences, (columns,): how often reversing images does as much.

    The statistic is the mean difference itself, the number that tables print; Wilcoxon's ranks
    would test another one, and drop the many ties of a metric that is 0 or 1 (Increase). All
    2ⁿ signs are counted if they are no more than `flips`; otherwise `flips` random ones, and
    p = (1 + as extreme)/(1 + flips) is never 0 (Phipson and Smyth 2010). NaN with fewer than
    `FEWEST` images.
    """
    sums = differences.sums
    images = len(sums)
    exact = 2**images <= flips
    total = sums.sum(axis=0)
    # Equal statistics must count as equal though they are summed in float32.
    least = np.abs(total) - 1e-6 * np.abs(sums).sum(axis=0)
    narrow = sums.astype(np.float32)
    extreme = np.zeros(sums.shape[1])
    for positive in _every_sign(images) if exact else _random_signs(images, flips, seed):
        extreme += np.count_nonzero(np.abs(2 * (positive @ narrow) - total) >= least, axis=0)
    p = extreme / 2**images if exact else (1 + extreme) / (1 + flips)
    return np.where(differences.images < FEWEST, np.nan, p)


def _every_sign(images: int) -> Iterator[Weights]:
    """All choices of the images whose difference keeps its sign, 1 for kept: (2ⁿ, images)."""
    yield (np.arange(2**images)[:, None] >> np.arange(images) & 1).astype(np.float32)


def _random_signs(images: int, flips: int, seed: int) -> Iterator[Weights]:
    """Random such choices, (some flips, images) at a time."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _CHUNK // images)
    for start in range(0, flips, at_once):
        rows = min(at_once, flips - start)
        packed = generator.integers(256, size=(rows, -(-images // 8)), dtype=np.uint8)
        yield np.unpackbits(packed, axis=1, count=images).astype(np.float32)


def holm(p: Floats) -> Floats:
    """Holm's correction for all of `p` that are numbers: (tests,) -> (tests,), NaN staying NaN.

    Below 0.05 it keeps the chance of any false finding in the whole family under 5 %. Source:
    Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    scaled = p[order] * (len(order) - np.arange(len(order)))
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected
