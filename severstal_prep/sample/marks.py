"""What a defect is made of, before it is laid on a strip."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from severstal_prep.sample.noise import Field


@dataclass(frozen=True)
class Room:
    """Columns `first` to `last` (exclusive) that a defect may use, and the margin they touch."""

    first: int
    last: int
    margin: Literal["left", "right"] | None = None

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.last - self.first

    def left_for(self, rng: np.random.Generator, width: int) -> int:
        """Draw a first column for a mark of `width` columns, so that it fits."""
        return int(rng.integers(self.first, self.last - width + 1))


@dataclass(frozen=True)
class Mark:
    """One visible trace of a defect: new = grey · gain + light · glow, at (`top`, `left`).

    `gain` and `glow` are float32 windows of one shape; glow is in units of the local light.
    The window may stick out of the strip above or below. Gaps of up to `2 * reach` pixels
    between altered pixels belong to the defect, as an annotator would outline it.
    """

    gain: Field
    glow: Field
    top: int
    left: int
    reach: int
