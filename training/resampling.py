"""The bootstrap of a split: whole groups of crops drawn again, as crops of a group are alike."""

from collections.abc import Iterator, Sequence

import numpy as np

from training.calibration import Floats

FEWEST = 6
"""Groups below which nothing is drawn, as in `sise.evaluation.statistics`."""


def resamples(groups: Sequence[str], draws: int, seed: int = 0) -> Iterator[Floats]:
    """How often each crop is drawn, (N,), `draws` times; nothing with fewer than `FEWEST` groups.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    names, which = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < FEWEST:
        return
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        drawn = generator.integers(len(names), size=len(names))
        yield np.bincount(drawn, minlength=len(names))[which].astype(np.float64)
