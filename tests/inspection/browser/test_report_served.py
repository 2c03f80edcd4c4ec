"""The report through the review server: decisions are stored at once, by several people."""

import functools
import http.server
import threading
from pathlib import Path

import pytest
from browsing import axe
from pages import cards, current, press, sign
from playwright.sync_api import BrowserContext, Page, expect
from serving import all_sent, counted, kinds, open_served

from inspection.review.database import Database


def test_decisions_go_to_the_database_at_once(
    serve: str, page: Page, database: Database, report: Path
) -> None:
    open_served(page, serve, "card=1&advance=off")
    expect(page.locator("#ledger")).to_contain_text("Decisions go to the review at once.")
    expect(page.locator("#export")).to_be_hidden()
    sign(page)
    cards(page).first.locator(".reason input").fill("seen twice")
    press(page, "c")
    expect(cards(page).first.locator(".log li")).to_have_count(1)
    all_sent(page)
    assert kinds(database, report) == [("confirm", "", "A. Smith")]
    press(page, "h")
    expect(cards(page).first.locator(".log li")).to_have_count(2)
    press(page, "u")
    expect(cards(page).first.locator(".log li")).to_have_count(1)
    all_sent(page)
    assert [kind for kind, _, _ in kinds(database, report)] == ["confirm", "disposition", "undo"]
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert (
        cards(page)
        .first.locator(".log li")
        .inner_text()
        .startswith("Patch: confirmed, class 1, A. Smith, ")
    )


def test_two_reviewers_at_once_lose_nothing(
    serve: str, context: BrowserContext, database: Database, report: Path
) -> None:
    pages = []
    for name in ("A. Smith", "B. Jones"):
        pages.append(context.new_page())
        open_served(pages[-1], serve, "card=1&advance=off")
        sign(pages[-1], name)
    one, other = pages
    press(one, "c")
    all_sent(one)
    press(other, "x")  # without having seen the first
    expect(cards(other).first.locator(".log li.disputed")).to_have_count(2)
    expect(cards(other).first.locator(".dispute")).to_contain_text("Disputed, so still open")
    expect(cards(other).first.locator(".log button")).to_have_text(
        ["Withdraw A. Smith's confirmation", "Withdraw B. Jones's rejection"]
    )
    expect(other.locator("#progress")).to_have_text("0 of 6 decided")
    assert counted(database, report) == (0, 1)
    all_sent(other)
    assert kinds(database, report) == [("confirm", "", "A. Smith"), ("reject", "", "B. Jones")]
    assert other.evaluate("(STATE.review = 'open', chosenCards().length)") == 6
    other.evaluate("STATE.review = ''")
    press(other, "c")  # in view of both
    expect(cards(other).first.locator(".log li.decided")).to_have_count(1)
    one.reload()
    one.wait_for_selector("html[data-ready]", state="attached")
    assert "B. Jones" in cards(one).first.locator(".log li").inner_text()


def test_who_comes_back_sees_what_others_decided(serve: str, context: BrowserContext) -> None:
    one, other = context.new_page(), context.new_page()
    for page in (one, other):
        open_served(page, serve, "card=1&advance=off")
    sign(other, "B. Jones")
    press(other, "x")
    all_sent(other)
    assert cards(one).first.locator(".log li").count() == 0
    one.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(cards(one).first.locator(".log li")).to_contain_text("no defect, B. Jones")


def test_on_another_server_the_page_is_as_from_disk(
    page: Page, report: Path, tmp_path: Path, problems: list[str]
) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "7").symlink_to(report)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}/reports/7/index.html#card=1&advance=off")
        page.wait_for_selector("html[data-ready]", state="attached")
        sign(page)
        press(page, "c")
        expect(page.locator("#ledger")).to_contain_text("1 decision, 1 not exported")
        page.wait_for_load_state("networkidle")
        server.shutdown()
    (complaint,) = problems
    assert "404" in complaint
    problems.clear()


def test_the_pages_of_the_review_lead_around(serve: str, page: Page) -> None:
    page.goto(serve)
    page.get_by_role("link", name="batch", exact=True).first.click()
    page.wait_for_url("**/batches/1*")
    page.get_by_role("link", name="report", exact=False).first.click()
    page.wait_for_url("**/reports/1/index.html*")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.click(".review-link")
    page.wait_for_url("**/batches/1*")
    page.get_by_role("link", name="Trends").click()
    expect(page.locator("h1")).to_have_text("Trends")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing_serious(
    serve: str, page: Page, database: Database, report: Path, scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    open_served(page, serve, "card=1&advance=off")
    sign(page, "<b>A. Smith</b>")
    press(page, "c")
    expect(cards(page).first.locator(".log li")).to_have_count(1)
    press(page, "jx")
    assert current(page) == "2"
    for path in ("/", "/batches/1", "/batches/1?show=open", "/trends"):
        page.goto(f"{serve}{path}")
        assert axe(page) == [], path
        assert page.locator("main b:text('A. Smith')").count() == 0


@pytest.mark.slow
def test_the_sign_in_page_is_accessible(serve_with_token: str, page: Page) -> None:
    page.goto(f"{serve_with_token}/trends")
    page.wait_for_url("**/login?next=%2Ftrends")
    assert axe(page) == []


def test_the_probabilities_of_all_patches_of_a_strip(serve: str, page: Page) -> None:
    open_served(page, serve)
    page.get_by_role("button", name="plain.png").first.click()
    page.get_by_role("button", name="Probabilities of all patches").click()
    expect(page.locator("#viewer .tile")).to_have_count(7)
