"""What a report is printed with: decisions, and the release that was signed."""

from pathlib import Path

from playwright.sync_api import Page

from inspection.report.pdf import Given, _with
from inspection.store.checksums import CHECKSUMS
from inspection.store.verify import check_files
from severstal_prep.files import file_sha256

RELEASE = {
    "coil": "coil A", "disposition": "rework", "reason": "</script><b>ground off</b>",
    "signature": {"name": "A. Smith", "time": "2026-11-27T10:20:30+00:00"}, "seal": "ab" * 32,
}  # fmt: skip


def decision(strip: str, left: int) -> dict[str, object]:
    return {
        "id": "00000000-0000-4000-8000-000000000001", "kind": "reject", "strip": strip,
        "left": left, "reviewer": "B. Jones", "time": "2026-11-27T10:00:00Z",
        "reason": "rust", "in_view_of": [],
    }  # fmt: skip


def lines(page: Page) -> dict[str, str]:
    names = page.locator("#printed-sign dt").all_text_contents()
    return dict(zip(names, page.locator("#printed-sign dd").all_text_contents(), strict=True))


def opened(page: Page, report: Path, given: Given, folder: Path) -> None:
    page.goto(f"{_with(report, given, folder).as_uri()}#print=2")
    page.wait_for_selector("html[data-ready]", state="attached")


def test_decisions_and_a_release_are_printed_and_the_report_stays(
    page: Page, report: Path, tmp_path: Path
) -> None:
    page.goto((report / "index.html").as_uri())
    first = page.evaluate("({strip: CARDS[0].strip.strip_id, left: CARDS[0].left})")
    seal = file_sha256(report / CHECKSUMS)
    given = Given([decision(first["strip"], first["left"])], RELEASE, seal)
    opened(page, report, given, tmp_path)
    assert lines(page) == {
        "Coil": "coil A", "Disposition": "rework", "Reason": "</script><b>ground off</b>",
        "Name": "A. Smith", "Date": "2026-11-27 10:20 UTC", "Seal of the report": "ab" * 32,
    }  # fmt: skip
    printed = page.locator(".printed-cards .card").first.inner_text
    page.emulate_media(media="print")
    assert "B. Jones" in printed()
    assert "rust" in printed()
    margins = page.evaluate("document.adoptedStyleSheets[0].cssRules[0].cssText")
    assert '"page " counter(page) " of " counter(pages)' in margins
    assert {finding.state for finding in check_files(report)} == {"same"}


def test_without_a_release_there_are_lines_to_sign_on(
    page: Page, report: Path, tmp_path: Path
) -> None:
    opened(page, report, Given(seal="cd" * 32), tmp_path)
    told = lines(page)
    assert told.pop("Seal of the report") == "cd" * 32
    assert set(told.values()) == {""}
    assert list(told) == ["Coil", "Disposition", "Reason", "Name", "Date"]
