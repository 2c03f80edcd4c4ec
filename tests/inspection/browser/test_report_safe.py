"""Decisions on their way to the review: none is lost, doubled, or made against oneself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import cards, press, sign
from playwright.sync_api import BrowserContext, Page, Route, expect
from serving import TOKEN, all_sent, kinds, open_served

from inspection.review.database import Database

POST = "**/api/batches/1/decisions"
COME_BACK = "document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture
def unreachable(context: BrowserContext, problems: list[str]) -> Iterator[None]:
    """For tests that let requests fail: the browser's word on each is no complaint of the page."""
    assert context.pages == []
    yield
    problems[:] = [line for line in problems if "Failed to load resource" not in line]


def saving(page: Page, card: int) -> str:
    """What is said of saving on the card of this number."""
    page.evaluate("number => go(CARDS[number - 1])", card)
    return page.locator("#cards .card.current .saving").inner_text()


def test_a_key_that_is_held_decides_once_and_two_in_haste_are_no_dispute(
    serve: str, page: Page, database: Database, report: Path
) -> None:
    held: list[Route] = []
    open_served(page, serve, "card=1&advance=off")
    sign(page)
    page.route(POST, lambda route: held.append(route), times=1)
    first = cards(page).first
    for _ in range(4):  # held
        page.keyboard.down("c")
    page.keyboard.up("c")
    page.keyboard.press("x")
    expect(first.locator(".saving")).to_have_text("Saving …")
    expect(first.locator(".log li")).to_contain_text("Patch: no defect")
    assert len(held) == 1  # the second waits for the first
    assert kinds(database, report) == []
    held[0].continue_()
    expect(first.locator(".saving")).to_have_text("Saved")
    assert [kind for kind, _, _ in kinds(database, report)] == ["confirm", "reject"]
    expect(first.locator(".log li.decided")).to_have_count(1)
    expect(page.locator("#progress")).to_have_text("1 of 6 decided")


@pytest.mark.usefixtures("unreachable")
def test_failures_are_kept_and_sent_when_the_server_is_back(
    serve: str, page: Page, database: Database, report: Path
) -> None:
    open_served(page, serve, "card=1")
    sign(page)
    page.route("**/api/**", lambda route: route.abort())
    press(page, "cx")
    expect(page.locator("#unsent")).to_contain_text("2 decisions are not saved.")
    expect(page.locator("#unsent")).to_contain_text("The review server cannot be reached.")
    assert saving(page, 1) == "Not saved: kept here, will retry"
    assert kinds(database, report) == []
    page.reload()  # both survive, and count
    page.wait_for_selector("html[data-ready]", state="attached")
    expect(page.locator("#progress")).to_have_text("2 of 6 decided")
    assert saving(page, 2) == "Not saved: kept here, will retry"
    expect(page.locator("#unsent")).to_contain_text("what others decided is not shown")
    page.unroute("**/api/**")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#ledger")).to_have_text("Decisions go to the review at once.")
    expect(page.locator("#unsent")).to_be_hidden()
    assert [kind for kind, _, _ in kinds(database, report)] == ["confirm", "reject"]
    assert page.evaluate("Object.keys(localStorage).filter(name => name.includes('unsent'))") == []


@pytest.mark.slow
@pytest.mark.usefixtures("unreachable")
def test_an_answer_that_is_lost_adds_nothing(
    serve: str, page: Page, database: Database, report: Path
) -> None:
    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    open_served(page, serve, "card=1&advance=off")
    sign(page)
    page.route(POST, lose)
    press(page, "c")
    expect(cards(page).first.locator(".saving")).to_contain_text("will retry")
    assert len(kinds(database, report)) == 1
    page.unroute(POST)
    page.get_by_role("button", name="Send again now").click()
    expect(cards(page).first.locator(".saving")).to_have_text("Saved")
    assert kinds(database, report) == [("confirm", "", "A. Smith")]


