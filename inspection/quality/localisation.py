"""Whether the maps light up where the defects are: EBPG and Bbox against the true masks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from inspection.quality.labels import Truth, true_patch
from inspection.store.frames import rows
from inspection.store.reading import read_map
from sise.metrics import bbox, ebpg
from sise.status import OK


@dataclass(frozen=True)
class Localisation:
    """Means over the explained patches that show the class explained, each in [0, 1].

    `area` is the mean share of the patch that the true mask covers: what a map that is the same
    everywhere would reach in both. None without such patches.
    """

    patches: int
    ebpg: float | None
    bbox: float | None
    area: float | None


def localise(patches: pd.DataFrame, truth: Truth, report: Path) -> pd.DataFrame:
    """Stage: add ebpg, bbox and true_area (share of the patch) to rows of explained patches.

    The truth is the mask of the class explained (`target`). Maps are the 8-bit ones of the
    report folder. NaN without a map, and where the patch does not show that class.
    Raises ReportFolderError for a map that is missing or damaged.
    """
    measured = [_localise(patch, truth, report) for patch in rows(patches)]
    names = ("ebpg", "bbox", "true_area")
    return patches.assign(**{name: [row[i] for row in measured] for i, name in enumerate(names)})


def _localise(patch: Any, truth: Truth, report: Path) -> tuple[float, float, float]:
    mask = _mask(patch, truth)
    if mask is None or not mask.any():
        return float("nan"), float("nan"), float("nan")
    heat = read_map(report, patch.map_path).astype(np.float32) / np.float32(255)
    maps, truths = torch.from_numpy(heat)[None], torch.tensor(mask)[None]
    return ebpg(maps, truths).item(), bbox(maps, truths).item(), float(mask.mean())


def _mask(patch: Any, truth: Truth) -> npt.NDArray[np.bool_] | None:
    if patch.map_status != OK:
        return None
    return true_patch(truth, patch, patch.target)


def summarise(patches: pd.DataFrame) -> Localisation:
    """The means over rows of `localise`."""
    measured = patches[patches["true_area"].notna()]
    if measured.empty:
        return Localisation(0, None, None, None)
    means = measured[["ebpg", "bbox", "true_area"]].astype(float).mean()
    return Localisation(
        len(measured), float(means["ebpg"]), float(means["bbox"]), float(means["true_area"])
    )
