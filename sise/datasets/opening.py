"""Opening a dataset: which layout a folder has, and what of it is wanted."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from sise.datasets import coco, masks, neu_det, recast, voc
from sise.datasets.dataset import Dataset
from sise.datasets.listed import Listed
from sise.errors import DatasetError

Layout = Literal["auto", "recast", "neu-det", "voc", "coco", "masks"]

SIGNS: Mapping[str, str] = MappingProxyType(
    {
        "recast": recast.CARD_NAME,
        "neu-det": f"{neu_det.FOLDERS[0][0]}/*.jpg",
        "voc": voc.FOLDER.as_posix(),
        "coco": "annotations/instances_*.json",
        "masks": f"{masks.IMAGES}/*/*",
    }
)
"""What lies in the folder of a dataset, and by which its layout is known."""


def open_dataset(
    root: Path,
    layout: Layout = "auto",
    split: str | None = None,
    subset: str | None = None,
    listed: Path | None = None,
    seed: int = 0,
) -> Dataset:
    """The dataset in folder `root`.

    `split` and `subset` are those of the layout, its test or validation images if left out;
    `subset` "paper", of the recast dataset, is drawn by `seed`. `listed` is a text file of the
    ids of items or images, one a line: only these.

    Raises DatasetError for a folder that does not hold it, for a split or a subset that it does
    not have, and if there is nothing to explain in it.
    """
    known = _layout(root) if layout == "auto" else layout
    if not any(root.glob(SIGNS[known])):
        raise DatasetError(f"{root}: no dataset of the layout {known} here: no {SIGNS[known]}")
    dataset = _opened(root, known, split, subset, seed)
    if listed is not None:
        dataset = Listed(dataset, listed)
    if not dataset.items:
        raise DatasetError(f"{root}: {dataset.name}: nothing with a class to explain")
    return dataset


def _layout(root: Path) -> str:
    if not root.is_dir():
        what = "a file, where a folder belongs" if root.is_file() else "no such folder"
        raise DatasetError(f"{root}: {what}")
    for layout, sign in SIGNS.items():
        if any(root.glob(sign)):
            return layout
    looked_for = ", ".join(f"{sign} ({layout})" for layout, sign in SIGNS.items())
    raise DatasetError(f"{root}: no dataset that is known here; looked for {looked_for}")


def _opened(root: Path, layout: str, split: str | None, subset: str | None, seed: int) -> Dataset:
    if subset is not None and layout not in ("recast", "neu-det"):
        raise DatasetError(f"{root}: the layout {layout} has no subsets; leave out {subset!r}")
    if layout == "recast":
        return recast.RecastCrops(root, "test" if split is None else split, subset, seed)
    if layout == "voc":
        return voc.Voc(root, "test" if split is None else split)
    if layout == "coco":
        return coco.Coco(root, "val2014" if split is None else split)
    if split is not None:
        raise DatasetError(f"{root}: the layout {layout} has no splits; leave out {split!r}")
    if layout == "masks":
        return masks.MaskFolder(root)
    return neu_det.NeuDet(root, subset)
