"""Reviewed patches as a recast dataset: what people decided becomes training data.

A confirmed patch keeps the model's class, a reclassed one gets the new class, and a rejected
one becomes a normal crop. The crops are cut anew from the batch's strips, whose hashes must
still be those that were inspected; the batch and the report are only read.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from inspection.review.database import Database
from inspection.review.errors import ExportError
from inspection.review.originals import read_strip, strip_path
from inspection.review.queries import all_batches
from inspection.review.reviewed import Reviewed, reviewed_patches
from severstal_prep import dataset
from severstal_prep.grouping import group_near_duplicates, strip_hash
from severstal_prep.images import is_grey, to_grey, write_png
from severstal_prep.manifest import with_places
from severstal_prep.recast import BLACK_LEVEL
from severstal_prep.split import absent_classes
from severstal_prep.strips import crop_id
from severstal_prep.training_crops import CROP_SIDE
from sise.outputs import check_apart
from sise.progress import track

_NAME_LENGTH = 16


@dataclass(frozen=True)
class Labelled:
    """A patch to export: the strip's file and SHA-256, the left edge in px, the class id."""

    path: Path
    strip_sha256: str
    left: int
    class_id: int

    @property
    def strip_id(self) -> str:
        """The strip's name in the dataset: by content, as two batches may share file names."""
        return self.strip_sha256[:_NAME_LENGTH]


@dataclass(frozen=True)
class Exported:
    """A written dataset: crops per class and split, and patches left out because people
    disagree on them within a batch or between batches."""

    counts: dict[str, dict[str, int]]
    absent: tuple[str, ...]
    disputed: int


def export(database: Database, out: Path, seed: int = 0) -> Exported:
    """Write the decided patches of all batches as a recast dataset at `out`: all or nothing.

    Strips, and near-duplicates of strips, stay on one side of the split. Masks are unknown:
    `mask_path` is "" and `defect_pixels` 0. Raises ExportError if `out` exists, nothing is
    decided or a class is unknown, StripError if a strip is missing or has changed.
    """
    if out.exists():
        raise ExportError(f"{out}: exists already; name another --out")
    with database.reading() as connection:
        rows = all_batches(connection)
        check_apart(out, [Path(f) for row in rows for f in (row.report_folder, row.strips_folder)])
    chosen, disputed = _choose(database)
    if not chosen:
        raise ExportError(f"{database.name}: no patch is decided; review some first")
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        exported = _write(temporary, chosen, seed, disputed)
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return exported


def _choose(database: Database) -> tuple[list[Labelled], int]:
    """One label per patch content, and the number of patches that people disagree on."""
    labels = dict[tuple[str, int], Labelled]()
    disputed = set[tuple[str, int]]()
    with database.reading() as connection:
        for batch in all_batches(connection):
            for patch in reviewed_patches(connection, batch.id):
                key = patch.strip_sha256, patch.left
                if patch.status == "disputed":
                    disputed.add(key)
                if patch.human is None:
                    continue
                labelled = _label(batch, patch, patch.human)
                if labels.setdefault(key, labelled).class_id != labelled.class_id:
                    disputed.add(key)
    return [labels[key] for key in sorted(labels) if key not in disputed], len(disputed)


def _label(batch: sa.Row[Any], patch: Reviewed, human: str) -> Labelled:
    if human not in dataset.CLASS_NAMES:
        raise ExportError(
            f"batch {batch.name!r}: a recast dataset has no class {human!r}, only "
            f"{', '.join(dataset.CLASS_NAMES)}"
        )
    path = strip_path(batch.strips_folder, patch.strip)
    return Labelled(path, patch.strip_sha256, patch.left, dataset.CLASS_NAMES.index(human))


def _write(root: Path, chosen: Sequence[Labelled], seed: int, disputed: int) -> Exported:
    by_strip = dict[str, list[Labelled]]()
    for patch in chosen:
        by_strip.setdefault(patch.strip_sha256, []).append(patch)
    rows, hashes = [], dict[str, str]()
    for sha256, own in track(by_strip.items(), len(by_strip), "cut crops"):
        strip = read_strip(own[0].path, sha256)
        grey = to_grey(strip)
        hashes[own[0].strip_id] = strip_hash(grey)
        pixels = grey if is_grey(strip, grey) else strip
        for patch in own:
            columns = slice(patch.left, patch.left + CROP_SIDE)
            name = crop_id(patch.strip_id, patch.left)
            write_png(root / f"{name}.png", pixels[:, columns])
            rows.append(
                {
                    "crop_id": name,
                    "strip_id": patch.strip_id,
                    "left": patch.left,
                    "class_id": patch.class_id,
                    "defect_pixels": 0,
                    "black_fraction": float((grey[:, columns] < BLACK_LEVEL).mean()),
                    "strip_sha256": sha256,
                }
            )
    manifest = pd.DataFrame(rows).sort_values("crop_id", ignore_index=True)
    groups = group_near_duplicates(list(hashes), list(hashes.values()))
    group = dict(zip(hashes, groups, strict=True))
    manifest = _place(root, manifest.assign(group_id=manifest["strip_id"].map(group)), seed)
    return _finish(root, manifest, seed, disputed)


def _place(root: Path, manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Split the crops, and move their files to where the manifest says that they are."""
    placed = with_places(manifest, "grouped", seed).assign(mask_path="")
    for name, place in zip(placed["crop_id"], placed["crop_path"], strict=True):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.png").rename(root / place)
    return placed


def _finish(root: Path, manifest: pd.DataFrame, seed: int, disputed: int) -> Exported:
    from severstal_prep.overview import write_overview  # matplotlib takes a second to import

    counts = dataset.class_counts(manifest)
    absent = tuple(
        f"{dataset.CLASS_NAMES[class_id]} in {split}"
        for class_id, split in absent_classes(
            manifest["split"].tolist(), manifest["class_id"].tolist()
        )
    )
    never = tuple(name for i, name in enumerate(dataset.CLASS_NAMES) if not counts["total"][str(i)])
    dataset.write_manifest(root, manifest)
    write_overview(root / dataset.OVERVIEW_NAME, root, manifest, dataset.CLASS_NAMES)
    dataset.write_card(
        root,
        {
            "settings": {"recipe": "review", "split": "grouped", "seed": seed},
            "differs_from_recipe": {},
            "black_level": BLACK_LEVEL,
            "classes": list(dataset.CLASS_NAMES),
            "counts": counts,
            "absent": [*absent, *never],
            "dropped": {"disputed": disputed},
            "strips": int(manifest["strip_id"].nunique()),
            "strips_with_crops": int(manifest["strip_id"].nunique()),
            "groups": int(manifest["group_id"].nunique()),
            "rejected_strips": 0,
            "source": {"review": "decisions of people on inspected patches"},
            "versions": dataset.library_versions(),
        },
    )
    return Exported(counts, (*absent, *never), disputed)
