"""A sample on disk: images and labels as Kaggle ships them, and a card that vouches for them."""

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from severstal_prep import rle, workers
from severstal_prep.checked import checked, read_json
from severstal_prep.console import track
from severstal_prep.errors import OptionError, PrepError
from severstal_prep.files import file_sha256
from severstal_prep.images import write_jpeg
from severstal_prep.sample.plan import Classes, deal
from severstal_prep.sample.strip import make_strip

FORMAT = "steel-sise sample 1"
GENERATOR = 1  # raise it whenever the same seed begins to give other strips
CARD_NAME = "sample.json"
PARTIAL_NAME = ".sample.partial"
CSV_HEADER = ("ImageId", "ClassId", "EncodedPixels")
JPEG_QUALITY = 90
PARTS = ("train", "test")  # the position of a part is its stream of random numbers
PLAN, STRIP = 0, 1  # what a stream's numbers are for


class SampleError(PrepError):
    """An output folder that cannot take the sample."""


class StripTask(NamedTuple):
    """A strip to write into a part's images: its number there, and its classes."""

    folder: Path
    seed: int
    part: str
    number: int
    classes: Classes


@dataclass(frozen=True)
class SamplePart:
    """Training or holdout strips: where they are, and how many there are of which kind.

    `class_strips` counts the strips per class (1 to 4); `rows` are the rows of the labels.
    """

    labels: Path
    images: Path
    strips: int
    annotated: int
    two_classes: int
    rows: int
    class_strips: Mapping[int, int]

    def __str__(self) -> str:
        classes = ", ".join(f"class {name}: {count}" for name, count in self.class_strips.items())
        return (
            f"{self.strips} strips in {self.images}\n"
            f"  {self.annotated} with defects ({classes}; {self.two_classes} with two classes), "
            f"{self.strips - self.annotated} without\n"
            f"  {self.rows} rows in {self.labels}"
        )


@dataclass(frozen=True)
class SampleSummary:
    """What `write_sample` wrote, or was there already (`was_there`)."""

    out: Path
    seed: int
    train: SamplePart
    holdout: SamplePart | None
    was_there: bool

    def __str__(self) -> str:
        state = "unchanged, written earlier" if self.was_there else "written"
        lines = [f"sample {self.out} (seed {self.seed}, {state})", f"training: {self.train}"]
        if self.holdout is not None:
            lines.append(f"holdout: {self.holdout}")
        return "\n".join(lines)


def write_sample(out: Path, strips: int = 60, seed: int = 0, holdout: int = 0) -> SampleSummary:
    """Write sample strips and their exact labels to the folder `out`, in Kaggle's layout.

    `train.csv` (one row per annotated strip and class) and `train_images/`; with `holdout`
    > 0 also `test.csv` and `test_images/` with that many strips that training never sees;
    and `sample.json`, the card. A strip depends on `seed` and its number only: more strips
    leave the first ones as they are. The same versions of the libraries on the same kind of
    processor give the same bytes; on others a pixel may differ by a grey level.

    The folder must be new or empty. If it holds this very sample, nothing is written. All
    files appear at the end, or none.

    Raises OptionError for numbers out of range, SampleError for a folder that holds anything
    else or cannot be written.
    """
    for option, value, least in (("strips", strips, 1), ("holdout", holdout, 0), ("seed", seed, 0)):
        if value < least:
            raise OptionError(f"--{option} {value}: give {least} or more")
    plans = {
        part: deal(_seed(seed, stream, PLAN), count)
        for stream, (part, count) in enumerate(zip(PARTS, (strips, holdout), strict=True))
        if count
    }
    request = {
        "format": FORMAT,
        "generator": GENERATOR,
        "strips": strips,
        "seed": seed,
        "holdout": holdout,
    }
    try:
        was_there = _holds(out, request)
        if not was_there:
            _write(out, request, plans)
    except OSError as error:
        place = error.filename or out
        raise SampleError(
            f"{place}: cannot be written ({error.strerror}); free it or choose another --out"
        ) from error
    summaries = {part: _summary(out, part, plan) for part, plan in plans.items()}
    return SampleSummary(out, seed, summaries["train"], summaries.get("test"), was_there)


def strip_name(seed: int, stream: int, index: int) -> str:
    """Name a strip as Kaggle does, nine hexadecimal digits; no two in a sample are the same."""
    key = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
    odd = 0x9E3779B97  # multiplying by an odd number modulo a power of two loses nothing
    return f"{(key ^ (len(PARTS) * index + stream) * odd) % 16**9:09x}.jpg"


