"""A dataset recast for classification, as `severstal-prep build` and `build-masks` write it.

Read by the columns of its manifest. The items are the defect crops of one split; normal crops
have nothing to be localised and are none.
"""

from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sise.checked import checked, read_json
from sise.datasets.dataset import Item
from sise.datasets.files import check_size, inside, read_pixels
from sise.errors import DatasetError

CARD_NAME = "dataset.json"
MANIFEST_NAME = "manifest.parquet"
COLUMNS = ("crop_id", "split", "class_id", "crop_path", "mask_path")
GROUP = "group_id"
"""Column of strips that show the same steel, and of all their crops; older datasets lack it."""
SPLITS = ("train", "val", "test")
SUBSETS = ("paper",)
NORMAL = "normal"
SEVERSTAL = (NORMAL, "class 1", "class 2", "class 3", "class 4")
DRAWN_CLASS = 3
DRAWN = 500
"""The paper's subset has all of the other defect classes and this many of `DRAWN_CLASS`."""


@dataclass(frozen=True)
class RecastCard:
    """What is needed of a dataset's card."""

    format: Literal["recast severstal 1"]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]


@dataclass(frozen=True)
class RecastCrops:
    """The defect crops of `split` of the dataset in folder `root`; items by crop_id.

    `subset` "paper" leaves all test crops of classes 1, 2 and 4 and 500 of class 3, drawn by
    `seed` (appendix, "Severstal Dataset"; which 500 the authors drew is not known).
    """

    root: Path
    split: str = "test"
    subset: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise DatasetError(f"{self.root}: no split {self.split!r}; one of {', '.join(SPLITS)}")
        if self.subset is not None and self.subset not in SUBSETS:
            raise DatasetError(
                f"{self.root}: no subset {self.subset!r}; one of {', '.join(SUBSETS)}"
            )
        if self.subset == "paper" and self.split != "test":
            raise DatasetError(
                f"{self.root}: the subset 'paper' is of the split 'test', not {self.split!r}"
            )

    @property
    def name(self) -> str:
        of = "Severstal" if self.classes == SEVERSTAL else "dataset"
        name = f"recast {of}, {self.split}"
        if self.subset is None:
            return name
        crops = sum(item.label == DRAWN_CLASS for item, _, _ in self._crops.values())
        kept = f"{DRAWN} of {crops}" if crops > DRAWN else f"all {crops}"
        drawn = f", seed {self.seed}" if crops > DRAWN else ""
        return f"{name}, the paper's subset ({kept} crops of {self.classes[DRAWN_CLASS]}{drawn})"

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """With the normal class, so that a label is the manifest's `class_id`."""
        path = self.root / CARD_NAME
        try:
            classes = checked(RecastCard, read_json(path)).classes
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"{path}: not the card of a recast dataset ({error}); "
                "make one with severstal-prep build"
            ) from error
        if self.subset is not None and classes != SEVERSTAL:
            raise DatasetError(
                f"{path}: the subset {self.subset!r} is of Severstal's classes, and these are "
                f"{', '.join(classes)}; leave it out"
            )
        return classes

    @cached_property
    def items(self) -> tuple[Item, ...]:
        items = tuple(item for item, _, _ in self._crops.values())
        if self.subset is None:
            return items
        pool = [place for place, item in enumerate(items) if item.label == DRAWN_CLASS]
        if len(pool) <= DRAWN:
            return items
        drawn = np.random.default_rng(self.seed).choice(pool, DRAWN, replace=False)
        left_out = set(pool) - set(drawn.tolist())
        return tuple(item for place, item in enumerate(items) if place not in left_out)

    def pixels(self, item: Item) -> npt.NDArray[np.uint8]:
        """The crop (H, W, 3); of a grey one three times the same."""
        _, crop, _ = self._crops[item.id]
        return read_pixels(crop, self._source(item.id))

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        """(H, W): the defect's pixels, those of the mask file that are not black."""
        _, _, path = self._crops[item.id]
        mask = read_pixels(path, self._source(item.id))[..., 0] > 0
        check_size(mask.shape, self.pixels(item), str(path))
        return mask

    @cached_property
    def _crops(self) -> dict[str, tuple[Item, Path, Path]]:
        """Item, crop file and mask file of each defect crop of the split."""
        manifest = self._manifest()
        try:
            rows = manifest[manifest["split"] == self.split].sort_values("crop_id")
        except (TypeError, ValueError) as error:
            raise DatasetError(
                f"{self.root / MANIFEST_NAME}: rows that cannot be put in order; build the dataset "
                "again"
            ) from error
        crops: dict[str, tuple[Item, Path, Path]] = {}
        for row in rows.itertuples():
            name, source = str(row.crop_id), self._source(row.crop_id)
            known = isinstance(row.class_id, Real) and row.class_id in range(len(self.classes))
            if not known:
                raise DatasetError(
                    f"{source}: unknown class {row.class_id}; build the dataset again"
                )
            if self.classes[int(row.class_id)] == NORMAL:
                continue
            if name in crops:
                raise DatasetError(f"{source}: there are two of it; build the dataset again")
            crops[name] = (
                Item(name, name, int(row.class_id), str(getattr(row, GROUP, ""))),
                inside(self.root, row.crop_path, source),
                inside(self.root, row.mask_path, source),
            )
        return crops

    def _manifest(self) -> Any:
        import pandas as pd

        path = self.root / MANIFEST_NAME
        try:
            manifest = pd.read_parquet(path)
        except Exception as error:  # of a damaged file Arrow and pandas raise anything
            raise DatasetError(
                f"{path}: missing or damaged; build the dataset again, or copy it again"
            ) from error
        missing = [column for column in COLUMNS if column not in manifest.columns]
        if missing:
            raise DatasetError(f"{path}: column {missing[0]!r} is missing; build the dataset again")
        return manifest

    def _source(self, crop_id: object) -> str:
        return f"{self.root / MANIFEST_NAME}, crop {crop_id}"
