"""A headless Chromium that has nobody to talk to, and pages that must not complain.

The browser is Debian's; Playwright only drives it.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import make_report
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from serving import TOKEN, running

from inspection.review.database import Database, open_database
from inspection.review.register import read_report, register
from inspection.review.server.access import Access

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Where the network is closed, Chromium's calls home fail, and its own traffic with them.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OUTSIDE = re.compile(r"^(?!file:|data:|blob:|about:|http://127\.0\.0\.1[:/])")
PATIENCE_MS = 15_000


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path; without one, tests are skipped, and fail if STEEL_BROWSER=required."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    reason = f"none of {', '.join(NAMES)} is on PATH; on Debian: apt-get install chromium"
    if os.environ.get("STEEL_BROWSER") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


# Not of the session: while Playwright runs, asyncio.run fails in the tests of other modules.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report to be opened and left as it is."""
    return make_report(tmp_path_factory.mktemp("report"))


@pytest.fixture
def database(report: Path, tmp_path: Path) -> Database:
    """A review of that report."""
    found = open_database(f"sqlite:///{tmp_path / 'review.db'}", create=True)
    register(found, read_report(report))
    return found


@pytest.fixture
def serve(database: Database) -> Iterator[str]:
    """Its server's address."""
    yield from running(database, Access(None))


@pytest.fixture
def serve_with_token(database: Database) -> Iterator[str]:
    """The same, for those who have the token."""
    yield from running(database, Access(TOKEN))


@pytest.fixture
def problems() -> list[str]:
    """What the pages of this test complained of. A test that provokes a complaint removes it."""
    return []


@pytest.fixture
def context(browser: Browser, problems: list[str]) -> Iterator[BrowserContext]:
    """A fresh profile, 1280 × 900. The test fails on any error in a console, any uncaught error,
    and any request to another machine, which is not let out."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="UTC"
    )
    context.set_default_timeout(PATIENCE_MS)
    context.on("console", lambda line: _note(problems, line.type == "error", "console", line.text))
    context.on("weberror", lambda error: _note(problems, True, "uncaught", str(error.error)))
    context.on(
        "request",
        lambda request: _note(problems, bool(OUTSIDE.match(request.url)), "request", request.url),
    )
    context.route(OUTSIDE, lambda route: route.abort())
    yield context
    context.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def _note(problems: list[str], wrong: bool, kind: str, text: str) -> None:
    if wrong:
        problems.append(f"{kind}: {text}")
