"""The ground truth of a batch: which class each patch really shows, by pixels.

The rule, as in recasting: a patch shows every class of which at least `MIN_PIXELS` labelled
pixels lie on it; its true class is the one with the most, the first among equals; without any
it is normal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from inspection.errors import InspectionError
from inspection.pipeline.policy import NORMAL, probability_column
from inspection.store.frames import rows
from inspection.words import word
from severstal_prep import console
from severstal_prep.annotations import Annotation, read_annotations
from severstal_prep.dataset import CLASS_NAMES
from severstal_prep.files import file_sha256
from severstal_prep.names import match_names
from severstal_prep.rle import render
from severstal_prep.training_crops import STRIP_HEIGHT, STRIP_WIDTH

MIN_PIXELS = 1
RULE = word(
    "A patch shows a class if at least one of the class's labelled pixels lies on it; "
    "of several, the one with the most pixels is its true class. A strip is defective if one of "
    "its patches is."
)


class TruthError(InspectionError):
    """Labels that do not fit the batch or the model."""


@dataclass(frozen=True)
class Truth:
    """Labels by strip_id. `unlisted` counts inspected strips that the label file leaves out:
    normal if `unlisted_is_normal`, otherwise unknown."""

    strips: Mapping[str, Annotation]
    unlisted: int
    unlisted_is_normal: bool
    sha256: str


@dataclass(frozen=True)
class Labels:
    """A label file: what it says by file name, and its SHA-256."""

    csv: Path
    strips: Mapping[str, Annotation]
    sha256: str


def read_labels(csv: Path) -> Labels:
    """Read Severstal's label file, in either layout.

    Raises AnnotationError for a file that cannot be read, TruthError for a row that cannot.
    """
    annotations = read_annotations(csv, on_error="quarantine")
    for rejection in annotations.rejections:
        place = "" if rejection.row is None else f", row {rejection.row}"
        raise TruthError(f"{csv}{place}: {rejection.reason}")
    console.notes(csv, annotations.notes)
    return Labels(csv, annotations.strips, file_sha256(csv))


def read_truth(csv: Path, strips: pd.DataFrame, classes: Sequence[str]) -> Truth:
    """`read_labels` and `match` in one."""
    return match(read_labels(csv), strips, classes)


def match(labels: Labels, strips: pd.DataFrame, classes: Sequence[str]) -> Truth:
    """What labels say of the inspected of these rows of strips (strip_id, status, width, height).

    A strip is known to the file by its file name, which may differ in Unicode form, case or suffix
    as long as it is clear. A file that lists some strip without defects
    is taken to list all it knows, so that the truth of others is unknown; one that lists
    defective strips only, as Kaggle's own, says by silence that a strip is normal.

    Raises TruthError as `check_labels`, and for a strip that is not 1600×256 px large.
    """
    names, _ = _names(labels, list(strips["strip_id"]), classes)
    inspected = strips[strips["status"] == "inspected"]
    known: dict[str, Annotation] = {}
    for strip in rows(inspected):
        if strip.strip_id not in names:
            continue
        height = getattr(strip, "height", STRIP_HEIGHT)
        if (strip.width, height) != (STRIP_WIDTH, STRIP_HEIGHT):
            raise TruthError(
                f"{labels.csv}: {strip.strip_id} has {strip.width:.0f}×{height:.0f} px, but labels "
                f"are of strips of {STRIP_WIDTH}×{STRIP_HEIGHT} px; leave it out of the label file"
            )
        known[strip.strip_id] = labels.strips[names[strip.strip_id]]
    normal_by_silence = all(annotation.labels for annotation in labels.strips.values())
    return Truth(known, len(inspected) - len(known), normal_by_silence, labels.sha256)


def check_labels(
    labels: Labels, strip_ids: Sequence[str], classes: Sequence[str]
) -> Mapping[str, str]:
    """The name in the label file of each strip of a batch that it names, by strip_id.

    Raises TruthError if it names none of them, or one that the batch has twice, for names that
    may mean several, and for classes that the model lacks. Says on stderr how names differ.
    """
    names, notes = _names(labels, strip_ids, classes)
    console.notes(labels.csv, notes)
    return names


def _names(
    labels: Labels, strip_ids: Sequence[str], classes: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    of_file: dict[str, list[str]] = {}
    for strip_id in strip_ids:
        of_file.setdefault(PurePosixPath(strip_id).name, []).append(strip_id)
    matched = match_names(labels.strips, of_file)
    for reason in matched.unclear.values():
        raise TruthError(f"{labels.csv}: {reason}")
    names: dict[str, str] = {}
    for name, file in matched.files.items():
        if len(of_file[file]) > 1:
            raise TruthError(
                f"{labels.csv}: {name} stands for two strips of the batch, {of_file[file][0]} and "
                f"{of_file[file][1]}; inspect their folders as two batches"
            )
        names[of_file[file][0]] = name
    if not names:
        raise TruthError(
            f"{labels.csv}: names no strip of the batch, such as {strip_ids[0]}; "
            "give the label file of these strips"
        )
    for name in names.values():
        _check_classes(labels, name, classes)
    return names, matched.notes


def _check_classes(labels: Labels, name: str, classes: Sequence[str]) -> None:
    annotation = labels.strips[name]
    for class_id in annotation.labels:
        if CLASS_NAMES[class_id] not in classes:
            raise TruthError(
                f"{labels.csv}, row {annotation.row}: {CLASS_NAMES[class_id]} is no class of the "
                f"model, which knows {', '.join(classes)}"
            )


def true_column(class_name: str) -> str:
    """The column that counts a class's labelled pixels on the patch."""
    return "true_px_" + probability_column(class_name).removeprefix("p_")


