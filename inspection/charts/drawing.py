"""What a chart is to the page that shows it."""

from dataclasses import dataclass

from markupsafe import Markup

from inspection.words import decimal, say


@dataclass(frozen=True)
class Drawing:
    """A chart. `svg` is safe HTML, `summary` says in a sentence what it shows, `head` and
    `rows` are its numbers as a table, `notes` figures that stand beside them; `name` is unique
    among the charts of a page."""

    name: str
    title: str
    summary: str
    svg: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: str = ""


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 1 as per cent: 0.125 is "12.5 %"; None is "–"."""
    return "–" if share is None else f"{decimal(100 * share, digits)} %"


def listed(names: list[str], most: int = 8) -> str:
    """Names in a row, at most `most`: "a, b and 3 more"."""
    if len(names) <= most:
        return ", ".join(names)
    return say("{names} and {n} more", names=", ".join(names[:most]), n=len(names) - most)


def plain(text: str) -> str:
    """A text on one line: runs of white space are a space, what cannot be printed a "�"."""
    return "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))


def shortened(text: str, most: int) -> str:
    """A text of at most `most` characters, its middle left out: ends of names tell them apart."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"
