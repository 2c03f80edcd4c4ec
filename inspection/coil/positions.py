"""Where strips and indications lie along a coil, in m from its head."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from inspection.coil.facts import Coil
from inspection.errors import CoilError
from sise.status import OK

OVERLAP_M = 0.001
"""By which one strip may reach into the next: rounding."""


def place_strips(
    strips: pd.DataFrame, coils: Sequence[Coil], mm_per_px: float | None
) -> pd.DataFrame:
    """Add side, shift, start_m and length_m to rows of strips; "" and null where nothing is told.

    The length is told by metres_per_strip, else by the pixels and `mm_per_px`, else it reaches to
    where the next strip begins. Raises CoilError for strips that overlap, and for `end_to_end`
    without the size of a pixel.
    """
    told: dict[str, tuple[str, str, float, float]] = {}
    widths = dict(zip(strips["strip_id"], strips["width"].astype(float), strict=True))
    for coil in coils:
        lengths = {name: _length(coil, widths[name], mm_per_px) for name in coil.strips}
        starts = _end_to_end(coil, lengths) if coil.told.end_to_end else dict(coil.starts)
        ordered = sorted(starts, key=lambda name: starts[name])
        for name, following in zip(ordered, [*ordered[1:], ""], strict=True):
            room = starts[following] - starts[name] if following else np.nan
            if not np.isfinite(lengths[name]):
                lengths[name] = room if following else _usual(lengths)
            elif lengths[name] > room + OVERLAP_M:
                raise CoilError(
                    f"{coil.file}: {name} is {lengths[name]:.2f} m long and reaches into "
                    f"{following}, {room:.2f} m on; mend where they begin, or --mm-per-px"
                )
        for name in coil.strips:
            told[name] = (
                coil.told.side, coil.told.shift, starts.get(name, np.nan), lengths[name]
                if name in starts else np.nan,
            )  # fmt: skip
    nothing = ("", "", np.nan, np.nan)
    rows = [told.get(name, nothing) for name in strips["strip_id"]]
    columns = ["side", "shift", "start_m", "length_m"]
    return strips.assign(**pd.DataFrame(rows, columns=columns, index=strips.index))


def _length(coil: Coil, width: float, mm_per_px: float | None) -> float:
    if coil.told.metres_per_strip is not None:
        return coil.told.metres_per_strip
    return width * mm_per_px / 1000 if mm_per_px else float("nan")


def _usual(lengths: dict[str, float]) -> float:
    known = [length for length in lengths.values() if np.isfinite(length)]
    return float(np.median(known)) if known else float("nan")


def _end_to_end(coil: Coil, lengths: dict[str, float]) -> dict[str, float]:
    """Each strip begins where the one before ends; one that cannot be read is as long as others."""
    usual = _usual(lengths)
    if not np.isfinite(usual):
        raise CoilError(f"{coil.file}: end_to_end needs the size of a pixel; give --mm-per-px")
    starts, at = {}, 0.0
    for name in coil.strips:
        starts[name] = at
        at += lengths[name] if np.isfinite(lengths[name]) else usual
    return starts


def place_patches(
    patches: pd.DataFrame, strips: pd.DataFrame, coils: Sequence[Coil]
) -> pd.DataFrame:
    """Add side, shift and coil_m to rows of patches: where the marked area's centre lies, else the
    patch's, in m from the coil's head; null where the strip's place is not known."""
    backward = {name for coil in coils if coil.told.direction == "backward" for name in coil.strips}
    at = strips.set_index("strip_id")
    across = centre(patches, "left", "width") / patches["width"]
    across = across.where(~patches["strip_id"].isin(backward), 1 - across)
    start, length = (patches["strip_id"].map(at[name]) for name in ("start_m", "length_m"))
    return patches.assign(
        side=patches["strip_id"].map(at["side"]),
        shift=patches["strip_id"].map(at["shift"]),
        coil_m=start.astype(float) + length.astype(float) * across,
    )


def centre(patches: pd.DataFrame, edge: Any, extent: Any) -> pd.Series:
    """The middle of the marked area of each patch, else of the patch, px on the strip; `edge` is
    "left" or "top", `extent` "width" or "height"."""
    marked = patches["map_status"] == OK
    whole = patches["size"] / 2
    area = patches[f"region_{edge}"].astype(float) + patches[f"region_{extent}"].astype(float) / 2
    middle: pd.Series = patches[edge] + area.where(marked, whole)
    return middle