@pytest.mark.usefixtures("unreachable")
def test_a_refusal_is_shown_and_not_sent_again(
    serve: str, page: Page, database: Database, report: Path
) -> None:
    sent: list[list[str]] = []
    held: list[Route] = []

    def refuse_the_first_strip(route: Route) -> None:
        sent.append([entry["strip"] for entry in route.request.post_data_json["decisions"]])
        if len(sent) == 1:
            held.append(route)
        elif "coil A/0.png" in sent[-1]:
            route.fulfill(status=422, body="decision 1: the batch has no such strip")
        else:
            route.continue_()

    open_served(page, serve, "card=2&advance=off")
    sign(page)
    page.route(POST, refuse_the_first_strip)
    # While the first is on its way, two on the first strip and one on another wait.
    press(page, "ckcxjjjx")
    held[0].continue_()
    box = page.locator("#unsent")
    expect(box).to_contain_text("Not saved: decision 1: the batch has no such strip")
    expect(box).to_contain_text("Number 1: confirmed, class 1, A. Smith")
    expect(page.locator("#ledger")).to_have_text("2 decisions not saved yet.")
    page.evaluate(COME_BACK)
    # Together, then alone; the second on the first strip waits for what becomes of the first.
    names = [[name[-5:-4] for name in names] for names in sent]
    assert names == [["1"], ["0", "0", "3"], ["0"], ["3"]]
    assert [kind for kind, _, _ in kinds(database, report)] == ["confirm", "reject"]
    page.unroute(POST)
    box.get_by_role("button", name="Discard").click()
    all_sent(page)
    expect(box).to_be_hidden()
    assert [kind for kind, _, _ in kinds(database, report)] == ["confirm", "reject", "reject"]


@pytest.mark.slow
@pytest.mark.usefixtures("unreachable")
def test_who_is_signed_out_loses_nothing(
    serve_with_token: str, context: BrowserContext, database: Database, report: Path
) -> None:
    def sign_in(page: Page) -> None:
        page.goto(f"{serve_with_token}/")
        page.fill("[name=token]", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{serve_with_token}/")

    page = context.new_page()
    sign_in(page)
    open_served(page, serve_with_token, "card=1")
    sign(page)
    context.clear_cookies()
    press(page, "c")
    expect(page.locator("#unsent")).to_contain_text("You are signed out. Sign in again in another")
    assert page.locator("#unsent a").get_attribute("href") == "../../login"
    assert kinds(database, report) == []
    sign_in(context.new_page())
    page.evaluate(COME_BACK)
    expect(page.locator("#unsent")).to_be_hidden()
    assert kinds(database, report) == [("confirm", "", "A. Smith")]


@pytest.mark.slow
def test_a_page_that_keeps_nothing_asks_before_it_is_closed(
    serve: str, page: Page, problems: list[str]
) -> None:
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw 1 } });")
    open_served(page, serve, "card=1")
    sign(page)
    page.route(POST, lambda route: route.abort())
    press(page, "c")
    expect(page.locator("#unsent")).to_contain_text("Do not close the page")
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.accept()
    assert all("Failed to load resource" in line for line in problems)
    problems.clear()


@pytest.mark.slow
def test_a_viewer_sees_decisions_and_makes_none(
    serve: str, context: BrowserContext, database: Database, report: Path
) -> None:
    page = context.new_page()
    open_served(page, serve, "card=1")
    sign(page)
    press(page, "c")
    expect(page.locator("#ledger")).to_have_text("Decisions go to the review at once.")
    other = context.new_page()
    other.route("**/api/me", lambda route: route.fulfill(json={"name": "V", "role": "viewer"}))
    open_served(other, serve, "card=1")
    first = cards(other).first
    expect(first.locator(".log li")).to_contain_text("Patch: confirmed, class 1, A. Smith")
    assert first.locator(".deciding button, .deciding input").count() == 0
    press(other, "x")
    expect(other.locator("#announcer")).to_have_text("You may look at decisions, not make them.")
    assert len(kinds(database, report)) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("unreachable")
def test_the_servers_name_is_used_and_nobody_sends_for_another(
    serve: str, page: Page, database: Database, report: Path
) -> None:
    open_served(page, serve, "card=1")
    sign(page)
    page.route(POST, lambda route: route.fulfill(status=503, body="busy"))
    press(page, "c")
    expect(page.locator("#unsent")).to_contain_text("1 decision is not saved.")
    page.unroute(POST)
    page.route(
        "**/api/me", lambda route: route.fulfill(json={"name": "B. Jones", "role": "reviewer"})
    )
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    expect(page.locator("#signer")).to_have_text("B. Jones")
    assert page.locator("#signer button").count() == 0
    expect(page.locator("#unsent")).to_contain_text("decided by A. Smith, who is not signed in")
    press(page, "jx")
    expect(page.locator("#ledger")).to_have_text("1 decision not saved yet.")
    assert kinds(database, report) == [("reject", "", "B. Jones")]
