"""DatasetManifest a Kaggle folder: label file and strips in, a folder of crops out.

Only when all strips have been cut can their crops be split and moved to their places, and
the card comes last: a folder with a card is complete, and it is never rewritten.
"""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from severstal_prep import console, workers
from severstal_prep.annotations import Annotations, OnError, Rejection, read_annotations, stop
from severstal_prep.dataset import (
    CARD_NAME,
    CLASS_NAMES,
    OVERVIEW_NAME,
    REJECTED_NAME,
    class_counts,
    library_versions,
    read_card,
    read_manifest,
    write_card,
    write_manifest,
)
from severstal_prep.engines import run_steps
from severstal_prep.errors import DatasetError
from severstal_prep.files import file_sha256, replacing
from severstal_prep.images import is_whole_png
from severstal_prep.manifest import DatasetManifest, SplitMethod, make_manifest
from severstal_prep.recast import BLACK_LEVEL, NORMAL, Rules
from severstal_prep.sources import Chosen, choose_sources
from severstal_prep.split import absent_classes
from severstal_prep.strips import CUT, CutTask, Source, StripRecord, hash_file
from severstal_prep.workfolder import WorkFolder

_HASHED = {"csv_sha256": "label file", "groups_sha256": "groups.csv"}


@dataclass(frozen=True)
class Request:
    """What to build from what.

    `on_error`, `jobs` and `ray`, the cluster that cuts (`engines.run_steps`), have no influence
    on what is built.
    """

    csv: Path
    images: Path
    out: Path
    rules: Rules
    split: SplitMethod = "grouped"
    seed: int = 0
    on_error: OnError = "stop"
    jobs: int = 1
    ray: str | None = None


@dataclass(frozen=True)
class Outcome:
    """A complete dataset: its folder, its card, and whether it was there before."""

    out: Path
    card: Mapping[str, Any]
    was_complete: bool


def build(request: Request) -> Outcome:
    """Build a recast dataset, continue an interrupted build, or check a complete dataset.

    Raises AnnotationError for the first row or image that cannot be used, unless `on_error`
    is "quarantine", DatasetError for a folder that was built, or begun, from other labels, images
    or options, or that holds other files, and InUseError while another process builds there.
    """
    if request.out.resolve().is_relative_to(request.images.resolve()):
        raise DatasetError(f"{request.out}: in the folder of the strips; name another --out")
    annotations = read_annotations(request.csv, request.on_error)
    chosen = choose_sources(annotations, request.images, request.rules)
    sources, missing = chosen.sources, chosen.missing
    console.notes(request.csv, [*annotations.notes, *chosen.notes])
    if request.on_error == "stop":
        stop(request.csv, missing)
    settings = {
        **asdict(request.rules),
        "split": request.split,
        "seed": request.seed,
        "csv_sha256": file_sha256(request.csv),
    }
    card = request.out / CARD_NAME
    if not card.exists():
        work = WorkFolder(request.out)
        with work.alone():
            if not card.exists():  # still not: another process may have built it meanwhile
                return _build(request, settings, annotations, chosen, work)
    return _check_complete(request, settings, sources)


def _build(
    request: Request,
    settings: Mapping[str, Any],
    annotations: Annotations,
    chosen: Chosen,
    work: WorkFolder,
) -> Outcome:
    sources = chosen.sources
    begun_with = work.open(settings)
    check_settings(f"{request.out}: was begun", begun_with, settings)
    records = _cut_all(request, sources, work)
    rejections = [
        *annotations.rejections,
        *chosen.missing,
        *(
            Rejection(source.row, record.image, "", record.problem)
            for source, record in zip(sources, records, strict=True)
            if record.problem
        ),
    ]
    recast = make_manifest(sources, records, request.rules, request.split, request.seed)
    card = _card(request, settings, annotations, records, rejections, recast)
    finish(work, recast, rejections, card)
    return Outcome(request.out, card, was_complete=False)


def describe(outcome: Outcome, of: str = "strips") -> tuple[str, list[str]]:
    """A table of the dataset for stdout, and notes on what the user should know.

    `of` is what its crops are of.
    """
    card, counts = outcome.card, outcome.card["counts"]
    width = max(8, *map(len, card["classes"]))
    lines = [f"{'':{width}} " + " ".join(f"{part:>8}" for part in counts)]
    for class_id, name in enumerate(card["classes"]):
        numbers = (counts[part].get(str(class_id), 0) for part in counts)
        lines.append(f"{name:{width}} " + " ".join(f"{n:8,}" for n in numbers))
    lines += [f"left out: {crops:,} crops: {why}" for why, crops in card["dropped"].items()]
    state = "complete already, unchanged" if outcome.was_complete else "written"
    lines.append(f"{outcome.out}: {state}")
    notes = [f"no crop of {absent}: too few groups of {of}" for absent in card["absent"]]
    if card["rejected_strips"]:
        count = card["rejected_strips"]
        unusable = f"{count} {of.removesuffix('s') if count == 1 else of}"
        notes.append(f"{unusable} could not be used: {outcome.out / REJECTED_NAME}")
    return "\n".join(lines), notes


