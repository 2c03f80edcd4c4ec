"""JSON that others may have written, read whole and checked whole before any work begins.

`read_json` gives plain values within bounds of size and depth; `checked` holds them against a
type. Both raise ValueError with one line, "field: what is wrong", to which the caller adds the
file and the cure.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

LARGEST = 64 * 2**20
DEEPEST = 50

_LONGEST_INTEGER = 19
_SHOWN = 40
_WORDS = {
    "dataclass_type": "Input should be an object",
    "unexpected_keyword_argument": "no entry of this name is known",
}
_WITHOUT_VALUE = ("missing", "unexpected_keyword_argument")


def checked(kind: type[T], content: Any) -> T:
    """Plain values as an instance of `kind`, without any conversion between JSON's types.

    Raises ValueError, naming the field.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        reason = _WORDS.get(problem["type"], " ".join(problem["msg"].split()))
        reason = reason.removeprefix("Value error, ")
        value = "" if problem["type"] in _WITHOUT_VALUE else _shown(problem["input"])
        raise ValueError(f"{_where(problem['loc'])}{reason}{value}") from error


def read_json(path: Path, largest: int = LARGEST) -> Any:
    """The content of a JSON file in UTF-8: no name twice, no NaN, nothing beyond 64 bits.

    Raises OSError, and ValueError for all else.
    """
    with path.open("rb") as stream:
        read = stream.read(largest + 1)
    if len(read) > largest:
        raise ValueError(f"larger than {largest // 2**20} MiB")
    try:
        text = read.decode("utf-8-sig")
        content = json.loads(text, object_pairs_hook=_unique, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except RecursionError as error:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    _check_plain(content)
    return content


def _where(parts: Iterable[str | int]) -> str:
    """A place in words, "thresholds, class 1: "; items of lists are counted from 1."""
    path = ""
    for part in parts:
        name = f" {part + 1}" if isinstance(part, int) else f", {_plain(part)}"
        path += name
    return f"{path.lstrip(', ')}: " if path else ""


def _plain(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return ""
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return f", not {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{_plain(twice)}: stands twice")
    return made


def _integer(digits: str) -> int | float:
    # Python refuses to read thousands of digits; a float that is out of range is found later.
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _check_plain(value: Any, place: tuple[str | int, ...] = ()) -> None:
    if len(place) > DEEPEST:
        raise ValueError(f"{_where(place[:1])}nested deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_text(name, place)
            _check_plain(inner, (*place, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_plain(inner, (*place, index))
    elif isinstance(value, str):
        _check_text(value, place)
    elif isinstance(value, int | float):
        too_long = isinstance(value, int) and abs(value) >= 2**63
        if too_long or not math.isfinite(value):
            raise ValueError(f"{_where(place)}not a finite number of 64 bits")


def _check_text(text: str, place: tuple[str | int, ...]) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{_where(place)}half a character (a lone surrogate)") from error
