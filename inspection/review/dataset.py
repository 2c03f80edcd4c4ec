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

import numpy as np
import pandas as pd
import sqlalchemy as sa

from inspection.pipeline.policy import NORMAL
from inspection.review.database import Database
from inspection.review.errors import ExportError
from inspection.review.originals import corner, read_strip, strip_path
from inspection.review.queries import all_batches
from inspection.review.reviewed import Reviewed, reviewed_patches
from severstal_prep import dataset
from severstal_prep.grouping import group_near_duplicates, strip_hash
from severstal_prep.images import is_grey, to_grey, write_png
from severstal_prep.manifest import with_places
from severstal_prep.masked_crops import masked_crop_id
from severstal_prep.recast import BLACK_LEVEL
from severstal_prep.split import absent_classes
from severstal_prep.strips import crop_id
from sise.outputs import check_apart
from sise.progress import track

_NAME_LENGTH = 16


@dataclass(frozen=True)
class Labelled:
    """A patch to export: the strip's file and SHA-256, its place there (see `originals.place`), its
    size in px, and its class."""

    path: Path
    strip_sha256: str
    place: int
    size: int
    class_name: str

    @property
    def strip_id(self) -> str:
        """The strip's name in the dataset: by content, as two batches may share file names."""
        return self.strip_sha256[:_NAME_LENGTH]


@dataclass(frozen=True)
class Exported:
    """A written dataset: its class names, crops per class and split, and patches left out because
    people disagree on them within a batch or between batches."""

    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    absent: tuple[str, ...]
    disputed: int


def export(database: Database, out: Path, seed: int = 0) -> Exported:
    """Write the decided patches of all batches as a recast dataset at `out`: all or nothing.

    Strips, and near-duplicates of strips, stay on one side of the split. Masks are unknown:
    `mask_path` is "" and `defect_pixels` 0. The classes are those of the batches' models, class 0
    "normal". Raises ExportError if `out` exists, if nothing is decided, and for patches of
    different sizes, StripError if a strip is missing or has changed.
    """
    if out.exists():
        raise ExportError(f"{out}: exists already; name another --out")
    with database.reading() as connection:
        rows = all_batches(connection)
        check_apart(out, [Path(f) for row in rows for f in (row.report_folder, row.strips_folder)])
        classes = _classes(rows)
    chosen, disputed = _choose(database)
    if not chosen:
        raise ExportError(f"{database.name}: no patch is decided; review some first")
    sizes = sorted({patch.size for patch in chosen})
    if len(sizes) > 1:
        raise ExportError(
            f"{database.name}: patches of {' and '.join(map(str, sizes))} px, of models of "
            "different input sizes; review them in databases of their own"
        )
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        exported = _write(temporary, chosen, classes, seed, disputed)
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
                if labels.setdefault(key, labelled).class_name != labelled.class_name:
                    disputed.add(key)
    return [labels[key] for key in sorted(labels) if key not in disputed], len(disputed)


def _classes(batches: Sequence[sa.Row[Any]]) -> tuple[str, ...]:
    """The classes of all batches, "normal" first, then in the order of the largest model."""
    by_size = sorted(batches, key=lambda batch: -len(batch.classes))
    names = dict.fromkeys(name for batch in by_size for name in batch.classes)
    return (NORMAL, *(name for name in names if name != NORMAL))


def _label(batch: sa.Row[Any], patch: Reviewed, human: str) -> Labelled:
    path = strip_path(batch.strips_folder, patch.strip)
    return Labelled(path, patch.strip_sha256, patch.left, batch.patch_size, human)


def _write(
    root: Path, chosen: Sequence[Labelled], classes: Sequence[str], seed: int, disputed: int
) -> Exported:
    by_strip = dict[str, list[Labelled]]()
    for patch in chosen:
        by_strip.setdefault(patch.strip_sha256, []).append(patch)
    rows, hashes = [], dict[str, str]()
    for sha256, own in track(by_strip.items(), len(by_strip), "cut crops"):
        strip = read_strip(own[0].path, sha256, own[0].size)
        grey = to_grey(strip)
        hashes[own[0].strip_id] = strip_hash(grey)
        pixels = grey if is_grey(strip, grey) else strip
        for patch in own:
            left, top = corner(patch.place, pixels.shape[1])
            square = np.s_[top : top + patch.size, left : left + patch.size]
            name = crop_id(patch.strip_id, left)
            if top:
                name = masked_crop_id(patch.strip_id, left, top)
            write_png(root / f"{name}.png", pixels[square])
            rows.append(
                {
                    "crop_id": name,
                    "strip_id": patch.strip_id,
                    "left": left,
                    "class_id": classes.index(patch.class_name),
                    "defect_pixels": 0,
                    "black_fraction": float((grey[square] < BLACK_LEVEL).mean()),
                    "strip_sha256": sha256,
                }
            )
    manifest = pd.DataFrame(rows).sort_values("crop_id", ignore_index=True)
    groups = group_near_duplicates(list(hashes), list(hashes.values()))
    group = dict(zip(hashes, groups, strict=True))
    manifest = _place(root, manifest.assign(group_id=manifest["strip_id"].map(group)), seed)
    return _finish(root, manifest, classes, seed, disputed)


def _place(root: Path, manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Split the crops, and move their files to where the manifest says that they are."""
    placed = with_places(manifest, "grouped", seed).assign(mask_path="")
    for name, place in zip(placed["crop_id"], placed["crop_path"], strict=True):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.png").rename(root / place)
    return placed


def _finish(
    root: Path, manifest: pd.DataFrame, classes: Sequence[str], seed: int, disputed: int
) -> Exported:
    from severstal_prep.overview import write_overview  # matplotlib takes a second to import

    counts = dataset.class_counts(manifest, len(classes))
    absent = tuple(
        f"{classes[class_id]} in {split}"
        for class_id, split in absent_classes(
            manifest["split"].tolist(), manifest["class_id"].tolist()
        )
    )
    never = tuple(name for i, name in enumerate(classes) if not counts["total"][str(i)])
    dataset.write_manifest(root, manifest)
    write_overview(root / dataset.OVERVIEW_NAME, root, manifest, classes)
    dataset.write_card(
        root,
        {
            "settings": {"recipe": "review", "split": "grouped", "seed": seed},
            "differs_from_recipe": {},
            "black_level": BLACK_LEVEL,
            "classes": list(classes),
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
    return Exported(tuple(classes), counts, (*absent, *never), disputed)
