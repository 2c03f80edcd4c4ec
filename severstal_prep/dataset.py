"""The recast dataset on disk: its layout, its manifest and its card.

dataset.json                             card: rules, counts, source hashes, versions, seed
manifest.parquet                         a row per crop
crops/<split>/<class>/<strip>_x<left>.png    an ImageFolder
masks/<split>/<class>/<strip>_x<left>.png    defect pixels are 255; defect crops only
overview.png                             sample crops and the class counts
"""

import json
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field

from severstal_prep.checked import checked, read_json
from severstal_prep.errors import DatasetError
from severstal_prep.files import file_sha256, replacing
from severstal_prep.parquet import read_table

FORMAT = "recast severstal 1"
CLASS_NAMES = ("normal", "class 1", "class 2", "class 3", "class 4")
"""Severstal's classes; those of a dataset are in its card."""
SPLITS = ("train", "val", "test")
CARD_NAME = "dataset.json"
MANIFEST_NAME = "manifest.parquet"
OVERVIEW_NAME = "overview.png"
REJECTED_NAME = "rejected.csv"

COLUMNS = (
    "crop_id",
    "strip_id",
    "left",
    "split",
    "class_id",
    "crop_path",
    "mask_path",
    "defect_pixels",
    "black_fraction",
    "group_id",
    "strip_sha256",
)


Number = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Settings:
    """What all readers need of a card's `settings`."""

    split: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Card:
    """What all readers need of a card. Others may need more, and say so by a type of their own."""

    format: Literal["recast severstal 1"]
    settings: Settings
    classes: list[str] = field(default_factory=list)
    counts: dict[str, dict[str, Number]] = field(default_factory=dict)
    differs_from_recipe: dict[str, Any] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    dropped: dict[str, Number] = field(default_factory=dict)
    rejected_strips: Number = 0
    source: dict[str, str] = field(default_factory=dict)


def read_card(root: Path, kind: type[Any] = Card) -> dict[str, Any]:
    """Read the card, and hold it against `kind`.

    Raises DatasetError, naming the entry at fault, for a folder that is no complete recast dataset.
    """
    path = root / CARD_NAME
    if not path.is_file():
        raise DatasetError(
            f"{root}: no recast dataset here ({CARD_NAME} is missing); "
            "make one with severstal-prep build, or run an interrupted build again"
        )
    try:
        card: dict[str, Any] = read_json(path)
        if not isinstance(card, dict) or card.get("format") != FORMAT:
            raise ValueError(f"not the card of a {FORMAT!r} dataset")
        checked(kind, card)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}; build the dataset again") from error
    return card


def card_sha256(root: Path) -> str:
    """Hexadecimal SHA-256 of the card: the dataset's identity. Raises as `read_card` does."""
    read_card(root)
    return file_sha256(root / CARD_NAME)


def read_manifest(root: Path) -> pd.DataFrame:
    """Read the manifest: a row per crop, ordered by `crop_id`, with the columns of COLUMNS.

    `left` is in px, `split` is train, val or test, `crop_path` and `mask_path` are POSIX
    paths relative to `root` (`mask_path` is "" for normal crops), `black_fraction` is in
    [0, 1]. Raises DatasetError for a folder that is no complete recast dataset.
    """
    read_card(root)
    path = root / MANIFEST_NAME
    try:
        manifest = read_table(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: missing or damaged; build the dataset again") from error
    missing = [column for column in COLUMNS if column not in manifest.columns]
    if missing:
        raise DatasetError(f"{path}: column {missing[0]!r} is missing; build the dataset again")
    return manifest


def write_manifest(root: Path, manifest: pd.DataFrame) -> None:
    """Write the manifest: the whole file or none."""
    with replacing(root / MANIFEST_NAME) as temporary:
        manifest.to_parquet(temporary, index=False)


def write_card(root: Path, card: dict[str, Any]) -> None:
    """Write the card, which says that the dataset is complete: to be written last."""
    with replacing(root / CARD_NAME) as temporary:
        text = json.dumps({"format": FORMAT, **card}, indent=2, allow_nan=False) + "\n"
        temporary.write_text(text, "utf-8")


def class_counts(
    manifest: pd.DataFrame, classes: int = len(CLASS_NAMES)
) -> dict[str, dict[str, int]]:
    """Count crops: {"total", "train", "val", "test"} to {"0", "1", …} to a number.

    `classes` is how many there are.
    """
    table = pd.crosstab(manifest["class_id"], manifest["split"])
    table = table.reindex(index=range(classes), columns=list(SPLITS), fill_value=0)
    table.insert(0, "total", table.sum(axis=1))
    return {
        str(name): {str(class_id): int(crops) for class_id, crops in column.items()}
        for name, column in table.items()
    }


def library_versions() -> dict[str, str]:
    """Versions of what decides a crop's pixels and its group."""
    names = ("steel-sise", "imagehash", "numpy", "opencv-python-headless", "pillow")
    return {name: version(name) for name in names}
