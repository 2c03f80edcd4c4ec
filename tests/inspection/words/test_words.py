"""Every text that a page says is in every catalogue, and every entry of a catalogue is said."""

import ast
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes
from markupsafe import Markup

from inspection.errors import LanguageError
from inspection.words import (
    catalogue,
    decimal,
    languages,
    moment,
    number,
    percent,
    plural,
    say,
    say_html,
    speaking,
)

CODE = Path(__file__).parents[3] / "inspection"
# Which arguments of a function are texts.
TEXTS = {"say": (0,), "say_html": (0,), "plural": (1, 2), "word": (0,)}
SCRIPT_CALL = re.compile(
    r"""\b(?:(?:say|word)\(|plural\([^"`]*?,\s*"(?P<one>(?:[^"\\]|\\.)*)",)\s*"(?P<text>(?:[^"\\]|\\.)*)\""""
)
OTHERS = [code for code in languages() if code != "en"]


def in_python(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for place in TEXTS.get(node.func.id, ()):
                if place < len(node.args) and isinstance(text := node.args[place], ast.Constant):
                    yield str(text.value)


def in_template(path: Path) -> Iterator[str]:
    for call in (
        jinja2.Environment(autoescape=True).parse(path.read_text("utf-8")).find_all(nodes.Call)
    ):
        if isinstance(call.node, nodes.Name):
            for place in TEXTS.get(call.node.name, ()):
                if isinstance(text := call.args[place], nodes.Const):
                    yield str(text.value)


def in_script(path: Path) -> Iterator[str]:
    for found in SCRIPT_CALL.finditer(path.read_text("utf-8")):
        yield from (json.loads(f'"{text}"') for text in found.groups() if text is not None)


def said() -> set[str]:
    """All texts of pages: those of numbers.py are names of months."""
    texts = {f"{datetime(2026, month, 1):%B}" for month in range(1, 13)}
    texts.add("{day} {month} {year}, {clock} UTC")
    for path in CODE.rglob("*.py"):
        texts |= set(in_python(path))
    for path in CODE.rglob("*.j2"):
        texts |= set(in_template(path))
    for path in CODE.glob("report/assets/*.js"):
        texts |= set(in_script(path))
    return texts


@pytest.mark.parametrize("code", OTHERS)
def test_a_catalogue_has_what_is_said_and_nothing_else(code: str) -> None:
    words = catalogue(code).words
    assert sorted(said() - words.keys()) == []
    assert sorted(words.keys() - said()) == []


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_has_the_values_of_its_text_and_its_tags(code: str) -> None:
    parts = re.compile(r"\{\w+\}|</?\w+[^>]*>")
    for text, translated in catalogue(code).words.items():
        assert sorted(parts.findall(translated)) == sorted(parts.findall(text)), text


@pytest.mark.parametrize("code", OTHERS)
def test_no_text_stands_in_two_parts_of_a_catalogue(code: str) -> None:
    seen = set[str]()
    for path in sorted((CODE / "words" / code).glob("*.json")):
        own = json.loads(path.read_text("utf-8"), object_pairs_hook=list)
        assert not seen & {text for text, _ in own}
        assert len(own) == len({text for text, _ in own})
        seen |= {text for text, _ in own}


def test_texts_are_found_in_python_templates_and_scripts(tmp_path: Path) -> None:
    files = {
        "a.py": 'say("a" "b", n=1)\nplural(2, "one", "many")\nx = word("w")\nsay(x)\n',
        "a.j2": '{{ say("t") }}{% if x %}{{ plural(n, "p", "q", k=say_html("h<b>")) }}{% endif %}',
        "a.js": 'say("s \\"x\\"", {}); plural(list.length, "i", "j"); word("k"); say(`no`);',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert set(in_python(tmp_path / "a.py")) == {"ab", "one", "many", "w"}
    assert set(in_template(tmp_path / "a.j2")) == {"t", "p", "q", "h<b>"}
    assert set(in_script(tmp_path / "a.js")) == {'s "x"', "i", "j", "k"}


def test_english_needs_no_catalogue_and_german_writes_a_comma() -> None:
    time = datetime(2026, 3, 5, 7, 9, tzinfo=UTC)
    assert (say("{a} left", a=1), plural(1, "{n} strip", "{n} strips")) == ("1 left", "1 strip")
    assert plural(12345, "{n} strip", "{n} strips") == "12\u202f345 strips"
    assert (decimal(0.5, 2), percent(0.125, 1), number(1000)) == (
        "0.50",
        "12.5\u202f%",
        "1\u202f000",
    )
    assert moment(time) == "5 March 2026, 07:09 UTC"
    with speaking("de"):
        assert (decimal(0.5, 2), percent(0.125, 1)) == ("0,50", "12,5\u202f%")
        assert moment(time) == "5. März 2026, 07:09 UTC"
        assert plural(2, "{n} strip", "{n} strips") == "2 Streifen"
    assert decimal(0.5, 1) == "0.5"


def test_values_in_html_are_escaped() -> None:
    assert say_html("<b>{name}</b> left", name="<i>") == Markup("<b>&lt;i&gt;</b> left")


def test_an_unknown_language_is_told_with_those_there_are() -> None:
    with pytest.raises(LanguageError, match=r"^--language fr: there are en, de$"):
        catalogue("fr")
