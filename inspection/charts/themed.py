"""Matplotlib's SVG made fit for a page: themed, anonymous, and free of styles.

Kept are known elements with known attributes; everything else is left out, so that what a later
matplotlib adds does no harm.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup

THEME = {
    "#ffffff": "card", "#17212b": "ink", "#55626e": "muted", "#dce1e6": "line",
    "#eceff2": "soft", "#0a5688": "link",
    "#1b7446": "accept", "#6a45a6": "hold", "#965000": "rework", "#b0241c": "scrap",
    "#6b7783": "k0", "#0b5fa5": "k1", "#9a4a00": "k2", "#00735a": "k3", "#9c2468": "k4",
    "#5a4ea8": "k5", "#6c6100": "k6",
}  # fmt: skip
"""The colours that charts draw in, and the CSS variables that pages show instead."""

COLOUR = {variable: colour for colour, variable in THEME.items()}
"""What to give matplotlib for a variable."""

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_ELEMENTS = frozenset(("g", "path", "use", "defs", "clipPath", "rect", "text", "a"))
_ATTRIBUTES = frozenset(("d", "x", "y", "width", "height", "transform", "clip-path", "id"))
_STYLES = frozenset(
    (
        "fill", "fill-opacity", "fill-rule", "stroke", "stroke-opacity", "stroke-width",
        "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "opacity",
        "font-size", "font-weight", "font-style", "text-anchor",
    )
)  # fmt: skip
_FRAGMENT = re.compile(r"#[A-Za-z][\w.:-]*", re.ASCII)
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_DOT = re.compile(r"M(\S+) (\S+)L\1 \2(?=[M ]|$)")


@dataclass(frozen=True)
class Mark:
    """What pointing at a mark tells, and where it leads: a fragment "#…", or "" for nowhere."""

    text: str
    href: str = ""


@dataclass(frozen=True)
class Foreign:
    """Texts and marks that the drawing only refers to, by key and by URL."""

    texts: Mapping[str, str]
    marks: Mapping[str, Mark]


@dataclass(frozen=True)
class Caption:
    """The accessible name and description of a chart; `name` begins its ids."""

    name: str
    title: str
    summary: str


def themed(source: str, caption: Caption, foreign: Foreign, css: Sequence[str] = ()) -> Markup:
    """Turn a whole SVG document by matplotlib into an element for a page.

    Raises ValueError for a colour that is not in `THEME`.
    """
    drawn = ElementTree.fromstring(source)  # noqa: S314 (our own drawing)
    ids = _new_ids(drawn, caption.name)
    root = ElementTree.Element(
        "svg",
        {
            "class": " ".join(("chart", *css)),
            "viewBox": drawn.attrib["viewBox"],
            "width": "100%",
            "role": "img",
            "aria-labelledby": f"{caption.name}-title",
            "aria-describedby": f"{caption.name}-desc",
            "stroke-linejoin": "round",
        },
    )
    for tag, text in (("title", caption.title), ("desc", caption.summary)):
        ElementTree.SubElement(root, tag, {"id": f"{caption.name}-{tag}"}).text = text
    for child in drawn:
        _copy(child, root, ids, foreign)
    if root.find(".//a") is not None:
        # An image has no links in it, to those who look after accessibility.
        root.set("role", "figure")
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704


def _new_ids(drawn: ElementTree.Element, prefix: str) -> dict[str, str]:
    """New ids, numbered in order, of what is referred to."""
    wanted = set[str]()
    for element in drawn.iter():
        wanted.add(element.get(_HREF, "").removeprefix("#"))
        wanted.add(element.get("clip-path", "").removeprefix("url(#").removesuffix(")"))
    old_ids = [e.attrib["id"] for e in drawn.iter() if e.get("id") in wanted]
    return {old: f"{prefix}-{number}" for number, old in enumerate(old_ids, 1)}


def _copy(
    source: ElementTree.Element,
    parent: ElementTree.Element,
    ids: Mapping[str, str],
    foreign: Foreign,
) -> None:
    tag = source.tag.removeprefix(_SVG)
    if tag not in _ELEMENTS:
        return
    attributes = _attributes(source, ids)
    if tag == "a":
        mark = foreign.marks[source.attrib[_HREF]]
        leads = _FRAGMENT.fullmatch(mark.href) is not None
        # A reader without a mouse has the table; hundreds of stops would stand in the way.
        link = {"href": mark.href, "tabindex": "-1", "aria-hidden": "true"} if leads else {}
        copy = ElementTree.SubElement(parent, "a" if leads else "g", link)
        ElementTree.SubElement(copy, "title").text = mark.text
    elif tag == "g" and not attributes:
        copy = parent
    else:
        copy = ElementTree.SubElement(parent, tag, attributes)
    if tag == "text":
        written = source.text or ""
        copy.text = foreign.texts.get(written, written)
    for child in source:
        _copy(child, copy, ids, foreign)


def _attributes(source: ElementTree.Element, ids: Mapping[str, str]) -> dict[str, str]:
    kept = dict[str, str]()
    for name, value in source.items():
        if name == _HREF and source.tag != f"{_SVG}a":
            kept["href"] = f"#{ids[value.removeprefix('#')]}"
        elif name == "style":
            kept |= _presentation(value)
        elif name == "id":
            kept |= {"id": ids[value]} if value in ids else {}
        elif name == "clip-path":
            kept[name] = f"url(#{ids[value.removeprefix('url(#').removesuffix(')')]})"
        elif name == "d":
            kept[name] = _path(value)
        elif name in _ATTRIBUTES and not value.startswith("rotate(-0 "):
            kept[name] = _rounded(value)
    if source.tag == f"{_SVG}text" and "fill" not in kept:
        kept["fill"] = f"var(--{THEME['#17212b']})"
    return kept


def _presentation(style: str) -> dict[str, str]:
    """A style attribute as presentation attributes, colours as variables."""
    pairs = (entry.partition(":") for entry in style.split(";"))
    known = {name.strip(): value.strip() for name, _, value in pairs if name.strip() in _STYLES}
    for name in ("fill", "stroke"):
        value = known.get(name, "none")
        if value != "none":
            if value not in THEME:
                raise ValueError(f"the colour {value} is not the theme's")
            known[name] = f"var(--{THEME[value]})"
    known = {name: value.removesuffix("px") for name, value in known.items()}
    if known.get("stroke-dashoffset") == "0":
        del known["stroke-dashoffset"]
    return known


def _path(data: str) -> str:
    """A path, written short; a line that ends where it begins, a dot, as "M x y h0"."""
    short = re.sub(r"\s*([A-Za-z])\s*", r"\1", _rounded(" ".join(data.split())))
    return _DOT.sub(r"M\1 \2h0", short)


def _rounded(text: str) -> str:
    """Numbers to a tenth, about a tenth of a pixel."""
    return _NUMBER.sub(lambda found: f"{round(float(found[0]), 1) + 0.0:.10g}", text)
