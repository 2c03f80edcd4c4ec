"""What can be wrong with a recast dataset, as far as card, manifest and file names tell.

Each check is a function of tables, and names the rows that fail it. `crop_checks` has those that
need the pixels, `check` the command.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from severstal_prep.dataset import CARD_NAME, MANIFEST_NAME, SPLITS, class_counts
from severstal_prep.recast import NORMAL_NAME, Rules

Level = Literal["error", "warning"]
Flags = npt.NDArray[np.bool_]

GROUPED = "grouped"
MASKS_MISSING = "masks missing"
KEPT_TOGETHER = {
    "strip_id": "strips in several splits",
    "group_id": "groups in several splits",
    "strip_sha256": "files in several splits",
}
"""Columns whose equal values a grouped split keeps on one side, each with its check's name."""

_BUILD_AGAIN = "build it again"
_SPLIT_AGAIN = "build the dataset again with --split grouped"


@dataclass(frozen=True)
class Example:
    """One thing that is wrong: the file ("" for none) within the dataset, the manifest's row,
    counted from 0 (None for none), and what it is."""

    file: str
    row: int | None
    what: str

    @property
    def in_row(self) -> str:
        """ ", row N", or ""."""
        return "" if self.row is None else f", row {self.row}"

    def __str__(self) -> str:
        return f"{self.file}{self.in_row}: {self.what}" if self.file else self.what


@dataclass(frozen=True)
class Check:
    """A check, all that it found, how grave that is, and what to do about it."""

    name: str
    level: Level
    examples: tuple[Example, ...]
    cure: str

    @property
    def found(self) -> int:
        """How much is wrong."""
        return len(self.examples)

    @classmethod
    def of_rows(
        cls,
        name: str,
        level: Level,
        wrong: "pd.Series[bool] | Flags",
        told: Callable[[int], Example],
        cure: str,
    ) -> Self:
        """The check that the rows `wrong` (N,) fail; `told` says what is wrong with a row."""
        rows = np.flatnonzero(np.asarray(wrong, np.bool_))
        return cls(name, level, tuple(told(int(row)) for row in rows), cure)


def row_checks(classes: Sequence[str], manifest: pd.DataFrame) -> list[Check]:
    """Whether rows keep to the card's `classes` and to the layout: what all else relies on."""
    several = len(classes) - 1
    ids, splits = manifest["class_id"], manifest["split"]
    whole = ids.map(lambda value: isinstance(value, int | np.integer))
    known = whole & ids.isin(range(several + 1))
    paths = [manifest[name].map(_place).tolist() for name in ("crop_path", "mask_path")]
    twice = manifest["crop_path"].duplicated()
    first = manifest["crop_path"].drop_duplicates()
    first_row = dict(zip(first, first.index, strict=True))
    return [
        Check(
            "class names",
            "error",
            (Example(CARD_NAME, None, "classes: two of one name"),)
            if len(set(classes)) < len(classes)
            else (),
            _BUILD_AGAIN,
        ),
        Check.of_rows(
            "class ids",
            "error",
            ~known,
            lambda row: Example(MANIFEST_NAME, row, f"class {ids[row]} is not 0 to {several}"),
            _BUILD_AGAIN,
        ),
        Check.of_rows(
            "splits",
            "error",
            ~splits.isin(SPLITS),
            lambda row: Example(MANIFEST_NAME, row, f"split {splits[row]!r} is unknown"),
            _BUILD_AGAIN,
        ),
        Check(
            "paths",
            "error",
            tuple(
                Example(MANIFEST_NAME, row, bad)
                for row, pair in enumerate(zip(*paths, strict=True))
                for bad in pair
                if bad
            ),
            _BUILD_AGAIN,
        ),
        Check.of_rows(
            "rows of one file",
            "error",
            twice,
            lambda row: Example(
                manifest["crop_path"][row],
                row,
                f"row {first_row[manifest['crop_path'][row]]} names it too",
            ),
            _BUILD_AGAIN,
        ),
    ]


def _place(name: object) -> str:
    """What is wrong with a path of the manifest, "" if nothing is."""
    if not isinstance(name, str):
        return f"{name!r} is no path"
    if name.startswith("/") or "\\" in name or ".." in name.split("/"):
        return f"{name!r} leaves the dataset's folder"
    return ""


def leak_checks(manifest: pd.DataFrame, split_rule: str) -> list[Check]:
    """Whether groups, strips and files are each in one split.

    A leak is an error where `split_rule` is "grouped"; other rules split by crop.
    """
    level = leak_level(split_rule)
    return [
        Check(name, level, tuple(_leaks(manifest, column)), leak_cure(split_rule))
        for column, name in KEPT_TOGETHER.items()
    ]


def leak_level(split_rule: str) -> Level:
    """How grave a leak is in a dataset that was split by this rule."""
    return "error" if split_rule == GROUPED else "warning"


def leak_cure(split_rule: str) -> str:
    """What to do about a leak in a dataset that was split by this rule."""
    if split_rule == GROUPED:
        return f"testing would see what was trained on; {_SPLIT_AGAIN}"
    return f"--split {split_rule} parts strips, and so flatters; --split grouped does not"


def _leaks(manifest: pd.DataFrame, column: str) -> Iterator[Example]:
    """Values of a column that are in several splits; those of a parted strip go by the strip."""
    if column != "strip_id":
        parted = manifest.groupby("strip_id")["split"].transform("nunique") > 1
        manifest = manifest[~parted]
    pairs = manifest[[column, "split"]].drop_duplicates()
    several = pairs[pairs[column].duplicated(keep=False)]
    for key, sides in several.groupby(column, sort=True)["split"]:
        row = int(sides.index[-1])
        names = " and ".join(sorted(sides, key=SPLITS.index))
        yield Example(manifest["crop_path"][row], row, f"{column} {key} is in {names}")


