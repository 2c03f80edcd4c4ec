"""What is known of a coil: a file beside its strips, `coil.yaml` or `coil.csv`.

It holds for the strips of its folder and of the folders in it, unless these have their own. Two
sides of a coil are two folders whose files name the same coil, or two values in the CSV's column
`side`. docs/coil.md has examples.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from inspection.errors import CoilError
from severstal_prep.checked import LARGEST_YAML, checked, parse_yaml

YAML, CSV = "coil.yaml", "coil.csv"
NAMES = (YAML, CSV)

Side = Literal["", "top", "bottom"]
Direction = Literal["forward", "backward"]


def _text(value: Any) -> Any:
    """A heat or a coil is a name, though it may look like a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_text), Field(max_length=200)]
Metres = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class CoilFile:
    """The entries of a coil.yaml: `width_mm` of the steel; `direction` forward where the left edge
    of a strip's picture is nearer to the coil's head; `metres_per_strip` for strips one after
    another by name, or `strips`, where each begins, m from the head; or `end_to_end`: one after
    another by name, each as long as its pixels say."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    coil: Text
    heat: Text = ""
    grade: Text = ""
    customer: Text = ""
    width_mm: Annotated[float, Field(gt=0)] | None = None
    side: Side = ""
    direction: Direction = "forward"
    shift: Text = ""
    metres_per_strip: Annotated[float, Field(gt=0)] | None = None
    end_to_end: bool = False
    strips: Mapping[str, Metres] = field(default_factory=dict)


@dataclass(frozen=True)
class Coil:
    """A coil's side as a file tells it: the file's path in the batch folder and its SHA-256; what
    the file says, and the strips (strip_id) that it holds for, by name, 2.png before 10.png.
    `starts` are in m from the coil's head, empty where they are not told one by one."""

    file: str
    sha256: str
    told: CoilFile
    strips: tuple[str, ...]
    starts: Mapping[str, float]

    @property
    def name(self) -> str:
        """The coil's name."""
        return self.told.coil


def read_coils(root: Path, files: Iterable[str], strip_ids: Sequence[str]) -> tuple[Coil, ...]:
    """The coils of a batch from its coil files (POSIX paths in `root`), one a file and side.

    Raises CoilError, naming file, row or entry, and the cure.
    """
    nearest = _nearest(files)
    own: dict[str, list[str]] = {file: [] for file in nearest.values()}
    for strip_id in sorted(strip_ids, key=_in_order):
        for folder in PurePosixPath(strip_id).parents:
            if str(folder) in nearest:
                own[nearest[str(folder)]].append(strip_id)
                break
    return tuple(coil for file, strips in own.items() for coil in _read(root, file, strips))


