"""Files that others may have written, read whole and checked whole before any work begins.

`read_json` and `read_yaml` give plain values within bounds of size and depth; `checked` holds
them against a type. Each raises ValueError with one line, "field: what is wrong", to which the
caller adds the file and the cure.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

LARGEST = 64 * 2**20
LARGEST_YAML = 2**20
DEEPEST = 50
MOST_NODES = 100_000
"""Of a YAML file, a node counted as often as it is referred to."""

_LONGEST_INTEGER = 19
_SHOWN = 40
_WORDS = {
    "dataclass_type": "Input should be an object",
    "unexpected_keyword_argument": "no entry of this name is known",
}
_WITHOUT_VALUE = ("missing", "unexpected_keyword_argument", "extra_forbidden")


def checked(kind: type[T], content: Any) -> T:
    """Plain values as an instance of `kind`, without any conversion between JSON's types.

    Raises ValueError, naming the field.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


def first_problem(error: ValidationError, tags: Collection[str] = ()) -> str:
    """The first thing wrong with an input, and where, in a line; `tags` of unions are no place."""
    problem = error.errors(include_url=False, include_context=False)[0]
    parts = problem["loc"]
    # Pydantic puts a tag after the place of what it tells the kind of, where a field may follow.
    tagged = [i for i, part in enumerate(parts) if part in tags and isinstance(parts[i - 1], int)]
    place = where(
        part for i, part in enumerate(parts) if i not in tagged and (i or part not in tags)
    )
    reason = _WORDS.get(problem["type"], " ".join(problem["msg"].split()))
    reason = reason.removeprefix("Value error, ")
    value = "" if problem["type"] in _WITHOUT_VALUE else _shown(problem["input"])
    more = error.error_count() - 1
    return f"{place}{reason}{value}{f' (and {more} more)' if more else ''}"


def where(parts: Iterable[str | int]) -> str:
    """A place in words, "rules 2, name: ", with list items counted from 1; "" for the whole."""
    path = ""
    for part in parts:
        path += (
            f" {part + 1}" if isinstance(part, int) else f", {plain(part)}" if path else plain(part)
        )
    return f"{path.lstrip()}: " if path else ""


def plain(text: str) -> str:
    """The text, or its escaped form where a line cannot show it."""
    return text if text.isprintable() else repr(text)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return ""
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return f", not {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}"


def read_json(path: Path, largest: int = LARGEST) -> Any:
    """The content of a JSON file in UTF-8: no name twice, no NaN, nothing beyond 64 bits.

    Raises OSError, and ValueError for all else.
    """
    try:
        content = json.loads(
            _read_text(path, largest), object_pairs_hook=_unique, parse_int=_integer
        )
    except RecursionError as error:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    _check_plain(content)
    return content


def read_yaml(path: Path, largest: int = LARGEST_YAML) -> Any:
    """The same for a YAML file, of which only what JSON has too is taken."""
    return parse_yaml(_read(path, largest))


def parse_yaml(content: bytes) -> Any:
    """Parse YAML. Raises ValueError."""
    try:
        loaded = yaml.load(_decoded(content), _Loader)  # noqa: S506 a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"not readable as YAML ({' '.join(str(error).split())})") from error
    _check_plain(loaded)
    return loaded


def _read_text(path: Path, largest: int) -> str:
    return _decoded(_read(path, largest))


def _read(path: Path, largest: int) -> bytes:
    with path.open("rb") as stream:
        content = stream.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"larger than {largest // 2**20} MiB")
    return content


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}; save it as UTF-8") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_unique([name for name, _ in pairs])
    return dict(pairs)


def _check_unique(names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice, _ = Counter(names).most_common(1)[0]
        raise ValueError(f"{plain(twice)}: stands twice")


def _integer(digits: str) -> int | float:
    # Python refuses to read thousands of digits; a float that is out of range is found later.
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _check_plain(value: Any, place: tuple[str | int, ...] = ()) -> None:
    if len(place) > DEEPEST:
        raise ValueError(f"{where(place[:1])}nested deeper than {DEEPEST} levels")
    match value:
        case dict():
            for name, inner in value.items():
                if not isinstance(name, str):
                    raise ValueError(
                        f"{where(place)}the name {name} is no text; write it in quotes"
                    )
                _check_text(name, place)
                _check_plain(inner, (*place, name))
        case list():
            for index, inner in enumerate(value):
                _check_plain(inner, (*place, index))
        case str():
            _check_text(value, place)
        case bool() | None:
            pass
        case int() | float():
            too_long = isinstance(value, int) and abs(value) >= 2**63
            if too_long or not math.isfinite(value):
                raise ValueError(f"{where(place)}not a finite number of 64 bits")
        case _:
            kind = type(value).__name__
            raise ValueError(f"{where(place)}a {kind} is not understood; write it in quotes")


def _check_text(text: str, place: tuple[str | int, ...]) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{where(place)}half a character (a lone surrogate)") from error


class _Loader(yaml.SafeLoader):
    """Without what makes a small file large (aliases of aliases), deep or ambiguous."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.depth = 0
        self.sizes = dict[int, int]()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        size = 1 + sum(self.sizes.get(id(part), MOST_NODES) for part in inner)
        if size > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES} values, counting what is referred to by *")
        self.sizes[id(node)] = size
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        _check_unique([name for name in names if name != "<<"])
        return super().construct_mapping(node, deep)
