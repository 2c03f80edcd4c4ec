"""From cut strips to the manifest: classes, groups, splits and places of all crops."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from severstal_prep.dataset import COLUMNS
from severstal_prep.errors import DatasetError
from severstal_prep.grouping import group_near_duplicates
from severstal_prep.recast import NORMAL, Rules, recast
from severstal_prep.split import grouped_split, paper_split
from severstal_prep.strips import Source, StripRecord, crop_id

SplitMethod = Literal["grouped", "paper"]


@dataclass(frozen=True)
class DatasetManifest:
    """The manifest of all kept crops, and the number of dropped ones by reason."""

    manifest: pd.DataFrame
    dropped: Mapping[str, int]


def make_manifest(
    sources: Sequence[Source],
    records: Sequence[StripRecord],
    rules: Rules,
    split: SplitMethod,
    seed: int,
) -> DatasetManifest:
    """Make the manifest of the strips without a problem, ordered by `crop_id`.

    Raises DatasetError if the rules leave no crop.
    """
    usable = [
        (source, record)
        for source, record in zip(sources, records, strict=True)
        if not record.problem
    ]
    groups = group_near_duplicates(
        [source.strip_id for source, _ in usable],
        [record.perceptual_hash for _, record in usable],
    )
    rows = list[dict[str, object]]()
    dropped = Counter[str]()
    for (source, record), group in zip(usable, groups, strict=True):
        crops = recast(source.labels, rules, record.black_fractions)
        for crop, black in zip(crops, record.black_fractions, strict=True):
            if crop.drop is not None:
                dropped[str(crop.drop)] += 1
                continue
            rows.append(
                {
                    "crop_id": crop_id(source.strip_id, crop.left),
                    "strip_id": source.strip_id,
                    "left": crop.left,
                    "class_id": crop.class_id,
                    "defect_pixels": crop.defect_pixels,
                    "black_fraction": black,
                    "group_id": group,
                    "strip_sha256": record.sha256,
                }
            )
    if not rows:
        raise DatasetError("these rules leave no crop of these strips; change the options")
    manifest = pd.DataFrame(rows).sort_values("crop_id", ignore_index=True)
    return DatasetManifest(with_places(manifest, split, seed), dict(sorted(dropped.items())))


def with_places(manifest: pd.DataFrame, split: SplitMethod, seed: int) -> pd.DataFrame:
    """Split the rows and place them: see `placed`."""
    crop_ids = manifest["crop_id"].tolist()
    classes = manifest["class_id"].tolist()
    if split == "paper":
        parts = paper_split(crop_ids, classes, seed)
    else:
        parts = grouped_split(manifest["group_id"].tolist(), classes, seed)
    return placed(manifest, parts, NORMAL)


def placed(manifest: pd.DataFrame, parts: Sequence[str], normal: int | None) -> pd.DataFrame:
    """Add split, crop_path and mask_path to rows with all other columns of a manifest.

    `parts` (N,) are the rows' splits; crops of the class `normal` have no mask.
    """
    crop_ids = manifest["crop_id"].tolist()
    classes = manifest["class_id"].tolist()
    places = [
        f"{part}/{class_id}/{name}.png"
        for part, class_id, name in zip(parts, classes, crop_ids, strict=True)
    ]
    masks = [
        "" if class_id == normal else f"masks/{place}"
        for place, class_id in zip(places, classes, strict=True)
    ]
    return manifest.assign(
        split=parts, crop_path=[f"crops/{place}" for place in places], mask_path=masks
    )[list(COLUMNS)]