def differing(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is wanted of the settings that are otherwise."""
    return {name: wanted[name] for name in wanted if there.get(name) != wanted[name]}


def check_settings(state: str, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise DatasetError, beginning with `state`, unless both settings are the same."""
    for name in differing(there, wanted):
        what = (
            f"from another {_HASHED[name]}"
            if name in _HASHED
            else f"with --{name.replace('_', '-')} {there.get(name)}, not {wanted[name]}"
        )
        raise DatasetError(f"{state} {what}; name another --out or delete this folder")


def _check_complete(
    request: Request, settings: Mapping[str, Any], sources: Sequence[Source]
) -> Outcome:
    out = request.out
    card = read_card(out, BuiltCard)
    check_settings(f"{out}: was built", card["settings"], settings)
    paths = [source.path for source in sources]
    with closing(workers.run(hash_file, paths, request.jobs)) as hashes:
        tracked = console.track(hashes, len(paths), "checking strips")
        hashed = [StripRecord(p.name, sha256) for p, sha256 in zip(paths, tracked, strict=True)]
    manifest = read_manifest(out)
    if _images_sha256(hashed) != card["source"]["images_sha256"]:
        now = {Path(record.image).stem: record.sha256 for record in hashed}
        built = zip(manifest["strip_id"], manifest["strip_sha256"], strict=True)
        example = next((name for name, sha256 in built if now.get(name) != sha256), None)
        raise DatasetError(
            f"{out}: was built from other images than {request.images} holds now"
            + (f" (strip {example}, for one)" if example else "")
            + "; name another --out or delete this folder"
        )
    check_files(out, manifest)
    WorkFolder(out).remove()
    return Outcome(out, card, was_complete=True)


def check_files(out: Path, manifest: pd.DataFrame) -> None:
    """Raise DatasetError unless all crops and masks of a manifest are there and whole."""
    files = [path for path in [*manifest["crop_path"], *manifest["mask_path"]] if path]
    damaged = [path for path in files if not is_whole_png(out / path)]
    if damaged:
        raise DatasetError(
            f"{out}: {len(damaged)} of {len(files)} images are missing or damaged "
            f"({damaged[0]}, for one); delete this folder and build it again"
        )


def _cut_all(request: Request, sources: Sequence[Source], work: WorkFolder) -> list[StripRecord]:
    done = work.read_journal(StripRecord)
    tasks = [
        CutTask(source, request.rules, work.path, done.get(source.path.name)) for source in sources
    ]
    records = list[StripRecord]()
    done_now = run_steps(CUT, tasks, request.jobs, request.ray)
    with work.journal() as journal, closing(done_now) as results:
        tracked = console.track(results, len(tasks), "cutting strips")
        for source, record in zip(sources, tracked, strict=True):
            if record.problem and request.on_error == "stop":
                stop(request.csv, [Rejection(source.row, record.image, "", record.problem)])
            if not record.problem and record != done.get(record.image):
                journal.add(record)
            records.append(record)
    return records


def _images_sha256(records: Iterable[StripRecord]) -> str:
    """SHA-256 over name and hash of every strip in use, readable or not."""
    lines = sorted(f"{record.sha256} {record.image}\n" for record in records)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class BuiltSource:
    """What the card of a built dataset says of its images."""

    images_sha256: str


@dataclass(frozen=True)
class BuiltCard:
    """What this module reads again of a card that it has written."""

    settings: dict[str, Any]
    classes: list[str]
    counts: dict[str, dict[str, int]]
    absent: list[str]
    dropped: dict[str, int]
    rejected_strips: int
    source: BuiltSource


def _card(
    request: Request,
    settings: Mapping[str, Any],
    annotations: Annotations,
    records: Sequence[StripRecord],
    rejections: Sequence[Rejection],
    recast: DatasetManifest,
) -> dict[str, Any]:
    manifest = recast.manifest
    labelled = [a for a in annotations.strips.values() if a.labels]
    return {
        "settings": dict(settings),
        "differs_from_recipe": differing(asdict(Rules()), asdict(request.rules)),
        "black_level": BLACK_LEVEL,
        "classes": list(CLASS_NAMES),
        "counts": class_counts(manifest),
        "absent": [
            f"{CLASS_NAMES[class_id]} in {split}"
            for class_id, split in absent_classes(
                manifest["split"].tolist(), manifest["class_id"].tolist()
            )
        ],
        "dropped": dict(recast.dropped),
        "strips": len(labelled),
        "multi_class_strips": sum(len(a.labels) > 1 for a in labelled),
        "strips_with_crops": manifest["strip_id"].nunique(),
        "groups": manifest["group_id"].nunique(),
        "rejected_strips": len({rejection.image for rejection in rejections}),
        "source": {"csv": request.csv.name, "images_sha256": _images_sha256(records)},
        "versions": library_versions(),
    }


def finish(
    work: WorkFolder,
    recast: DatasetManifest,
    rejections: Sequence[Rejection],
    card: dict[str, Any],
    normal: int | None = NORMAL,
    of: str = "strips",
) -> None:
    """Move the crops of a build to their places and write the rest, the card last.

    `normal` is the class without masks, `of` what the crops are of.
    """
    from severstal_prep.overview import write_overview  # matplotlib takes a second to import

    work.move_crops(recast.manifest, len(card["classes"]), normal)
    write_manifest(work.root, recast.manifest)
    write_overview(work.root / OVERVIEW_NAME, work.root, recast.manifest, card["classes"], of)
    if rejections:
        _write_rejections(work.root / REJECTED_NAME, rejections)
    write_card(work.root, card)
    work.remove()


def _write_rejections(path: Path, rejections: Iterable[Rejection]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "image", "class", "reason"])
        for rejection in sorted(rejections, key=lambda r: (r.row is None, r.row or 0, r.image)):
            row = "" if rejection.row is None else rejection.row
            writer.writerow([row, rejection.image, rejection.class_id, rejection.reason])