def add_truth(patches: pd.DataFrame, truth: Truth, classes: Sequence[str]) -> pd.DataFrame:
    """Stage: add true_px_<class> per defect class, truth_known and true_class to rows of patches.

    `true_class` is "" where the truth is not known.
    """
    defects = [name for name in classes if name != NORMAL]
    pixels = np.array(
        [_pixels(patch, truth, defects) for patch in rows(patches)], np.int64
    ).reshape(len(patches), len(defects))
    known = (
        np.ones(len(patches), bool)
        if truth.unlisted_is_normal
        else patches["strip_id"].isin(list(truth.strips)).to_numpy()
    )
    shown = pixels.max(axis=1, initial=0) >= MIN_PIXELS
    names = np.array(defects, dtype=object)[pixels.argmax(axis=1)]
    return patches.assign(
        **{true_column(name): pixels[:, i] for i, name in enumerate(defects)},
        truth_known=known,
        true_class=np.where(known, np.where(shown, names, NORMAL), ""),
    )


def _pixels(patch: Any, truth: Truth, defects: Sequence[str]) -> list[int]:
    annotation = truth.strips.get(patch.strip_id)
    if annotation is None:
        return [0] * len(defects)
    labels = {CLASS_NAMES[class_id]: runs for class_id, runs in annotation.labels.items()}
    if patch.size == STRIP_HEIGHT:
        begin, end = patch.left * STRIP_HEIGHT, (patch.left + patch.size) * STRIP_HEIGHT
        return [
            labels[name].pixels_between(begin, end) if name in labels else 0 for name in defects
        ]
    return [int(true_patch(truth, patch, name).sum()) if name in labels else 0 for name in defects]


def true_patch(truth: Truth, patch: Any, class_name: str) -> npt.NDArray[np.bool_]:
    """A class's labelled pixels on a patch (a row of strip_id, left, top, size): (size, size)."""
    down, across = (slice(start, start + patch.size) for start in (patch.top, patch.left))
    return true_mask(truth, patch.strip_id, class_name)[down, across]


def true_mask(truth: Truth, strip_id: str, class_name: str) -> npt.NDArray[np.bool_]:
    """A class's labelled pixels on a strip: (256, 1600) bool; none where it has no label."""
    annotation = truth.strips.get(strip_id)
    class_id = CLASS_NAMES.index(class_name) if class_name in CLASS_NAMES else -1
    if annotation is None or class_id not in annotation.labels:
        return np.zeros((STRIP_HEIGHT, STRIP_WIDTH), bool)
    return render(annotation.labels[class_id], STRIP_HEIGHT, STRIP_WIDTH)
