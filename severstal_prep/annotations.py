"""The label file: which strip shows which class where, in either of Kaggle's layouts.

`ImageId,ClassId,EncodedPixels` lists labelled strips only. The older
`ImageId_ClassId,EncodedPixels` has a row for every strip and class, empty where there is
nothing. Rows are numbered as in a spreadsheet: the heading is row 1.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

import pandas as pd

from severstal_prep.errors import AnnotationError, RleError
from severstal_prep.patches import PATCH, STRIP_WIDTH
from severstal_prep.rle import Runs, parse

DEFECT_CLASSES = (1, 2, 3, 4)
LAYOUTS = (["ImageId", "ClassId", "EncodedPixels"], ["ImageId_ClassId", "EncodedPixels"])

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
    """All usable strips of a label file by image name, and what had to be left out."""

    strips: Mapping[str, Annotation]
    rejections: tuple[Rejection, ...]


def read_annotations(csv: Path, on_error: OnError = "stop") -> Annotations:
    """Read and check a label file of 1600x256 px strips.

    A row that cannot be used raises AnnotationError ("FILE, row N: what: cure") under "stop".
    Under "quarantine" it becomes a rejection, and its strip is left out with all its rows: a
    strip with one bad label must pass neither for normal nor for one of a single class.
    A file that is missing, empty or has other columns raises AnnotationError in any case.
    """
    strips: dict[str, dict[int, Runs]] = {}
    first_rows: dict[tuple[str, int | None], int] = {}
    rejections: list[Rejection] = []
    for row, image, class_text, text in _rows(csv):
        try:
            _check_image_name(image)
            first_rows.setdefault((image, None), row)
            class_id = _class_id(class_text)
            earlier = first_rows.setdefault((image, class_id), row)
            if earlier != row:
                raise AnnotationError(
                    f"{image} has class {class_id} in row {earlier} already: "
                    "merge the two rows or drop one"
                )
            runs = parse(text, PATCH, STRIP_WIDTH)
        except (AnnotationError, RleError) as error:
            rejections.append(Rejection(row, image, class_text, str(error)))
            if on_error == "stop":
                stop(csv, rejections)
            continue
        labels = strips.setdefault(image, {})
        if runs.starts.size:
            labels[class_id] = runs
    rejected = {rejection.image for rejection in rejections}
    return Annotations(
        {
            image: Annotation(image, first_rows[image, None], labels)
            for image, labels in strips.items()
            if image not in rejected
        },
        tuple(rejections),
    )


def stop(csv: Path, rejections: Iterable[Rejection]) -> None:
    """Raise the first of the rejections, if there is one, as AnnotationError."""
    for rejection in rejections:
        place = f"{csv}, row {rejection.row}: " if rejection.row is not None else ""
        raise AnnotationError(
            f"{place}{rejection.reason} (--on-error quarantine lists all problems and goes on)"
        )


def _rows(csv: Path) -> Iterable[tuple[int, str, str, str]]:
    """Yield row number, image name, class and run lengths, as text."""
    table = _read_table(csv)
    numbers = range(2, len(table) + 2)
    if len(table.columns) == 3:
        images, classes, texts = (table[column] for column in table.columns)
    else:
        both, texts = (table[column] for column in table.columns)
        parts = [text.rpartition("_") for text in both]
        images, classes = (pd.Series([part[i] for part in parts], dtype=str) for i in (0, 2))
    return zip(numbers, images, classes, texts, strict=True)


def _read_table(csv: Path) -> pd.DataFrame:
    layouts = " or ".join(",".join(layout) for layout in LAYOUTS)
    try:
        table = pd.read_csv(
            csv, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except FileNotFoundError as error:
        raise AnnotationError(f"{csv}: there is no such file") from error
    except IsADirectoryError as error:
        raise AnnotationError(f"{csv}: a folder; name the CSV file in it") from error
    except pd.errors.EmptyDataError as error:
        raise AnnotationError(f"{csv}: the file is empty; it should have {layouts}") from error
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise AnnotationError(f"{csv}: not a CSV file of {layouts} ({reason})") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first field for an index
        raise AnnotationError(f"{csv}: rows have more fields than the heading, {layouts}")
    if list(table.columns) not in LAYOUTS:
        found = ",".join(map(str, table.columns))[:80]
        raise AnnotationError(f"{csv}, row 1: columns {found}: they should be {layouts}")
    if table.empty:
        raise AnnotationError(f"{csv}: no row below the heading; there is nothing to recast")
    return table


def _check_image_name(image: str) -> None:
    if not image:
        raise AnnotationError("the row names no image: fill in the row or drop it")
    plain = PurePosixPath(image).name == image == PureWindowsPath(image).name
    if image == ".." or not plain or not image.isprintable():
        raise AnnotationError(
            f"image {image!r} is not a plain file name: "
            "name a file in the image folder, without a path"
        )


def _class_id(text: str) -> int:
    if text not in map(str, DEFECT_CLASSES):
        raise AnnotationError(f"class {text!r}: the classes are 1, 2, 3 and 4")
    return int(text)
