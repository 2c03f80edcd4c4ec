"""The page from the report: Jinja2 templates, escaped without exception, its scripts and data."""

from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import jinja2

from inspection.report.model import BatchReport
from inspection.report.palettes import palettes
from inspection.report.payload import as_script
from inspection.report.rules import exact_percent
from inspection.report.tiles import tile_files, tile_name
from inspection.words import (
    decimal,
    language,
    moment,
    number,
    percent,
    plural,
    probability,
    say,
    say_html,
)
from severstal_prep.files import replacing

STYLE = "report.css"
LIBRARY = "vendor/virtual-core.js"
LICENCE = "vendor/LICENSE.virtual-core"
SCRIPTS = (
    "dom.js",
    "data.js",
    "state.js",
    "list.js",
    "settle.js",
    "ledger.js",
    "queue.js",
    "asking.js",
    "signing.js",
    "decide.js",
    "moving.js",
    "acts.js",
    "bulk.js",
    "counting.js",
    "catalogue.js",
    "coil.js",
    "card.js",
    "panes.js",
    "look.js",
    "table.js",
    "strips.js",
    "viewer.js",
    "tiles.js",
    "similar.js",
    "printout.js",
    "sections.js",
    "keys.js",
    "main.js",
)
DATA = "data/report.js"
ROWS_SHOWN = 500
"""Rows of a table that grows with the batch; more are in the files beside the page."""


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("inspection.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        decimal=decimal,
        probability=probability,
        percent=percent,
        exact_percent=exact_percent,
        share=lambda share: percent(share, 1),
        number=number,
        time=_time,
        say=say,
    )
    environment.globals.update(say=say, say_html=say_html, plural=plural, language=language)
    return environment.get_template("index.html.j2")


def render(report: BatchReport) -> str:
    """The HTML of the page. It refers to what lies beside it in the folder and to nothing else."""
    return _template().render(
        report=report,
        palettes=palettes(),
        scripts=[f"assets/{LIBRARY}", DATA, *(f"assets/{name}" for name in SCRIPTS)],
        rows_shown=ROWS_SHOWN,
    )


def _time(iso: str) -> str:
    return moment(datetime.fromisoformat(iso))


def asset(name: str) -> bytes:
    """The content of a file in assets/."""
    return files("inspection.report").joinpath("assets", *name.split("/")).read_bytes()


def write_report(report: BatchReport, folder: Path) -> None:
    """Write index.html, assets/ and data/ into a report folder, the page last; what an earlier page
    had in data/ beyond this one's is removed."""
    contents = {f"assets/{name}": asset(name) for name in (STYLE, LIBRARY, LICENCE, *SCRIPTS)}
    tiles = dict(tile_files(report))
    contents |= tiles
    contents |= {DATA: as_script(report).encode(), "index.html": render(report).encode()}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    for path in folder.glob(tile_name("*")):
        if path.relative_to(folder).as_posix() not in tiles:
            path.unlink()
