"""Run-length masks as Kaggle writes them: pairs of start and length, column by column.

Pixels are numbered from 1, down the first column, then down the second. Here runs are
numbered from 0, as everywhere in Python; only the text counts from 1.
"""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from severstal_prep.errors import RleError

_INTEGERS = re.compile(r"[-\d\s]*", re.ASCII)
_ROUNDED = re.compile(r"\d+([.,]\d+)*(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
"""A number with an exponent, with a point or comma, or with thousands set apart by these."""


@dataclass(frozen=True)
class Runs:
    """Runs of mask pixels in column-major order: `starts` (N,) from 0, `lengths` (N,), int64.

    Runs ascend and do not overlap.
    """

    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def pixels_between(self, begin: int, end: int) -> int:
        """Count the mask pixels with `begin` <= position < `end`."""
        inside = np.minimum(self.starts + self.lengths, end) - np.maximum(self.starts, begin)
        return int(inside.clip(0).sum())


def parse(text: str, height: int, width: int) -> Runs:
    """Read and check a run-length text for a mask of `height` x `width` px; "" is no run.

    Raises RleError, saying what is wrong and how to cure it, for a text that is not numeric
    or has an odd count of numbers, for starts or lengths below 1, and for runs that descend,
    overlap or run past the end of the mask.
    """
    if not _INTEGERS.fullmatch(text):
        # A separator of another alphabet is in no word.
        word = next((word for word in text.split() if not _INTEGERS.fullmatch(word)), text)
        cure = "write whole numbers between spaces"
        if _ROUNDED.fullmatch(word):
            cure = "a spreadsheet has changed the number; take the row from the original file"
        raise RleError(f"EncodedPixels holds {word[:20]!r}: {cure}")
    try:
        numbers = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise RleError(
            f"EncodedPixels holds no proper number ({error}): write whole numbers between spaces"
        ) from error
    if numbers.size % 2:
        raise RleError(
            f"EncodedPixels has an odd count of numbers ({numbers.size}): "
            "write pairs of start and length; the text may have been cut off"
        )
    runs = Runs(numbers[0::2] - 1, numbers[1::2])
    _check(runs, height, width)
    return runs


def _check(runs: Runs, height: int, width: int) -> None:
    starts, lengths = runs.starts, runs.lengths
    if (starts < 0).any():
        start = int(starts[starts < 0][0]) + 1
        raise RleError(f"a run starts at {start}: count pixels from 1")
    if (lengths < 1).any():
        index = int(np.flatnonzero(lengths < 1)[0])
        raise RleError(
            f"the run at {starts[index] + 1} has length {lengths[index]}: "
            "lengths are 1 or more; drop the run"
        )
    # Compared without adding first: a start or a length near 2**63 must not wrap around.
    past = (starts >= height * width) | (lengths > height * width - starts)
    if past.any():
        index = int(np.flatnonzero(past)[0])
        raise RleError(
            f"the run at {starts[index] + 1} of length {lengths[index]} ends past the last "
            f"pixel ({height * width}): the mask must be of a strip of {width}x{height} px"
        )
    if (np.diff(starts) < 0).any():
        index = int(np.flatnonzero(np.diff(starts) < 0)[0]) + 1
        raise RleError(
            f"the run at {starts[index] + 1} comes after the one at {starts[index - 1] + 1}: "
            "sort the runs in ascending order"
        )
    overlaps = starts[1:] < (starts + lengths)[:-1]
    if overlaps.any():
        index = int(np.flatnonzero(overlaps)[0])
        raise RleError(
            f"the runs at {starts[index] + 1} and {starts[index + 1] + 1} overlap: merge them"
        )


def render(runs: Runs, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Draw runs as a mask, (height, width) bool, stored column by column."""
    gaps_and_runs = np.empty(2 * runs.starts.size + 1, dtype=np.int64)
    gaps_and_runs[1::2] = runs.lengths
    gaps_and_runs[0:-1:2] = np.diff(runs.starts, prepend=0)
    gaps_and_runs[2:-1:2] -= runs.lengths[:-1]
    gaps_and_runs[-1] = height * width - gaps_and_runs[:-1].sum()
    inside = np.arange(gaps_and_runs.size) % 2 == 1
    return np.repeat(inside, gaps_and_runs).reshape(width, height).T


def decode(text: str, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Turn a run-length text into a mask, (height, width) bool; raises as `parse` does."""
    return render(parse(text, height, width), height, width)


def encode(mask: npt.NDArray[np.bool_]) -> str:
    """Turn a mask (H, W) bool into a run-length text of maximal runs, "" for an empty mask."""
    column_by_column = np.asarray(mask, dtype=np.int8).ravel(order="F")
    edges = np.flatnonzero(np.diff(column_by_column, prepend=0, append=0))
    starts, ends = edges[0::2], edges[1::2]
    return " ".join(map(str, np.stack([starts + 1, ends - starts], axis=1).ravel().tolist()))
