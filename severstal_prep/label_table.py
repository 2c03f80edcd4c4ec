"""The rows of a label file, whatever program wrote it: separator, encoding, order of columns.

What is unambiguous is read, and a note says what was understood. Rows are numbered as in a
spreadsheet: the first line is row 1.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from severstal_prep.errors import AnnotationError

LAYOUTS = (("ImageId", "ClassId", "EncodedPixels"), ("ImageId_ClassId", "EncodedPixels"))
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}

_IN_WORDS = " or ".join(",".join(layout) for layout in LAYOUTS)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8", ""),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_LONGEST = 2**31 - 1


@dataclass(frozen=True)
class Row:
    """A row's number and its texts; `problem` says why they cannot be used, or is ""."""

    number: int
    image: str
    class_id: str
    runs: str
    problem: str = ""


@dataclass(frozen=True)
class LabelTable:
    """The rows that are not blank, and what had to be understood to read them."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def read_label_table(path: Path) -> LabelTable:
    """Read a label file in either layout; see the module on what may differ from Kaggle's.

    Raises AnnotationError for a file that is missing, empty, no text, has other columns or
    rows of more fields than the heading.
    """
    text, notes = _text(path)
    table = [(number, fields) for number, fields in _records(path, text) if any(fields)]
    if not table:
        raise AnnotationError(f"{path}: the file is empty; it should have {_IN_WORDS}")
    (first, heading), rows = table[0], table[1:]
    if heading[0].lower().startswith("sep=") and rows:
        (first, heading), rows = rows[0], rows[1:]
    separator = _separator(text)
    if separator != ",":
        notes.append(f"its columns are separated by {SEPARATORS[separator]}")
    places, others = _places(path, first, heading)
    if others:
        notes.append(f"passed over: column {', '.join(others)}")
    if not rows:
        raise AnnotationError(f"{path}: no row below the heading; there is nothing to recast")
    blank = rows[-1][0] - first - len(rows)
    if blank:
        notes.append(f"passed over: {blank} blank {'row' if blank == 1 else 'rows'}")
    return LabelTable(
        tuple(_row(path, number, fields, heading, places) for number, fields in rows), tuple(notes)
    )


def _text(path: Path) -> tuple[str, list[str]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise AnnotationError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise AnnotationError(f"{path}: a folder; name the CSV file in it") from error
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be opened ({error.strerror})") from error
    text, note = _decoded(path, content)
    if "\0" in text:
        raise AnnotationError(f"{path}: not a CSV file of {_IN_WORDS} (it holds zero bytes)")
    return text, [f"read as {note}"] if note else []


def _decoded(path: Path, content: bytes) -> tuple[str, str]:
    """The text, and the encoding's name if it is not UTF-8."""
    try:
        for mark, encoding, name in _BOMS:
            if content.startswith(mark):
                return content[len(mark) :].decode(encoding), name
        if b"\0" in content[:2]:
            return content.decode("utf-16-be" if content[0] == 0 else "utf-16-le"), "UTF-16"
        return content.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        if b"\0" in content:
            raise AnnotationError(f"{path}: not a CSV file of {_IN_WORDS} ({error})") from error
        return content.decode("latin-1"), "Latin-1, as it is not UTF-8"


def _separator(text: str) -> str:
    """The separator of the heading: the one that is in it most."""
    lines = (line for line in io.StringIO(text) if line.strip())
    heading = next(lines, "")
    if heading.lower().startswith("sep=") and heading[4:5] in SEPARATORS:
        return heading[4]
    return max(SEPARATORS, key=heading.count)


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    limit = csv.field_size_limit(_LONGEST)
    number = 0
    try:
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=_separator(text),
            skipinitialspace=True,
        )
        for number, fields in enumerate(reader, 1):
            if any("\n" in field or "\r" in field for field in fields):
                raise AnnotationError(
                    f"{path}, row {number}: a field goes on in the next line: close its quotes"
                )
            yield number, [] if all(map(_blank, fields)) else fields
    except csv.Error as error:
        raise AnnotationError(
            f"{path}, row {number + 1}: not a CSV file of {_IN_WORDS} ({error})"
        ) from error
    finally:
        csv.field_size_limit(limit)


def _blank(field: str) -> bool:
    return not field or field.isspace()


def _plain(column: str) -> str:
    return "".join(filter(str.isalnum, column)).lower()


def _places(path: Path, row: int, heading: Sequence[str]) -> tuple[list[int], list[str]]:
    """Where the columns of the layout are, and the names of the others."""
    names = [_plain(name) for name in heading]
    layouts = [layout for layout in LAYOUTS if all(_plain(name) in names for name in layout)]
    columns = ",".join(heading)[:80]
    if not layouts:
        raise AnnotationError(f"{path}, row {row}: columns {columns}: they should be {_IN_WORDS}")
    twice = [name for name in layouts[0] if names.count(_plain(name)) > 1]
    if len(layouts) > 1 or twice:
        raise AnnotationError(
            f"{path}, row {row}: columns {columns}: "
            + (f"{twice[0]} is there twice" if twice else "these are both layouts at once")
            + f"; leave {_IN_WORDS}"
        )
    places = [names.index(_plain(name)) for name in layouts[0]]
    others = [name.strip() or "without a name" for i, name in enumerate(heading) if i not in places]
    return places, [name for name in others if any(map(str.strip, heading))]


def _row(
    path: Path, number: int, fields: list[str], heading: Sequence[str], places: Sequence[int]
) -> Row:
    if not all(map(_blank, fields[len(heading) :])):
        raise AnnotationError(
            f"{path}, row {number}: more fields than the heading ({len(fields)}, not "
            f"{len(heading)}): write quotes around a field that holds the separator"
        )
    problem = ""
    if len(fields) < len(heading):
        problem = (
            f"the row has {len(fields)} fields, the heading {len(heading)}: "
            "the line was cut off; take it from the original file"
        )
        fields = fields + [""] * (len(heading) - len(fields))
    cells = [fields[place] for place in places]
    if len(cells) == 3:
        image, class_id = cells[0].strip(), cells[1].strip()
    else:
        image, _, class_id = cells[0].strip().rpartition("_")
    return Row(number, image, class_id, cells[-1], problem)
