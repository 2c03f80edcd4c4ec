"""Sentences in the language that is spoken (`speaking`).

`say("{name} is open", name=name)` looks the English up in the catalogue and fills in. Texts are
literals, so that a test finds what a catalogue lacks; `word("open")` marks one that a variable
carries to `say`. The scripts of the report's page have the same functions (assets/dom.js).
"""

from markupsafe import Markup

from inspection.words.catalogues import current
from inspection.words.numbers import number


def say(text: str, **values: object) -> str:
    """A sentence, `{name}` in it replaced by values."""
    known = current().words.get(text, text)
    return known.format(**values) if values else known


def say_html(text: str, **values: object) -> Markup:
    """The same with HTML in the text; values are escaped."""
    return Markup(current().words.get(text, text)).format(**values)  # noqa: S704 (our catalogues)


def plural(count: int, one: str, many: str, **values: object) -> str:
    """The sentence for one, or for another number; `{n}` is the number."""
    return say(one if count == 1 else many, n=number(count), **values)


def word(text: str) -> str:
    """The text itself, which is said later."""
    return text
