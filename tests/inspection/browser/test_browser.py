"""The browser itself: it opens files, lets nothing out, and hears every complaint."""

from pathlib import Path

import pytest
from browsing import axe
from playwright.sync_api import BrowserContext, Page, expect

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Toy</title>
<main><h1>A strip</h1><button onclick="this.textContent = 'held'">hold</button>{}</main></html>"""


def open_page(page: Page, folder: Path, extra: str = "") -> None:
    file = folder / "page.html"
    file.write_text(PAGE.format(extra), "utf-8")
    page.goto(file.as_uri())


def test_a_local_page_is_opened_and_used(page: Page, tmp_path: Path) -> None:
    open_page(page, tmp_path)
    page.get_by_role("button", name="hold").click()
    expect(page.get_by_role("button")).to_have_text("held")
    assert page.viewport_size == {"width": 1280, "height": 900}
    assert axe(page) == []


def test_axe_finds_an_image_without_a_text(page: Page, tmp_path: Path) -> None:
    open_page(page, tmp_path, '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">')
    assert axe(page) == ["image-alt (critical): img"]


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ("<script>console.error('worn out')</script>", "console: worn out"),
        ("<script>throw new Error('broken')</script>", "uncaught: broken"),
        ('<img alt="" src="http://192.0.2.1/x.png">', "request: http://192.0.2.1/x.png"),
    ],
    ids=["console", "uncaught", "request"],
)
def test_complaints_are_heard(
    page: Page,
    context: BrowserContext,
    problems: list[str],
    tmp_path: Path,
    extra: str,
    complaint: str,
) -> None:
    open_page(page, tmp_path, extra)
    context.close()
    assert complaint in problems
    problems.clear()
