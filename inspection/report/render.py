"""The page from the report: Jinja2 templates, escaped without exception, and its assets."""

from datetime import datetime
from importlib.resources import files
from pathlib import Path

import jinja2

from inspection.report.model import BatchReport
from severstal_prep.files import replacing

ASSETS = ("report.css", "report.js")
_THIN_SPACE = "\u202f"


def render(report: BatchReport) -> str:
    """The HTML of the page. It refers to assets/ and img/ beside it and to nothing else."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("inspection.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        probability=lambda value: f"{value:.3f}",
        percent=lambda share: f"{100 * share:.0f}{_THIN_SPACE}%",
        number=lambda value: f"{value:,}".replace(",", _THIN_SPACE),
        time=_time,
        sortable=lambda value: f"{value:.6g}",
        css=lambda share: f"{100 * share:.4g}%",
    )
    return environment.get_template("index.html.j2").render(report=report)


def _time(iso: str) -> str:
    moment = datetime.fromisoformat(iso)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def write_report(report: BatchReport, folder: Path) -> None:
    """Write index.html and assets/ into a report folder, the page last."""
    assets = folder / "assets"
    assets.mkdir(exist_ok=True)
    for name in ASSETS:
        content = files("inspection.report").joinpath("assets", name).read_bytes()
        with replacing(assets / name) as temporary:
            temporary.write_bytes(content)
    with replacing(folder / "index.html") as temporary:
        temporary.write_text(render(report), "utf-8")
