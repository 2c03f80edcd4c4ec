"""The catalogues: a folder per language, whose JSON files lead from our English to its words.

A new language is a new folder, `inspection/words/fr/*.json`; docs/CONTRIBUTING.md says how.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from inspection.errors import LanguageError

ENGLISH = "en"


@dataclass(frozen=True)
class Catalogue:
    """A language, by its code, and its words by ours; what it lacks is said in English."""

    language: str = ENGLISH
    words: Mapping[str, str] = field(default_factory=dict)


_CURRENT: ContextVar[Catalogue] = ContextVar("catalogue", default=Catalogue())  # noqa: B039 (frozen)


def languages() -> tuple[str, ...]:
    """Codes of the languages there are, English first."""
    folders = (entry.name for entry in files("inspection.words").iterdir() if entry.is_dir())
    return (ENGLISH, *sorted(name for name in folders if len(name) == 2))


@cache
def catalogue(code: str) -> Catalogue:
    """The catalogue of a language. Raises LanguageError, naming those there are."""
    if code not in languages():
        raise LanguageError(f"--language {code}: there are {', '.join(languages())}")
    if code == ENGLISH:
        return Catalogue()
    words = dict[str, str]()
    for file in sorted(files("inspection.words").joinpath(code).iterdir(), key=str):
        words |= json.loads(file.read_text("utf-8"))
    return Catalogue(code, words)


def current() -> Catalogue:
    """The catalogue of the language that is spoken."""
    return _CURRENT.get()


def language() -> str:
    """The code of the language that is spoken."""
    return current().language


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Within, pages speak this language. Raises LanguageError, naming those there are."""
    token = _CURRENT.set(catalogue(code))
    try:
        yield
    finally:
        _CURRENT.reset(token)
