"""The review's own pages, as people use them."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import axe
from playwright.sync_api import Page, expect
from serving import TOKEN, kinds, running

from inspection.review.database import Database
from inspection.review.server.access import Access
from inspection.review.server.access.passwords import Users
from inspection.review.users import User, change_users, hashed

TARGETS = {"preload": False, "runOnly": {"type": "rule", "values": ["target-size"]}}


def decide(page: Page, subject: str, choice: str, reason: str = "") -> None:
    """Fill in and send the form of the first subject in `subject`."""
    form = page.locator(f"{subject} form.decide").first
    form.get_by_role("radio", name=choice, exact=True).check()
    if form.locator("[name=reviewer]").count():
        form.locator("[name=reviewer]").fill("A. Smith")
    form.locator("[name=reason]").fill(reason)
    form.get_by_role("button").click()


def test_open_subjects_are_decided_one_after_the_other(
    serve: str, page: Page, database: Database, report: Path
) -> None:
    page.goto(f"{serve}/batches/1?show=open")
    before = page.locator("article.patch").count()
    first = page.locator("article.patch").first.get_attribute("aria-labelledby")
    decide(page, "article.patch", "No defect")
    page.wait_for_url("**show=open#*")
    assert page.locator("article.patch").count() == before - 1
    there = page.url.partition("#")[2]
    assert there != first
    expect(page.locator(f"[id='{there}']")).to_be_in_viewport()
    # The focus is where the page went: Tab leads into that subject's pictures or form.
    page.keyboard.press("Tab")
    inside = f"document.getElementById('{there}').closest('article, section').contains"
    assert page.evaluate(f"{inside}(document.activeElement)")
    assert kinds(database, report) == [("reject", "", "A. Smith")]


@pytest.mark.slow  # a quick test without a browser: review/test_review_trouble
def test_a_disposition_against_the_proposal_asks_why(
    serve: str, page: Page, database: Database, report: Path, problems: list[str]
) -> None:
    page.goto(f"{serve}/batches/1")
    decide(page, "section.strip", "scrap")
    expect(page.locator("h1")).to_have_text("Why?")
    assert axe(page) == []
    page.get_by_label("Reason").fill("seen on the line")
    page.get_by_role("button", name="Decide").click()
    page.wait_for_url("**/batches/1?page=1#strip-*")
    assert kinds(database, report) == [("disposition", "scrap", "A. Smith")]
    assert all("422" in complaint for complaint in problems)
    problems.clear()


def test_a_patch_is_shown_at_one_and_four_to_one(serve: str, page: Page) -> None:
    page.goto(f"{serve}/batches/1")
    card = page.locator("article.patch").first.locator("img").first
    box = card.bounding_box()
    assert box is not None
    assert box["width"] >= 240
    card.click()
    image = page.locator("#zoom img")
    natural = "image => [image.naturalWidth, image.getBoundingClientRect().width]"
    for scale in (1, 4):
        page.get_by_role("button", name=f"{scale}:1").click()
        own, shown = image.evaluate(natural)
        assert (own, shown) == (256, 256 * scale)
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#zoom")).to_be_hidden()
    assert page.evaluate("document.activeElement.className") == "zoom"


def test_a_patch_leads_to_its_card_in_the_report(serve: str, page: Page) -> None:
    page.goto(f"{serve}/batches/1")
    patches = page.locator("article.patch")
    for index in (0, patches.count() - 1):
        page.goto(f"{serve}/batches/1")
        said = patches.nth(index).locator("h3").inner_text()
        raw = patches.nth(index).locator("img").first.get_attribute("src") or ""
        patches.nth(index).get_by_role("link", name="In the report").click()
        page.wait_for_selector("html[data-ready]", state="attached")
        card = page.locator(".card.current")
        expect(card).to_be_visible()
        assert said.split(",")[0] in card.inner_text()
        shown = card.locator("img").first.get_attribute("src") or ""
        assert raw.endswith(shown)


def test_pages_fit_their_window_and_targets_are_large_enough(serve: str, page: Page) -> None:
    for width in (1366, 768):
        page.set_viewport_size({"width": width, "height": 900})
        for path in ("/", "/batches/1", "/trends"):
            page.goto(f"{serve}{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, path)
            assert not page.evaluate(
                f"{width} === 1366 && [...document.querySelectorAll('.scroll:has(table)')]"
                ".some((box) => box.scrollWidth > box.clientWidth)"
            )
            found = Axe().run(page, options=TARGETS).response["violations"]
            assert [one["nodes"] for one in found] == []
        page.goto(f"{serve}/")
        expect(page.get_by_role("link", name="Report").first).to_be_in_viewport(ratio=1)


@pytest.mark.slow
def test_signing_in_leads_back_to_the_place_in_the_page(
    database: Database, page: Page, tmp_path: Path, problems: list[str]
) -> None:
    """The path, without the place, is held by a quick test (review/test_access)."""
    file = tmp_path / "users.json"
    user = User("viewer", hashed("a few long words"))
    change_users(file, lambda users: users.update(Ада=user))
    for server in running(database, Access(users=Users(file))):
        page.goto(f"{server}/reports/1/index.html#card=2")
        assert axe(page) == []
        page.get_by_label("Name").fill("Ада")
        page.get_by_label("Password").fill("wrong words")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("Name or password is wrong")
        assert axe(page) == []
        page.get_by_label("Name").fill("Ада")
        page.get_by_label("Password").fill("a few long words")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/reports/1/index.html#*card=2*")
        expect(page.locator("#signer")).to_contain_text("may look, not decide")
        page.close()  # before its server
    assert all("401" in complaint for complaint in problems)
    problems.clear()


@pytest.mark.slow
def test_pressed_and_current_are_seen_in_forced_colours(serve_with_token: str, page: Page) -> None:
    page.emulate_media(forced_colors="active")
    page.goto(f"{serve_with_token}/batches/1")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/batches/1")
    page.locator("article.patch .act").first.click()
    colour = "element => getComputedStyle(element).backgroundColor"
    chosen = page.locator(".act input:checked + span").evaluate(colour)
    other = page.locator(".act input:not(:checked) + span").first.evaluate(colour)
    assert chosen != other
    current = page.locator(".tabs [aria-current]")
    assert current.evaluate("element => getComputedStyle(element).borderBottomStyle") == "solid"
