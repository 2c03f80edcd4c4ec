"""A report as one file: style, scripts, data and pictures inside the page."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from inspection.errors import DocumentError
from inspection.report.tiles import tile_name
from inspection.store.fields import PATCH, STRIP
from inspection.store.folder import SIMILAR
from inspection.store.reading import OpenedReport
from severstal_prep.files import replacing
from severstal_prep.parquet import read_table

LIMIT = 40 * 2**20
"""Bytes above which a page is refused: browsers open it, but slowly, and mail does not take it."""

_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">\n?')
_SCRIPT = re.compile(r'<script src="([^"]+)" defer></script>\n?')
_FOLDER_ONLY = re.compile(r"<!--folder-->.*?<!--/folder-->\n?", re.DOTALL)


def write_single_file(report: OpenedReport, out: Path) -> int:
    """Write the report as one page; return its size in bytes.

    What only the folder has, links to its tables and to pictures for readers without scripts,
    is left out, and so are strips at full size that have no indication, where the page would pass
    `LIMIT` with them. Raises DocumentError if it passes `LIMIT` all the same, or a part of the
    report is missing.
    """
    names = tuple(pictures(report))
    size = _size(report.root, names)
    if size > LIMIT:
        # Of a strip without indications the thumbnail has to do.
        spared = _without_indications(report)
        names = tuple(name for name in names if name not in spared)
        size = _size(report.root, names)
    if size > LIMIT:
        raise DocumentError(
            f"{report.root}: {size / 2**20:.0f} MB in one file; --single-file holds at most "
            f"{LIMIT // 2**20} MB: pass the folder on instead, or print it (--pdf)"
        )
    page = single_page(report.root, names).encode()
    with replacing(out) as temporary:
        temporary.write_bytes(page)
    return len(page)


def pictures(report: OpenedReport) -> Iterator[str]:
    """The pictures that the page's scripts show, as paths inside the report, each once."""
    strips, patches = report.strips, report.patches[report.patches["explained"]]
    shown = [
        rows[column.name]
        for rows, table in ((strips, STRIP), (patches, PATCH))
        for column in table
        if column.page and column.name.endswith("_path")
    ]
    if (report.root / SIMILAR).is_file():
        shown.append(read_table(report.root / SIMILAR)["raw_path"])
    names = pd.concat(shown).dropna()
    told = report.record["policy"].get("classes", {}).values()
    catalogue = [picture for entry in told for picture in entry.get("pictures", ())]
    return (str(name) for name in dict.fromkeys([*names, *catalogue]) if name)


def _size(root: Path, names: tuple[str, ...]) -> int:
    """Bytes that pictures take in the page: in base64 four for three."""
    return sum(len(_read(root, name)) for name in names) * 4 // 3


def _without_indications(report: OpenedReport) -> set[str]:
    """The pictures at full size of strips of which no patch is explained."""
    strips = report.strips
    return set(strips.loc[strips["overlay_path"] == "", "raw_path"])


def single_page(root: Path, names: tuple[str, ...]) -> str:
    """The page of the report in `root` with everything that it refers to inside."""
    page = _FOLDER_ONLY.sub("", _read(root, "index.html").decode())
    page = _STYLE.sub(lambda found: f"<style>\n{_text(root, found[1])}</style>\n", page)
    tiles = sorted(path.relative_to(root).as_posix() for path in root.glob(tile_name("*")))
    scripts = [_text(root, name) for name in (*_SCRIPT.findall(page), *tiles)]
    images = json.dumps({name: _data_url(root, name) for name in names}).replace("<", "\\u003c")
    scripts.insert(0, f"const IMAGES = {images};\n")
    inside = "".join(f"<script>\n{text}</script>\n" for text in scripts)
    # Scripts inside a page run where they stand: they belong behind what they work on.
    return _SCRIPT.sub("", page).replace("</body>", f"{inside}</body>")


def _text(root: Path, name: str) -> str:
    text = _read(root, name).decode()
    if re.search(r"</(script|style)", text, re.IGNORECASE):
        raise DocumentError(f"{root / name}: would end the page's script; make the report again")
    return text


def _data_url(root: Path, name: str) -> str:
    content = base64.b64encode(_read(root, name)).decode()
    return f"data:{_TYPES[Path(name).suffix]};base64,{content}"


def _read(root: Path, name: str) -> bytes:
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise DocumentError(f"{root}: names a file outside it, {name}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(
            f"{path}: cannot be read ({error.strerror}); make the report again"
        ) from error
