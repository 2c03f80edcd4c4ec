"""The label file: which strip shows which class where, in either of Kaggle's layouts.

`ImageId,ClassId,EncodedPixels` lists labelled strips only. The older
`ImageId_ClassId,EncodedPixels` has a row for every strip and class, empty where there is
nothing. Rows are numbered as in a spreadsheet: the heading is row 1.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

import numpy as np

from severstal_prep.errors import AnnotationError, RleError
from severstal_prep.label_table import Row, read_label_table
from severstal_prep.rle import Runs, parse
from severstal_prep.training_crops import STRIP_HEIGHT, STRIP_WIDTH

DEFECT_CLASSES = (1, 2, 3, 4)
NO_MASK = frozenset({"", "-1", "-1.0", "0", "0.0", "nan", "none", "null", "na", "n/a", "<na>", "-"})
"""What programs write for a row without a mask, in small letters."""
NO_CLASS = NO_MASK
CUT_OFF = (32_766, 32_767)
"""Where spreadsheets cut a cell off, and the same without a space at the cut."""

_CLASS = re.compile(r"0*([1-9])(\.0*)?", re.ASCII)
_POINT_ZERO = re.compile(r"(?<=\d)\.0(?!\S)", re.ASCII)

OnError = Literal["stop", "quarantine"]


@dataclass(frozen=True)
class Rejection:
    """Why an image cannot be used; `row` is None for an image that the label file omits."""

    row: int | None
    image: str
    class_id: str
    reason: str


@dataclass(frozen=True)
class Annotation:
    """A strip as the label file lists it: its first row, and per class the labelled runs.

    `labels` is empty for a strip that is listed without any defect.
    """

    image: str
    row: int
    labels: Mapping[int, Runs]


@dataclass(frozen=True)
class Annotations:
    """All usable strips of a label file by image name, what had to be left out, and notes on
    what was understood that Kaggle would have written otherwise."""

    strips: Mapping[str, Annotation]
    rejections: tuple[Rejection, ...]
    notes: tuple[str, ...] = ()


@dataclass
class _Strip:
    """What the rows so far say of an image: its first row and how that names it, the row that
    says "no defect", the rows of each class, and its runs there."""

    row: int
    named: str
    free: int | None = None
    rows: dict[int, int] = field(default_factory=dict)
    labels: dict[int, Runs] = field(default_factory=dict)


@dataclass
class _Understood:
    """How many rows had something that had to be understood."""

    folders: int = 0
    blobs: int = 0
    twice: int = 0

    def notes(self) -> list[str]:
        said = {
            "rows that name the image with its folder, which is left out": self.folders,
            "rows that add to the mask that an earlier row gives a class": self.blobs,
            "rows that repeat an earlier one": self.twice,
        }
        return [f"{what}: {count}" for what, count in said.items() if count]


def read_annotations(csv: Path, on_error: OnError = "stop") -> Annotations:
    """Read and check a label file of 1600x256 px strips.

    Rows of one class are one mask, as long as they do not overlap. A row of no class, or of
    class 0, without a mask says that the strip has no defect.

    A row that cannot be used raises AnnotationError ("FILE, row N: what: cure") under "stop".
    Under "quarantine" it becomes a rejection, and its strip is left out with all its rows: a
    strip with one bad label must pass neither for normal nor for one of a single class.
    A file that cannot be read as a table raises AnnotationError in any case.
    """
    table = read_label_table(csv)
    strips: dict[str, _Strip] = {}
    rejections: list[Rejection] = []
    understood = _Understood()
    for row in table.rows:
        try:
            _add(row, strips, understood)
        except (AnnotationError, RleError) as error:
            name = PureWindowsPath(row.image).name or row.image
            rejections.append(Rejection(row.number, name, row.class_id, str(error)))
            if on_error == "stop":
                stop(csv, rejections)
    rejected = {rejection.image for rejection in rejections}
    return Annotations(
        {
            image: Annotation(image, strip.row, strip.labels)
            for image, strip in strips.items()
            if image not in rejected
        },
        tuple(rejections),
        (*table.notes, *understood.notes()),
    )


def _add(row: Row, strips: dict[str, _Strip], understood: _Understood) -> None:
    """Add a row to what is known of its strip; raises AnnotationError or RleError."""
    image = _image_name(row.image)
    if row.problem:
        raise AnnotationError(row.problem)
    strip = strips.get(image) or _Strip(row.number, row.image)
    if strip.named != row.image:
        raise AnnotationError(
            f"{row.image!r} and {strip.named!r} in row {strip.row} may be two images: "
            "write the name alone if they are one, or rename one of them"
        )
    runs = _runs(row)
    class_id = _class_id(row.class_id, runs)
    if class_id is None:
        if strip.rows:
            raise AnnotationError(
                f"the row says that {image} has no defect, row {min(strip.rows.values())} has "
                "one: drop the row that is wrong"
            )
        strip.free = row.number
    else:
        _add_class(strip, image, class_id, runs, row.number, understood)
    understood.folders += image != row.image
    strips[image] = strip


def _add_class(
    strip: _Strip, image: str, class_id: int, runs: Runs, row: int, understood: _Understood
) -> None:
    if strip.free is not None:
        raise AnnotationError(
            f"the row gives {image} a class, row {strip.free} says that it has no defect: "
            "drop the row that is wrong"
        )
    earlier = strip.rows.setdefault(class_id, row)
    if earlier == row:
        if runs.starts.size:
            strip.labels[class_id] = runs
        return
    known = strip.labels.get(class_id, Runs(runs.starts[:0], runs.lengths[:0]))
    if np.array_equal(known.starts, runs.starts) and np.array_equal(known.lengths, runs.lengths):
        understood.twice += 1
        return
    if not known.starts.size or not runs.starts.size:
        raise AnnotationError(
            f"{image} has class {class_id} in row {earlier} already, once with a mask and once "
            "without: drop the row that is wrong"
        )
    starts = np.concatenate([known.starts, runs.starts])
    order = np.argsort(starts, kind="stable")
    both = Runs(starts[order], np.concatenate([known.lengths, runs.lengths])[order])
    if ((both.starts + both.lengths)[:-1] > both.starts[1:]).any():
        raise AnnotationError(
            f"{image} has class {class_id} in row {earlier} already, and the masks overlap: "
            "merge the two rows or drop one"
        )
    strip.labels[class_id] = both
    understood.blobs += 1


def stop(csv: Path, rejections: Iterable[Rejection]) -> None:
    """Raise the first of the rejections, if there is one, as AnnotationError."""
    for rejection in rejections:
        place = f"{csv}, row {rejection.row}: " if rejection.row is not None else ""
        raise AnnotationError(
            f"{place}{rejection.reason} (--on-error quarantine lists all problems and goes on)"
        )


def _image_name(text: str) -> str:
    """The file name of an image that may be named with its folder."""
    if not text:
        raise AnnotationError("the row names no image: fill in the row or drop it")
    parts = PureWindowsPath(text).parts
    away = PurePosixPath(text).anchor or PureWindowsPath(text).anchor or ".." in parts
    if away or not parts or text.endswith(("/", "\\")) or not text.isprintable():
        raise AnnotationError(
            f"image {text!r} is not a plain file name: "
            "name a file in the image folder, without a path"
        )
    return parts[-1]


def _runs(row: Row) -> Runs:
    text = row.runs.strip()
    if len(text) < 9 and text.lower() in NO_MASK:
        text = ""
    if "." in text:
        text = _POINT_ZERO.sub("", text)
    if len(row.runs) in CUT_OFF:
        raise AnnotationError(
            f"EncodedPixels has {len(row.runs):,} characters, and spreadsheets cut a cell off "
            "there: take the row from the original file, or split it in two if it is whole"
        )
    return parse(text, STRIP_HEIGHT, STRIP_WIDTH)


def _class_id(text: str, runs: Runs) -> int | None:
    """The class, or None in a row that says that there is no defect."""
    number = _CLASS.fullmatch(text)
    if number and int(number[1]) in DEFECT_CLASSES:
        return int(number[1])
    if text.lower() not in NO_CLASS:
        raise AnnotationError(f"class {text!r}: the classes are 1, 2, 3 and 4")
    if runs.starts.size:
        raise AnnotationError(
            f"class {text!r} has a mask: the classes are 1, 2, 3 and 4; a row of no class has none"
        )
    return None