def _seed(seed: int, stream: int, *key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(stream, *key))


def _summary(out: Path, part: str, plan: list[Classes]) -> SamplePart:
    counts = Counter(class_id for classes in plan for class_id in classes)
    return SamplePart(
        labels=out / f"{part}.csv",
        images=out / f"{part}_images",
        strips=len(plan),
        annotated=sum(bool(classes) for classes in plan),
        two_classes=sum(len(classes) == 2 for classes in plan),
        rows=counts.total(),
        class_strips={class_id: counts[class_id] for class_id in (1, 2, 3, 4)},
    )


def _write(out: Path, request: Mapping[str, Any], plans: Mapping[str, list[Classes]]) -> None:
    created = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    partial = out / PARTIAL_NAME
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        rows: dict[str, list[tuple[str, int, str]]] = {part: [] for part in plans}
        total = sum(map(len, plans.values()))
        for part, row in track(_write_strips(partial, request["seed"], plans), total, "strips"):
            rows[part] += row
        for part in plans:
            with (partial / f"{part}.csv").open("w", newline="", encoding="ascii") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(CSV_HEADER)
                writer.writerows(sorted(rows[part]))
        card = {**request, "files": _hashes(partial)}
        text = json.dumps(card, indent=2, allow_nan=False) + "\n"
        (partial / CARD_NAME).write_text(text, "utf-8")
        for entry in sorted(partial.iterdir(), key=lambda path: path.name == CARD_NAME):
            entry.replace(out / entry.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if created and not any(out.iterdir()):
            out.rmdir()


def _write_strips(
    folder: Path, seed: int, plans: Mapping[str, list[Classes]]
) -> Iterator[tuple[str, list[tuple[str, int, str]]]]:
    """Write each strip's image; yield its part and its rows of labels."""
    tasks: list[StripTask] = []
    for part, plan in plans.items():
        (folder / f"{part}_images").mkdir()
        tasks += [StripTask(folder, seed, part, i, classes) for i, classes in enumerate(plan)]
    with closing(workers.run(_write_strip, tasks, os.cpu_count() or 1)) as rows:
        yield from zip((task.part for task in tasks), rows, strict=True)


def _write_strip(task: StripTask) -> list[tuple[str, int, str]]:
    stream = PARTS.index(task.part)
    strip = make_strip(_seed(task.seed, stream, STRIP, task.number), task.classes)
    name = strip_name(task.seed, stream, task.number)
    pixels = np.stack(3 * [strip.grey], axis=-1)
    write_jpeg(task.folder / f"{task.part}_images" / name, pixels, JPEG_QUALITY)
    return [(name, class_id, rle.encode(mask)) for class_id, mask in strip.masks.items()]


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each label file and image of a sample, by its path in the folder."""
    files = [path for part in PARTS for path in folder.glob(f"{part}.csv")]
    files += [path for part in PARTS for path in folder.glob(f"{part}_images/*")]
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in sorted(files)}


def _holds(out: Path, request: Mapping[str, Any]) -> bool:
    """Tell whether `out` holds the sample asked for; SampleError if it holds anything else."""
    if out.exists() and not out.is_dir():
        raise SampleError(f"{out}: a file, not a folder; choose another --out")
    entries = sorted(path.name for path in out.iterdir()) if out.exists() else []
    entries = [name for name in entries if name != PARTIAL_NAME]
    if not entries:
        return False
    if CARD_NAME not in entries:
        raise SampleError(f"{out}: the folder is not empty ({entries[0]}, …); choose another --out")
    try:
        card = checked(dict[str, Any], read_json(out / CARD_NAME))
        files = checked(dict[str, str], card.pop("files", None))
    except ValueError as error:
        raise SampleError(
            f"{out / CARD_NAME}: not the card of a sample ({error}); choose another --out"
        ) from error
    for name in request:
        if card.get(name) != request[name]:
            raise SampleError(
                f"{out}: holds a sample with {name} {card.get(name)}, not {request[name]}; "
                "choose another --out, or delete it"
            )
    present = _hashes(out)
    changed = sorted(name for name in files | present if files.get(name) != present.get(name))
    if changed:
        raise SampleError(
            f"{out / changed[0]}: missing, added or changed since the sample was written; "
            "delete the folder and run again"
        )
    return True
