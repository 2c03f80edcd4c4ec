"""What can be wrong with the pixels of a recast dataset: crops, masks, copies of one another."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from severstal_prep.checks import (
    Check,
    Example,
    Flags,
    black_check,
    leak_cure,
    leak_level,
    normal_rows,
    numbers,
)
from severstal_prep.crop_facts import CropFacts, Size
from severstal_prep.dataset import SPLITS
from severstal_prep.grouping import HASH_SIZE, NEAR, nearest

_CORRECT = "correct the labels, and build the dataset again"
_AGAIN = "build the dataset again"


def decoded_checks(
    card: Mapping[str, Any], manifest: pd.DataFrame, facts: Sequence[CropFacts]
) -> list[Check]:
    """All that the pixels tell, for rows that pass `row_checks`; `facts` (N,) of each row.

    Its "black crops" are measured, and take the place of what the manifest says of them.
    """
    crops = _Crops(card, manifest, facts)
    return [*_crop_checks(crops), *_mask_checks(crops), *_copy_checks(crops)]


@dataclass(frozen=True)
class _Crops:
    card: Mapping[str, Any]
    manifest: pd.DataFrame
    facts: Sequence[CropFacts]

    def flags(self, holds: Callable[[CropFacts], bool]) -> Flags:
        return np.array([holds(facts) for facts in self.facts], np.bool_)

    def told(self, column: str, what: Callable[[int], str]) -> Callable[[int], Example]:
        """What is said of a row: its file of `column`, and `what`."""
        return lambda row: Example(self.manifest[column][row], row, what(row))

    def class_of(self, row: int) -> str:
        return str(self.card["classes"][self.manifest["class_id"][row]])


def _crop_checks(crops: _Crops) -> list[Check]:
    sizes = pd.Series([facts.size for facts in crops.facts], dtype=object)
    usual = _commonest(sizes)
    dark = np.array([facts.black_fraction for facts in crops.facts], np.float64)
    return [
        Check.of_rows(
            "crops unreadable",
            "error",
            crops.flags(lambda facts: bool(facts.problem)),
            crops.told("crop_path", lambda row: crops.facts[row].problem),
            _AGAIN,
        ),
        Check.of_rows(
            "crops of another size",
            "error",
            crops.flags(lambda facts: not facts.problem and facts.size != usual),
            crops.told("crop_path", lambda row: f"{_px(sizes[row])}, most are {_px(usual)}"),
            "a batch holds crops of one size; build the dataset again",
        ),
        Check.of_rows(
            "blank crops",
            "error",
            crops.flags(lambda facts: facts.level is not None),
            crops.told("crop_path", lambda row: f"every pixel is {crops.facts[row].level}"),
            "no photograph of steel is even; take the image away, and build the dataset again",
        ),
        black_check(crops.card, crops.manifest, dark),
    ]


def _commonest(sizes: "pd.Series[Any]") -> Size:
    known = sizes[sizes.map(bool)]
    return known.value_counts().index[0] if len(known) else ()


def _px(size: Size) -> str:
    return "×".join(map(str, size[::-1])) + " px"


def _mask_checks(crops: _Crops) -> list[Check]:
    normal = normal_rows(crops.card["classes"], crops.manifest)
    written = numbers(crops.manifest, "defect_pixels")
    pixels = np.array([-1 if f.mask_pixels is None else f.mask_pixels for f in crops.facts])
    unmasked = ~normal & (crops.manifest["mask_path"] == "").to_numpy()
    return [
        Check.of_rows(
            "masks unreadable",
            "error",
            crops.flags(lambda facts: bool(facts.mask_problem)),
            crops.told("mask_path", lambda row: crops.facts[row].mask_problem),
            _AGAIN,
        ),
        Check.of_rows(
            "masks of another size",
            "error",
            crops.flags(
                lambda facts: bool(facts.size and facts.mask_size) and facts.size != facts.mask_size
            ),
            crops.told(
                "mask_path",
                lambda row: (
                    f"{_px(crops.facts[row].mask_size)}, its crop has {_px(crops.facts[row].size)}"
                ),
            ),
            _AGAIN,
        ),
        Check.of_rows(
            "defects with an empty mask",
            "error",
            ~normal & (pixels == 0),
            crops.told("mask_path", lambda row: f"{crops.class_of(row)}, but no pixel is set"),
            _CORRECT,
        ),
        Check.of_rows(
            "normal crops with a defect",
            "error",
            normal & (pixels > 0),
            crops.told(
                "mask_path", lambda row: f"{crops.class_of(row)}, but {pixels[row]} pixels are set"
            ),
            _CORRECT,
        ),
        Check.of_rows(
            "masks of other pixels",
            "error",
            ~normal & (pixels > 0) & (pixels != written),
            crops.told(
                "mask_path",
                lambda row: f"{pixels[row]} pixels are set, the manifest has {written[row]:g}",
            ),
            f"the mask was changed since; {_AGAIN}",
        ),
        Check.of_rows(
            "defects without a mask",
            "warning",
            # Reviewed patches have none at all: people gave classes, not pixels.
            unmasked if (pixels >= 0).any() else np.zeros_like(unmasked),
            crops.told("crop_path", lambda row: f"{crops.class_of(row)}, without a mask"),
            "neither masking nor an evaluation of maps can use it",
        ),
    ]


def _copy_checks(crops: _Crops) -> list[Check]:
    split_rule = str(crops.card["settings"].get("split", ""))
    return [
        Check(
            "same pixels, other class",
            "error",
            tuple(_contradicting(crops)),
            "one of the labels is wrong; correct it, and build the dataset again",
        ),
        Check(
            "near-duplicates in several splits",
            leak_level(split_rule),
            tuple(_near_duplicates(crops)),
            "put them into one group (groups.csv), or take one away, and build the dataset again"
            if leak_level(split_rule) == "error"
            else leak_cure(split_rule),
        ),
    ]


def _contradicting(crops: _Crops) -> Iterable[Example]:
    """Crops whose pixels came before with another class. Blank ones, all alike, are left out."""
    first = dict[str, int]()
    for row, facts in enumerate(crops.facts):
        if facts.problem or facts.level is not None:
            continue
        other = first.setdefault(facts.pixels_sha256, row)
        if crops.class_of(other) != crops.class_of(row):
            yield Example(
                crops.manifest["crop_path"][row],
                row,
                f"{crops.class_of(row)}, but the same pixels are {crops.class_of(other)} in "
                f"{crops.manifest['crop_path'][other]}, row {other}",
            )


def _near_duplicates(crops: _Crops) -> Iterable[Example]:
    """Crops of val and test with a near-duplicate in a split before theirs, each once."""
    splits = crops.manifest["split"].to_numpy(object)
    usable = crops.flags(lambda facts: not facts.problem and facts.level is None)
    for place, name in enumerate(SPLITS[1:], 1):
        here = np.flatnonzero(usable & (splits == name))
        before = np.flatnonzero(usable & np.isin(splits, SPLITS[:place]))
        if not len(before):
            continue
        bits, nearest_of = nearest(_hashes(crops, here), _hashes(crops, before))
        for row, differing, other in zip(here, bits, before[nearest_of], strict=True):
            if differing <= NEAR:
                yield Example(
                    crops.manifest["crop_path"][row],
                    int(row),
                    f"{differing} of {HASH_SIZE**2} bits from "
                    f"{crops.manifest['crop_path'][other]}, row {other}",
                )


def _hashes(crops: _Crops, rows: npt.NDArray[np.int64]) -> list[str]:
    return [crops.facts[row].perceptual_hash for row in rows]