def _in_order(name: str) -> list[tuple[int, str]]:
    """Names as people count: 2.png before 10.png."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts]


def _nearest(files: Iterable[str]) -> dict[str, str]:
    """The coil file of each folder that has one."""
    found: dict[str, str] = {}
    for file in sorted(files):
        folder = str(PurePosixPath(file).parent)
        if folder in found:
            raise CoilError(f"{file}: {found[folder]} is there, too; keep one of them")
        found[folder] = file
    return found


def _read(root: Path, file: str, strips: Sequence[str]) -> list[Coil]:
    try:
        with (root / file).open("rb") as stream:
            content = stream.read(LARGEST_YAML + 1)
    except OSError as error:
        raise CoilError(f"{root / file}: cannot be read ({error.strerror}); check it") from error
    if len(content) > LARGEST_YAML:
        raise CoilError(f"{root / file}: larger than {LARGEST_YAML // 2**20} MiB; is it a coil's?")
    folder, sha256 = PurePosixPath(file).parent, hashlib.sha256(content).hexdigest()
    try:
        told = _from_csv(content) if file.endswith(CSV) else [_from_yaml(content)]
        made = [
            Coil(file, sha256, one, *_placed(one, folder, strips, whole=len(told) == 1))
            for one in told
        ]
        _check_all_named(made, strips)
    except ValueError as error:
        raise CoilError(f"{root / file}: {error}; docs/coil.md has examples") from error
    return made


def _from_yaml(content: bytes) -> CoilFile:
    told = checked(CoilFile, parse_yaml(content))
    ways = [bool(told.strips), told.metres_per_strip is not None, told.end_to_end]
    if sum(ways) > 1:
        raise ValueError("strips, metres_per_strip and end_to_end: give one of them")
    return told


_TEXTS = ("coil", "heat", "grade", "customer", "side", "direction", "shift")
_NUMBERS = ("width_mm", "start_m")


def _from_csv(content: bytes) -> list[CoilFile]:
    """A file a coil and side, from a row a strip."""
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True)
    columns = list(reader.fieldnames or ())
    for name in ("strip", "coil", "start_m"):
        if name not in columns:
            raise ValueError(f"the column {name} is missing")
    unknown = [name for name in columns if name not in ("strip", *_TEXTS, *_NUMBERS)]
    if unknown:
        raise ValueError(
            f"no column {unknown[0]!r} is known; known are strip, {', '.join((*_TEXTS, *_NUMBERS))}"
        )
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for number, row in enumerate(reader, 2):
        where = f"row {number}"
        if None in row or None in row.values():
            raise ValueError(f"{where}: not as many cells as columns; quote cells with commas")
        told: dict[str, Any] = {name: row[name].strip() for name in _TEXTS if row.get(name)}
        if row.get("width_mm"):
            told["width_mm"] = _number(row["width_mm"], f"{where}, width_mm")
        known = groups.setdefault(
            (told.get("coil", ""), told.get("side", "")), told | {"strips": {}}
        )
        for name, value in told.items():
            if known.get(name) != value:
                raise ValueError(f"{where}, {name}: {value!r}, but {known.get(name)!r} above")
        if row["strip"] in known["strips"]:
            raise ValueError(f"{where}: {row['strip']} is there twice")
        known["strips"][row["strip"]] = _number(row["start_m"], f"{where}, start_m")
    if not groups:
        raise ValueError("it has no rows")
    return [checked(CoilFile, told) for told in groups.values()]


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        cure = f"; write {text.replace(',', '.')}" if "," in text else ""
        raise ValueError(f"{where}: {text!r} is no number{cure}")
    return value


def _placed(
    told: CoilFile, folder: PurePosixPath, strips: Sequence[str], whole: bool
) -> tuple[tuple[str, ...], dict[str, float]]:
    """The strips that one coil and side has, and where they begin, as far as it is told."""
    starts = {str(folder / name): start for name, start in told.strips.items()}
    unknown = [name for name in starts if name not in strips]
    if unknown:
        raise ValueError(f"no strip {unknown[0]!r} lies there; mend its name or leave it out")
    own = tuple(strips) if whole and not starts else tuple(n for n in strips if n in starts)
    if told.metres_per_strip is not None:
        starts = {name: place * told.metres_per_strip for place, name in enumerate(own)}
    at = dict[float, str]()
    for name, start in starts.items():
        if start in at:
            raise ValueError(f"{at[start]} and {name} begin at the same place, {start:g} m")
        at[start] = name
    return own, starts


def _check_all_named(coils: Sequence[Coil], strips: Sequence[str]) -> None:
    if not any(coil.told.strips for coil in coils):
        return
    named = {name for coil in coils for name in coil.strips}
    missing = [name for name in strips if name not in named]
    if missing:
        raise ValueError(f"{missing[0]!r} lies there, but is not named; say where it begins")


def facts(coil: Coil) -> dict[str, Any]:
    """What batch.json says of a coil: its facts, but not where each strip lies."""
    left_out = ("strips", "metres_per_strip", "end_to_end")
    told = {one.name: getattr(coil.told, one.name) for one in fields(CoilFile)}
    return {"file": coil.file, "sha256": coil.sha256} | {
        name: value for name, value in told.items() if name not in left_out
    }