def quick_checks(root: Path, card: Mapping[str, Any], manifest: pd.DataFrame) -> list[Check]:
    """All that needs no decoding, for rows that pass `row_checks`: leaks, files, classes, counts.

    `card` is that of the dataset at `root`.
    """
    classes, split_rule = card["classes"], str(card["settings"].get("split", ""))
    return [
        *leak_checks(manifest, split_rule),
        *_file_checks(root, manifest),
        _contradictions(classes, manifest),
        *_class_checks(classes, manifest),
        _card_counts(card, manifest),
        black_check(card, manifest, numbers(manifest, "black_fraction")),
    ]


def _file_checks(root: Path, manifest: pd.DataFrame) -> list[Check]:
    there = {*_files(root, "crops"), *_files(root, "masks")}
    crops, masks = manifest["crop_path"], manifest["mask_path"]
    stray = sorted(there.difference(crops, masks))
    again = "copy it from where the dataset was built, or build it again"
    return [
        Check.of_rows(
            "crops missing",
            "error",
            ~crops.isin(there),
            lambda row: Example(crops[row], row, "there is no such file"),
            again,
        ),
        Check.of_rows(
            MASKS_MISSING,
            "error",
            (masks != "") & ~masks.isin(there),
            lambda row: Example(masks[row], row, "there is no such file"),
            again,
        ),
        Check(
            "files without a row",
            "warning",
            tuple(Example(name, None, "not in the manifest") for name in stray),
            "nothing reads them; remove them, or build the dataset again",
        ),
    ]


def _files(root: Path, kind: str) -> Iterator[str]:
    """POSIX paths, relative to `root`, of the files in a folder of it."""
    for folder, _, names in os.walk(root / kind):
        here = Path(folder).relative_to(root).as_posix()
        yield from (f"{here}/{name}" for name in names)


def _contradictions(classes: Sequence[str], manifest: pd.DataFrame) -> Check:
    """Rows whose class and mask contradict each other by the manifest's own numbers."""
    normal = normal_rows(classes, manifest)
    pixels = numbers(manifest, "defect_pixels")
    masked = (manifest["mask_path"] != "").to_numpy()

    def told(row: int) -> Example:
        name = classes[int(manifest["class_id"][row])]
        what = f"{name}, with {pixels[row]:g} defect pixels"
        return Example(manifest["crop_path"][row], row, what)

    return Check.of_rows(
        "classes against defect pixels",
        "error",
        (normal & (pixels > 0)) | (~normal & masked & (pixels == 0)),
        told,
        "correct the labels, and build the dataset again",
    )


def _class_checks(classes: Sequence[str], manifest: pd.DataFrame) -> list[Check]:
    table = pd.crosstab(manifest["class_id"], manifest["split"])
    table = table.reindex(index=range(len(classes)), columns=list(SPLITS), fill_value=0)
    absent = {
        split: [name for name, crops in zip(classes, table[split], strict=True) if not crops]
        for split in SPLITS
    }
    cure = "build the dataset from more strips, or with another --seed"
    return [
        Check(
            "classes without training crops",
            "error",
            tuple(Example("", None, f"no {name} in train") for name in absent["train"]),
            cure,
        ),
        Check(
            "classes without other crops",
            "warning",
            tuple(
                Example("", None, f"no {name} in {split}")
                for split in SPLITS[1:]
                for name in absent[split]
            ),
            f"their recall will not be known; {cure}",
        ),
    ]


def _card_counts(card: Mapping[str, Any], manifest: pd.DataFrame) -> Check:
    """Whether the card counts what the manifest has; nothing for a card that counts nothing."""
    classes, written = card["classes"], card.get("counts", {})
    counted = class_counts(manifest, len(classes))
    return Check(
        "counts of the card",
        "error",
        tuple(
            Example(
                CARD_NAME,
                None,
                f"{classes[i]}, {part}: {numbers.get(str(i), 0)} crops, "
                f"but the manifest has {counted[part][str(i)]}",
            )
            for part, numbers in written.items()
            if part in counted
            for i in range(len(classes))
            if numbers.get(str(i), 0) != counted[part][str(i)]
        ),
        "one of the two was changed by hand; build the dataset again",
    )


def black_check(
    card: Mapping[str, Any], manifest: pd.DataFrame, fractions: npt.NDArray[np.float64]
) -> Check:
    """Crops that show no steel: `fractions` (N,) of them are darker than the black level."""
    limit = card["settings"].get("black_threshold")
    if not isinstance(limit, int | float):
        limit = Rules().black_threshold
    return Check.of_rows(
        "black crops",
        "warning",
        fractions > limit,
        lambda row: Example(
            manifest["crop_path"][row], row, f"{100 * fractions[row]:.1f} % of it is black"
        ),
        "look at them; normal ones go by a lower --black-threshold, others by correct labels",
    )


def normal_rows(classes: Sequence[str], manifest: pd.DataFrame) -> Flags:
    """Which rows (N,) are of the class called normal, if there is one."""
    if NORMAL_NAME not in classes:
        return np.zeros(len(manifest), np.bool_)
    ids = manifest["class_id"].to_numpy(np.int64)
    return np.asarray(ids == list(classes).index(NORMAL_NAME), np.bool_)


def numbers(manifest: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    """A column (N,), NaN where it holds no number."""
    return pd.to_numeric(manifest[column], errors="coerce").to_numpy(np.float64)
