"""A recast dataset of small crops whose class shows in their brightness."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from severstal_prep.dataset import CLASS_NAMES, COLUMNS, class_counts, write_card, write_manifest
from severstal_prep.images import write_png

SIDE = 64
CROPS = {"train": (8, 4, 4, 6, 4), "val": (3, 2, 2, 2, 2), "test": (4, 2, 2, 3, 2)}

WriteRecast = Callable[..., Path]


def write_recast(
    root: Path,
    crops: dict[str, tuple[int, ...]] | None = None,
    split_rule: str = "grouped",
    side: int = SIDE,
    classes: Sequence[str] = CLASS_NAMES,
    **changes: Any,
) -> Path:
    """Write a recast dataset of grey crops, brighter from class to class, one strip each.

    `changes` replace whole columns of the manifest.
    """
    rows = []
    generator = np.random.default_rng(5)
    for split, counts in (crops or CROPS).items():
        for class_id, count in enumerate(counts):
            folder = root / "crops" / split / str(class_id)
            folder.mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                strip = f"{len(rows):09x}"
                noise = generator.normal(30 + 45 * class_id, 6, (side, side))
                grey = np.clip(noise, 0, 255).astype(np.uint8)
                write_png(folder / f"{strip}_x32.png", grey)
                rows.append(_row(strip, split, class_id))
    manifest = pd.DataFrame(rows, columns=list(COLUMNS)).assign(**changes)
    write_manifest(root, manifest)
    write_card(
        root,
        {
            "settings": {"recipe": "paper", "split": split_rule, "seed": 0},
            "differs_from_recipe": {},
            "classes": list(classes),
            "counts": class_counts(manifest, len(classes)),
        },
    )
    return root


def _row(strip: str, split: str, class_id: int) -> dict[str, Any]:
    place = f"{split}/{class_id}/{strip}_x32.png"
    return {
        "crop_id": f"{strip}_x32",
        "strip_id": f"{strip}.jpg",
        "left": 32,
        "split": split,
        "class_id": class_id,
        "crop_path": f"crops/{place}",
        "mask_path": f"masks/{place}" if class_id else "",
        "defect_pixels": 100 if class_id else 0,
        "black_fraction": 0.0,
        "group_id": strip,
        "strip_sha256": hashlib.sha256(strip.encode()).hexdigest(),
    }


@pytest.fixture(scope="session")
def recast_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 26 training, 11 validation and 13 test crops, in a folder with a hard name."""
    return write_recast(tmp_path_factory.mktemp("тест dir") / "recast")


@pytest.fixture(scope="session")
def make_recast() -> WriteRecast:
    """The writer itself, for datasets with something wrong."""
    return write_recast


@pytest.fixture(scope="session")
def truth_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same crops as `recast_root`, with a mask of the middle for each defect crop."""
    root = write_recast(tmp_path_factory.mktemp("with masks") / "recast")
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[24:40, 24:40] = 255
    for place in filter(None, pd.read_parquet(root / "manifest.parquet")["mask_path"]):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        write_png(root / place, mask)
    return root
