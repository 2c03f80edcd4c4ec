"""Decisions as they come in, from a file or a request, and the file's format.

A decision file is JSON (docs/review.md has it field by field):

    {"format": "steel-sise decisions 1",
     "batch": {"name": "coil 7", "fingerprint": "39cc…"},
     "decisions": [{"id": "6f0c…", "kind": "reclass", "strip": "a.jpg", "left": 224,
                    "class": "class 3", "reviewer": "…", "time": "2026-11-23T06:00:00Z",
                    "reason": "…", "in_view_of": []}]}
"""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from inspection.pipeline.policy import Disposition
from inspection.review.errors import DecisionError
from severstal_prep import checked
from severstal_prep.checked import read_json

FORMAT = "steel-sise decisions 1"
_TEXT_CONTROLS = frozenset("\n\t")


def _one_line(text: str) -> str:
    """Refuse what no database keeps or no line shows: control characters, lone surrogates."""
    if not text.isprintable():
        raise ValueError("control characters are not allowed")
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _text(text: str) -> str:
    if not all(character.isprintable() or character in _TEXT_CONTROLS for character in text):
        raise ValueError("control characters are not allowed, but for line ends and tabs")
    return text


def _storable(text: str) -> str:
    """Refuse what no database keeps: NUL, and lone surrogates. Names of files may have the rest."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds what is no text (NUL, or half a character)")
    return text


def _on_record(moment: datetime) -> datetime:
    """Refuse what cannot be kept in UTC, and shown in any zone."""
    if not 1970 <= moment.year <= 9998:
        raise ValueError("must lie between the years 1970 and 9998")
    return moment


Name = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]
Reason = Annotated[str, Field(max_length=2000), AfterValidator(_text)]
Stored = Annotated[str, Field(max_length=4096), AfterValidator(_storable)]
Moment = Annotated[AwareDatetime, AfterValidator(_on_record)]
Left = Annotated[int, Field(ge=0, lt=2**31, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Entry(_Strict):
    """What every decision has. `id` is made by the client, so that sending it again adds
    nothing; `in_view_of` names the decisions on the same subject that were in sight and that
    this one replaces."""

    id: UUID
    strip: Stored
    reviewer: Name
    time: Moment
    reason: Reason = ""
    in_view_of: Annotated[tuple[UUID, ...], Field(max_length=1000)] = ()


class Verdict(_Entry):
    """The model's class on a patch is right (confirm), or there is no defect (reject)."""

    kind: Literal["confirm", "reject"]
    left: Left


class Reclass(_Entry):
    """A patch shows a defect of another class."""

    kind: Literal["reclass"]
    left: Left
    class_name: Stored = Field(alias="class")


class Disposal(_Entry):
    """What becomes of a strip."""

    kind: Literal["disposition"]
    disposition: Disposition


class Undo(_Entry):
    """A decision, on the strip or on its patch at `left`, is withdrawn."""

    kind: Literal["undo"]
    left: Left | None = None
    undoes: UUID


Entry = Annotated[Verdict | Reclass | Disposal | Undo, Field(discriminator="kind")]
ENTRY: TypeAdapter[Verdict | Reclass | Disposal | Undo] = TypeAdapter(Entry)


class BatchName(_Strict):
    """Which batch: `fingerprint` of its batch.json decides, `name` is for people."""

    name: Stored
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class DecisionFile(_Strict):
    """Decisions on one batch, in the order in which they were made."""

    format: Literal["steel-sise decisions 1"]
    batch: BatchName
    decisions: tuple[Entry, ...]


def read_decisions(path: Path) -> DecisionFile:
    """Read a decision file. Raises DecisionError, naming the file, the entry and the cure."""
    try:
        content = read_json(path)
        if not isinstance(content, dict) or not str(content.get("format")).startswith(_OURS):
            raise DecisionError(f"{path}: {_NOT_OURS}")
        return DecisionFile.model_validate_json(json.dumps(content))
    except IsADirectoryError as error:
        raise DecisionError(f"{path}: a folder; {_TAKES}") from error
    except OSError as error:
        raise DecisionError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValidationError as error:
        raise DecisionError(f"{path}: {first_problem(error)}") from error
    except ValueError as error:
        raise DecisionError(f"{path}: {_numbered(str(error))}; {_CURE}") from error


def first_problem(error: ValidationError) -> str:
    """The first thing wrong with an input, and where, in one line."""
    return f"{_numbered(checked.first_problem(error, _KINDS))}; {_CURE}"


_TAKES = "import takes the file that a report's page wrote by Export decisions"
_OURS = "steel-sise decisions"
_NOT_OURS = f"no file of decisions; {_TAKES}"
_CURE = "export the decisions again, or mend this entry"
_KINDS = frozenset(("confirm", "reject", "reclass", "disposition", "undo"))
"""Pydantic puts the entry's kind between its number and the field."""


def _numbered(problem: str) -> str:
    return re.sub(r"^decisions (?=\d)", "decision ", problem)
