"""Bounds of size and depth, and one line for what is wrong."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from severstal_prep.checked import checked, parse_yaml, read_json, read_yaml


@dataclass(frozen=True)
class Roll:
    name: str
    widths: list[float]
    worn: bool = False


def bomb(line: str) -> bytes:
    """Nine lines, each of which refers nine times to the one before: 9⁹ values."""
    names = "bcdefghij"
    lines = [
        line.format(name, ", ".join([f"*{before}"] * 9))
        for before, name in zip("abcdefghi", names, strict=True)
    ]
    return "\n".join(["a: &a {x: 1}", *lines]).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON: Expecting value"),
        (b"[1, 2", "not JSON: Expecting ',' delimiter"),
        (b"{} {}", "not JSON: Extra data"),
        (b"\xff\xfe[\x00]\x00", "not UTF-8 at byte 0; save it as UTF-8"),
        (b"[" * 52 + b"]" * 52, "1: nested deeper than 50 levels"),
        (b"[" * 100_000, "nested deeper than 50 levels"),
        (b'{"a": ' * 100_000, "nested deeper than 50 levels"),
        (b'{"a": {"b": [1, 1e400]}}', "a, b 2: not a finite number of 64 bits"),
        (b'{"a": NaN}', "a: not a finite number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a: not a finite number"),
        (b'{"a": 9223372036854775808}', "a: not a finite number"),
        (b'{"a": 1, "a\\n": 2, "a\\n": 3}', r"'a\n': stands twice"),
        (b'{"a": ["\\udfff"]}', "a 1: half a character (a lone surrogate)"),
        (b'{"\\ud800": 1}', "half a character (a lone surrogate)"),
        (b" " * 2_000_000, "larger than 1 MiB"),
    ],
)
def test_json_out_of_bounds_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r".") as refused:
        read_json(path, 2**20)
    assert str(refused.value).startswith(message)
    assert str(refused.value).isprintable()


def test_json_within_bounds_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": [9223372036854775807, 1e308, "\\ud83d\\ude00", null]}')
    assert read_json(path) == {"a": [2**63 - 1, 1e308, "😀", None]}
    path.write_bytes(b"[" * 51 + b"]" * 51)
    assert str(read_json(path)) == "[" * 51 + "]" * 51
    with pytest.raises(IsADirectoryError):
        read_json(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "not readable as YAML (while parsing a flow node"),
        (b"\xff", "not readable as YAML (not UTF-8 at byte 0"),
        (b"[" * 100_000, "not readable as YAML (nested deeper than 50 levels"),
        (b"- " * 100_000, "not readable as YAML (nested deeper than 50 levels"),
        (b"a: &a [*a]", "a: nested deeper than 50 levels"),
        (bomb("{0}: &{0} [{1}]"), "not readable as YAML (more than 100000 values"),
        (bomb("{0}: &{0} {{<<: [{1}]}}"), "not readable as YAML (more than 100000 values"),
        (b"a: 1\nb: {c: 1, c: 2}", "not readable as YAML (c: stands twice)"),
        (b"a: !!python/object/apply:os.system [ls]", "not readable as YAML (could not determine"),
        (b"a: {1: 2}", "a: the name 1 is no text; write it in quotes"),
        (b"a: [2026-01-31]", "a 1: a date is not understood; write it in quotes"),
        (b"a: 2026-13-31", "not readable as YAML (month must be in 1..12"),
        (b"a: .nan", "a: not a finite number"),
        (b"a: -.inf", "a: not a finite number"),
        (b'a: "\\ud800"', "a: half a character"),
    ],
)
def test_yaml_out_of_bounds_is_one_line(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_yaml(content)
    assert str(refused.value).startswith(message)
    assert str(refused.value).isprintable()


def test_yaml_within_bounds_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: &a {x: 1}\nb: {<<: *a, y: [2, *a]}\n")
    assert read_yaml(path) == {"a": {"x": 1}, "b": {"x": 1, "y": [2, {"x": 1}]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"name": "a"}, "widths: Field required"),
        ({"name": "a", "widths": [1, "2"]}, "widths 2: Input should be a valid number, not '2'"),
        ({"name": 1, "widths": [True]}, "name: Input should be a valid string, not 1 (and 1 more)"),
        ({"name": "a", "widths": [], "worn": 1}, "worn: Input should be a valid boolean, not 1"),
        ({"name": "a", "widths": {}}, "widths: Input should be a valid array"),
        ({"name": "x" * 99, "widths": "y" * 99}, f"array, not '{'y' * 39}…"),
        ([], "Input should be an object"),
        (None, "Input should be an object, not null"),
    ],
)
def test_what_does_not_fit_is_one_line_with_the_field(content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        checked(Roll, content)
    assert message in str(refused.value)


def test_what_fits_is_an_instance() -> None:
    assert checked(Roll, {"name": "a", "widths": [1, 2.5]}) == Roll("a", [1.0, 2.5])
