"""A recast dataset as one picture: sample crops of each class, and how many there are."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from severstal_prep.dataset import SPLITS, class_counts
from severstal_prep.files import replacing
from severstal_prep.images import read_image
from severstal_prep.training_crops import CROP_SIDE

SAMPLES = 8
GAP = 12
SPLIT_COLOURS = {"train": "#1b4f72", "val": "#5dade2", "test": "#e59866"}
OUTLINE = (255, 59, 48)
OUTLINE_WIDTH = 5


def write_overview(
    path: Path, root: Path, manifest: pd.DataFrame, classes: Sequence[str], of: str = "strips"
) -> None:
    """Write the picture of the dataset at `root` to `path` (PNG): the whole file or none.

    `classes` are its class names, `of` what its crops are of.
    """
    figure = Figure(figsize=(14, 0.5 + 1.5 * len(classes)))
    figure.suptitle(
        f"{len(manifest):,} crops of {manifest['strip_id'].nunique():,} {of}: "
        "samples of each class, defects outlined, and crops per split",
        y=0.97,
    )
    grid = figure.add_gridspec(
        len(classes), 2, width_ratios=(3, 1), left=0.05, right=0.99, bottom=0.02, top=0.93
    )
    counts = class_counts(manifest, len(classes))
    for class_id, name in enumerate(classes):
        row = sample_row(root, manifest[manifest["class_id"] == class_id])
        _show_samples(figure.add_subplot(grid[class_id, 0]), name, row)
        _show_counts(
            figure.add_subplot(grid[class_id, 1]),
            {split: counts[split][str(class_id)] for split in SPLITS},
        )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=80)


def sample_row(root: Path, crops: pd.DataFrame) -> npt.NDArray[np.uint8]:
    """Eight crops, evenly chosen, side by side on white: (S, 8 * S + 7 * GAP, 3) uint8, S the
    side of a crop.

    Defects are outlined from the outside, so that none of their pixels is covered.
    """
    chosen = crops.iloc[:: max(1, len(crops) // SAMPLES)].head(SAMPLES)
    side = len(read_image(root / chosen["crop_path"].iloc[0])) if len(chosen) else CROP_SIDE
    row = np.full((side, SAMPLES * (side + GAP) - GAP, 3), 255, dtype=np.uint8)
    for column, (crop_path, mask_path) in enumerate(
        zip(chosen["crop_path"], chosen["mask_path"], strict=True)
    ):
        left = column * (side + GAP)
        crop = read_image(root / crop_path)
        if mask_path:
            mask = read_image(root / mask_path)[..., 0]
            grown = cv2.dilate(mask, np.ones((2 * OUTLINE_WIDTH + 1,) * 2, dtype=np.uint8))
            crop[(grown > 0) & (mask == 0)] = OUTLINE
        row[:, left : left + side] = crop
    return row


def _show_samples(axes: Axes, name: str, row: npt.NDArray[np.uint8]) -> None:
    axes.imshow(row)
    axes.set_ylabel(name, fontsize=12)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _show_counts(axes: Axes, counts: dict[str, int]) -> None:
    bars = axes.barh(list(counts), list(counts.values()), color=list(SPLIT_COLOURS.values()))
    axes.bar_label(bars, labels=[f"{crops:,}" for crops in counts.values()], padding=3)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.margins(x=0.25)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
