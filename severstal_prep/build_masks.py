"""Build the recast layout from pictures of one's own steel: images and masks by class.

As `build` does: only when all images have been cut can their crops be split and moved to their
places, and the card comes last.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from severstal_prep import console, workers
from severstal_prep.annotations import OnError, Rejection, stop
from severstal_prep.build import BuiltCard, Outcome, check_files, check_settings, differing, finish
from severstal_prep.dataset import (
    CARD_NAME,
    class_counts,
    library_versions,
    read_card,
    read_manifest,
)
from severstal_prep.engines import run_steps
from severstal_prep.errors import DatasetError
from severstal_prep.files import file_sha256
from severstal_prep.manifest import DatasetManifest, placed
from severstal_prep.masked_crops import (
    CUT_MASKED,
    ImageRecord,
    MaskRules,
    MaskTask,
    hash_masked,
    masked_crop_id,
)
from severstal_prep.masked_images import GROUPS, MaskedFolder, MaskedImage, read_masked_folder
from severstal_prep.recast import BLACK_LEVEL, NORMAL, NORMAL_NAME
from severstal_prep.split import absent_classes, grouped_split, with_every_class
from severstal_prep.workfolder import WorkFolder

RECIPE = "masks"


@dataclass(frozen=True)
class MaskRequest:
    """What to build from what.

    `data` holds `images/CLASS`, `masks/CLASS` and perhaps `groups.csv`; `normal` names the
    class whose images show no defect, None to find it. `on_error`, `jobs` and `ray`, the cluster
    that cuts (`engines.run_steps`), have no influence on what is built.
    """

    data: Path
    out: Path
    rules: MaskRules = MaskRules()  # noqa: RUF009 frozen
    normal: str | None = None
    seed: int = 0
    on_error: OnError = "stop"
    jobs: int = 1
    ray: str | None = None


def build_masks(request: MaskRequest) -> Outcome:
    """Build a recast dataset, continue an interrupted build, or check a complete dataset.

    Class 0 is "normal" unless no crop is without a defect; the others are the defect classes in
    alphabetical order. All crops of a group, and of an image and its exact copies, are on one
    side of the split.

    Raises UnreadableImageError and AnnotationError for the first image or row that cannot be
    used (for images: unless `on_error` is "quarantine"), DatasetError for a folder of another
    layout and for a class that no crop is left of, and as `build` does for `out`.
    """
    if request.out.resolve().is_relative_to(request.data.resolve()):
        raise DatasetError(f"{request.out}: in the folder of the images; name another --out")
    folder = read_masked_folder(request.data, request.normal)
    console.notes(request.data, folder.notes)
    groups = request.data / GROUPS
    settings = {
        "recipe": RECIPE,
        **asdict(request.rules),
        "normal": folder.normal,
        "split": "grouped",
        "seed": request.seed,
        "groups_sha256": file_sha256(groups) if groups.exists() else "",
    }
    card = request.out / CARD_NAME
    if not card.exists():
        work = WorkFolder(request.out)
        with work.alone():
            if not card.exists():  # still not: another process may have built it meanwhile
                return _build(request, settings, folder, work)
    return _check_complete(request, settings, folder)


def _build(
    request: MaskRequest, settings: Mapping[str, Any], folder: MaskedFolder, work: WorkFolder
) -> Outcome:
    check_settings(f"{request.out}: was begun", work.open(settings), settings)
    records = _cut_all(request, folder, work)
    rejections = [
        Rejection(None, record.image, image.class_name, record.problem)
        for image, record in zip(folder.images, records, strict=True)
        if record.problem
    ]
    recast, classes = _manifest(request, folder, records)
    normal = NORMAL if classes[0] == NORMAL_NAME else None
    card = _card(request, settings, folder, records, recast, classes)
    finish(work, recast, rejections, card, normal, "images")
    return Outcome(request.out, card, was_complete=False)


def _cut_all(request: MaskRequest, folder: MaskedFolder, work: WorkFolder) -> list[ImageRecord]:
    done = work.read_journal(ImageRecord)
    tasks = [
        MaskTask(
            image,
            request.rules,
            request.seed,
            image.class_name != folder.normal,
            work.path,
            done.get(f"{image.class_name}/{image.path.name}"),
        )
        for image in folder.images
    ]
    records = list[ImageRecord]()
    done_now = run_steps(CUT_MASKED, tasks, request.jobs, request.ray)
    with work.journal() as journal, closing(done_now) as cut:
        for record in console.track(cut, len(tasks), "cutting images"):
            if record.problem and request.on_error == "stop":
                stop(request.data, [Rejection(None, record.image, "", record.problem)])
            if not record.problem and record != done.get(record.image):
                journal.add(record)
            records.append(record)
    return records


def _manifest(
    request: MaskRequest, folder: MaskedFolder, records: Sequence[ImageRecord]
) -> tuple[DatasetManifest, tuple[str, ...]]:
    """The manifest, and the names of its classes by class id."""
    dropped, rows = Counter[str](), list[dict[str, object]]()
    groups = _groups(folder.images, records)
    for image, record, group in zip(folder.images, records, groups, strict=True):
        for crop in record.crops:
            if crop.drop:
                dropped[crop.drop] += 1
                continue
            rows.append(
                {
                    "crop_id": masked_crop_id(image.image_id, crop.left, crop.top),
                    "strip_id": image.image_id,
                    "left": crop.left,
                    "class": image.class_name if crop.defect_pixels else NORMAL_NAME,
                    "defect_pixels": crop.defect_pixels,
                    "black_fraction": crop.black_fraction,
                    "group_id": group,
                    "strip_sha256": record.sha256,
                }
            )
    classes = _classes(request, folder, {str(row["class"]) for row in rows})
    manifest = pd.DataFrame(rows).sort_values("crop_id", ignore_index=True)
    twice = manifest["crop_id"].duplicated()
    if twice.any():
        name = manifest["crop_id"][twice].iloc[0]
        images = manifest["strip_id"][manifest["crop_id"] == name].tolist()
        raise DatasetError(
            f"{request.data}: {' and '.join(images)} would give crops of the same name; "
            "rename one of them"
        )
    manifest["class_id"] = [classes.index(name) for name in manifest["class"]]
    group_ids, ids = manifest["group_id"].tolist(), manifest["class_id"].tolist()
    parts = grouped_split(group_ids, ids, request.seed)
    parts = with_every_class(parts, group_ids, ids, request.seed)
    normal = NORMAL if classes[0] == NORMAL_NAME else None
    made = DatasetManifest(placed(manifest, parts, normal), dict(sorted(dropped.items())))
    return made, classes


def _classes(request: MaskRequest, folder: MaskedFolder, found: set[str]) -> tuple[str, ...]:
    for name in folder.defect_classes:
        if name not in found:
            raise DatasetError(
                f"{request.data}: these rules leave no crop of {name!r}; change the options, or "
                "move its images away"
            )
    normal = (NORMAL_NAME,) if NORMAL_NAME in found else ()
    return normal + folder.defect_classes


def _groups(images: Sequence[MaskedImage], records: Sequence[ImageRecord]) -> list[str]:
    """The group of each image: its own of `groups.csv`, or that of the first copy of it."""
    first = dict[str, str]()
    for image, record in zip(images, records, strict=True):
        first.setdefault(record.sha256, image.group or image.image_id)
    return [
        image.group or first[record.sha256] for image, record in zip(images, records, strict=True)
    ]


def _images_sha256(records: Iterable[ImageRecord]) -> str:
    """SHA-256 over name and hashes of every image and its mask, readable or not."""
    lines = sorted(f"{record.sha256} {record.mask_sha256} {record.image}\n" for record in records)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _check_complete(
    request: MaskRequest, settings: Mapping[str, Any], folder: MaskedFolder
) -> Outcome:
    out = request.out
    card = read_card(out, BuiltCard)
    check_settings(f"{out}: was built", card["settings"], settings)
    with closing(workers.run(hash_masked, folder.images, request.jobs)) as hashes:
        hashed = list(console.track(hashes, len(folder.images), "checking images"))
    if _images_sha256(hashed) != card["source"]["images_sha256"]:
        raise DatasetError(
            f"{out}: was built from other images or masks than {request.data} holds now; name "
            "another --out or delete this folder"
        )
    check_files(out, read_manifest(out))
    WorkFolder(out).remove()
    return Outcome(out, card, was_complete=True)


def _card(
    request: MaskRequest,
    settings: Mapping[str, Any],
    folder: MaskedFolder,
    records: Sequence[ImageRecord],
    recast: DatasetManifest,
    classes: Sequence[str],
) -> dict[str, Any]:
    manifest = recast.manifest
    return {
        "settings": dict(settings),
        "differs_from_recipe": differing(asdict(MaskRules()), asdict(request.rules)),
        "black_level": BLACK_LEVEL,
        "classes": list(classes),
        "counts": class_counts(manifest, len(classes)),
        "absent": [
            f"{classes[class_id]} in {split}"
            for class_id, split in absent_classes(
                manifest["split"].tolist(), manifest["class_id"].tolist()
            )
        ],
        "dropped": dict(recast.dropped),
        "strips": len(folder.images),
        "strips_with_crops": manifest["strip_id"].nunique(),
        "groups": manifest["group_id"].nunique(),
        "rejected_strips": sum(bool(record.problem) for record in records),
        "source": {"data": request.data.name, "images_sha256": _images_sha256(records)},
        "versions": library_versions(),
    }
