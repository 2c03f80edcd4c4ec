"""Rows of a frame, and arrays in its cells."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows as named tuples, whose cells may hold arrays."""
    return iter(frame.itertuples())


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def arrays(values: Sequence[npt.NDArray[np.generic] | None], like: pd.DataFrame) -> pd.Series:
    """A column of arrays for the rows of `like`."""
    return pd.Series(values, index=like.index, dtype=object)


def in_card_order(patches: pd.DataFrame) -> pd.DataFrame:
    """The patches that have cards, in the order of these, which are numbered from 1."""
    return patches[patches["explained"]].sort_values("flagged", ascending=False, kind="stable")
