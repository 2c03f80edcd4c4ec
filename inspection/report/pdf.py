"""A report on paper: Chromium prints its page."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inspection.errors import DocumentError
from inspection.report.payload import as_literal
from severstal_prep.files import replacing

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
VARIABLE = "STEEL_CHROMIUM"
SECONDS = 600
INDEX = "index.html"
_GIVEN = "data/printed.js"
# Without the last ones Chromium calls home at its start, in vain where the network is closed.
_ARGUMENTS = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--no-pdf-header-footer",
    "--allow-file-access-from-files",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)


def find_browser() -> str:
    """The Chromium to print with: STEEL_CHROMIUM, else the first of `BROWSERS` on PATH.

    Raises DocumentError if there is none.
    """
    named = os.environ.get(VARIABLE)
    for name in (named,) if named else BROWSERS:
        if path := shutil.which(name):
            return path
    if named:
        raise DocumentError(f"{VARIABLE}={named}: no such program; name a Chromium, or unset it")
    raise DocumentError(
        "--pdf needs Chromium or Chrome, and none is on PATH: install one (apt-get install "
        f"chromium), set {VARIABLE} to its path, or print index.html from any browser"
    )


@dataclass(frozen=True)
class Given:
    """What is printed with a report: decisions as a decision file has them, the release that was
    signed, as `review release` tells it, and the report's seal."""

    decisions: Sequence[Mapping[str, Any]] = ()
    release: Mapping[str, Any] | None = None
    seal: str = ""


def print_pdf(report: Path, out: Path, cards: int, given: Given | None = None) -> None:
    """Print the report in a folder, with the first `cards` cards (at least 1), as A4 pages.

    Raises DocumentError if there is no Chromium, or it fails.
    """
    browser = find_browser()
    with tempfile.TemporaryDirectory() as folder, replacing(out) as temporary:
        page = f"{_with(report.resolve(), given or Given(), Path(folder)).as_uri()}#print={cards}"
        # As root, Chromium refuses to start in its sandbox; the page is the user's own file.
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        printed = Path(folder) / "report.pdf"
        command = [
            browser,
            *_ARGUMENTS,
            *sandbox,
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={printed}",
            page,
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise DocumentError(
                f"{browser} had not printed after {SECONDS} s; ask for fewer --cards"
            ) from error
        if not printed.is_file() or not printed.read_bytes().startswith(b"%PDF"):
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise DocumentError(
                f"{browser} printed nothing (exit code {done.returncode}; "
                f"{said[-1] if said else 'it said nothing'})"
            )
        # Readers of PDF stop at its end; the comment behind it says whose file this is.
        temporary.write_bytes(printed.read_bytes() + b"\n% steel-sise report\n")


def _with(report: Path, given: Given, folder: Path) -> Path:
    """The report's page beside links to its files, so that the sealed report stays as it is, and
    with what is given."""
    copy = folder / "report"
    (copy / "data").mkdir(parents=True)
    for entry in report.iterdir():
        if entry.name not in ("data", INDEX):
            (copy / entry.name).symlink_to(entry)
    for entry in (report / "data").iterdir():
        (copy / "data" / entry.name).symlink_to(entry)
    told = json.dumps(asdict(given), default=list)
    (copy / _GIVEN).write_text(f"const PRINTED = {as_literal(told)};\n")
    page = (report / INDEX).read_text("utf-8")
    script = f'<script src="{_GIVEN}" defer></script>\n<script '
    (copy / INDEX).write_text(page.replace("<script ", script, 1), "utf-8")
    return copy / INDEX
