"""One file with everything inside; and what `defect-inspect report` says when it cannot."""

import base64
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from large_reports import enlarge
from toy_reports import report_of
from toys import FakeExplainer, strip, write_strip

from inspection import cli
from inspection.errors import DocumentError
from inspection.report import pdf, single
from inspection.report.pdf import find_browser, print_pdf
from inspection.report.render import LIBRARY, LICENCE, asset
from inspection.report.single import pictures, write_single_file
from inspection.store.reading import open_report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("documents")
    for name, left in (("a", 20), ("<!--b", 40)):
        write_strip(root / "batch" / f"{name}.png", strip(512, bright=[left]))
    report_of(root / "batch", root / "report", FakeExplainer())
    return root / "report"


def test_one_file_holds_every_picture_and_refers_to_nothing(report: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    size = write_single_file(open_report(report), out)
    page = out.read_text("utf-8")
    assert size == out.stat().st_size
    assert not re.search(r'(src|href)="(?!#|data:,)', page)
    (images,) = re.findall(r"const IMAGES = (\{.*?\});\n", page)
    found = json.loads(images)
    assert set(found) == set(pictures(open_report(report)))
    # A thumbnail, a strip and its overlay per strip; a patch and its map per indication; the
    # runner-up of each has a map, too.
    assert len(found) == 2 * 3 + 2 * 3
    for name, url in found.items():
        kind = "image/jpeg" if name.endswith(".jpg") else "image/png"
        start, _, content = url.partition(",")
        assert start == f"data:{kind};base64"
        assert base64.b64decode(content) == (report / name).read_bytes()


def test_one_files_scripts_run_behind_the_page_in_order(report: Path, tmp_path: Path) -> None:
    write_single_file(open_report(report), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    scripts = re.findall(r"<script>\n(.*?)</script>", page, re.DOTALL)
    starts = ["const IMAGES", "/*! @tanstack/virtual-core", "const REPORT = JSON.parse("]
    assert [text.startswith(start) for text, start in zip(scripts, starts, strict=False)] == [
        True
    ] * 3
    assert scripts[-2].startswith('"use strict";\n// The page put together')
    assert scripts[-1].startswith("takeTiles(0, ")
    assert page.index("<script>") > page.index("</dialog>")
    assert page.count("</script>") == len(scripts)
    # What only the folder has.
    assert "results.parquet</a>" not in page
    assert ">Pictures</th>" not in page


def test_too_large_a_report_is_refused_in_one_line(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single, "LIMIT", 10_000)
    with pytest.raises(DocumentError, match=r"MB in one file; --single-file holds at most 0 MB"):
        write_single_file(open_report(report), tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_a_picture_that_is_gone_is_named(report: Path, tmp_path: Path) -> None:
    enlarge(report, tmp_path / "large", 4)
    (victim, *_) = (tmp_path / "large" / "img").glob("*_map.png")
    victim.unlink()
    with pytest.raises(DocumentError, match=f"{victim.name}: cannot be read"):
        write_single_file(open_report(tmp_path / "large"), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "name what to make: --single-file FILE, --pdf FILE, or both"),
        (("--single-file", "{report}/x.html"), "inside the report, which is sealed"),
        (("--pdf", "{report}/sub/../x.pdf"), "inside the report, which is sealed"),
        (("--pdf", "{tmp}"), "a folder; name a file"),
        (("--single-file", "{tmp}/no/page.html"), "there is no folder {tmp}/no"),
    ],
)
def test_wrong_use_is_one_line(
    report: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    message: str,
) -> None:
    given = [text.format(report=report, tmp=tmp_path) for text in options]
    assert cli.main(["report", str(report), *given]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message.format(tmp=tmp_path) in lines[0]


def test_a_folder_without_a_report_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["report", str(tmp_path / "none"), "--single-file", str(tmp_path / "p.html")])
    assert code == 2
    assert "no finished report here" in capsys.readouterr().err


def test_without_a_browser_the_message_says_what_to_do(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(pdf.VARIABLE, raising=False)
    with pytest.raises(DocumentError, match="apt-get install chromium"):
        print_pdf(report, tmp_path / "report.pdf", 10)
    monkeypatch.setenv(pdf.VARIABLE, "/opt/none")
    with pytest.raises(DocumentError, match="STEEL_CHROMIUM=/opt/none: no such program"):
        find_browser()
    assert not list(tmp_path.iterdir())


def browser_that(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that stands for Chromium and writes its arguments beside itself."""
    path = tmp_path / "browser"
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/arguments"\n{script}\n')
    path.chmod(0o755)
    monkeypatch.setenv(pdf.VARIABLE, str(path))
    return tmp_path / "arguments"


def test_the_browser_gets_the_page_with_its_number_of_cards(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """for a in "$@"; do
      case "$a" in
        --print-to-pdf=*) printf "%%PDF-1.4" > "${a#*=}";;
        file:*) page=${a#file://}; cp "${page%#*}" "$(dirname "$0")/page.html";;
      esac
    done"""
    arguments = browser_that(tmp_path, script, monkeypatch)
    print_pdf(report, tmp_path / "report.pdf", 7)
    assert (tmp_path / "report.pdf").read_bytes() == b"%PDF-1.4\n% steel-sise report\n"
    given = arguments.read_text().splitlines()
    # A copy of the page, with what it was given: no decisions, no release, the seal.
    assert given[-1].endswith("/report/index.html#print=7")
    printed = (tmp_path / "page.html").read_text("utf-8")
    script = '<script src="data/printed.js" defer></script>\n'
    assert printed.replace(script, "") == (report / "index.html").read_text("utf-8")
    assert ("--no-sandbox" in given) == (os.geteuid() == 0)


def test_a_browser_that_fails_leaves_nothing_behind(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser_that(tmp_path, 'echo "no display" >&2; exit 21', monkeypatch)
    with pytest.raises(DocumentError, match=r"printed nothing \(exit code 21; no display\)"):
        print_pdf(report, tmp_path / "report.pdf", 7)
    assert not list(tmp_path.glob("*report.pdf*"))


def test_a_browser_that_hangs_is_stopped(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object, timeout: float, **__: object) -> None:
        raise subprocess.TimeoutExpired("chromium", timeout)

    browser_that(tmp_path, "true", monkeypatch)
    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(DocumentError, match="had not printed after 600 s; ask for fewer --cards"):
        print_pdf(report, tmp_path / "report.pdf", 7)


def test_the_library_is_the_one_that_its_readme_names() -> None:
    """Whoever updates it updates the version and the hash."""
    code = asset(LIBRARY)
    readme = asset("vendor/README.md").decode()
    assert hashlib.sha256(code).hexdigest() in readme
    assert "@tanstack/virtual-core 3.19.11" in readme
    assert b"@tanstack/virtual-core 3.19.11, MIT" in code.splitlines()[0]
    assert asset(LICENCE).startswith(b"MIT License")
