"""Who decides: asked for once a shift, and never answered by keys that were meant as decisions."""

import json
from pathlib import Path

import pytest
from browsing import axe
from pages import answer, cards, open_page, press
from playwright.sync_api import Page, expect

HOUR_MS = 3600 * 1000


def test_the_first_decision_asks_for_the_name_and_is_made(page: Page, report: Path) -> None:
    page.clock.install()
    open_page(page, report, "card=1&advance=off")
    first = cards(page).first
    page.clock.pause_at("2100-01-01")
    press(page, "j")
    press(page, "kc")
    expect(page.locator("#ask h2")).to_have_text("Who decides?")
    field = page.locator("#ask .answer")
    expect(field).to_be_focused()
    for key in ("x", "j", "c", "Enter"):  # in haste: meant for the cards
        page.keyboard.press(key)
    expect(field).to_have_value("")
    page.clock.run_for(700)
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_contain_text("Please enter your name.")
    page.keyboard.type("  A.  Smith ")
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_be_hidden()
    expect(first.locator(".log li")).to_contain_text("Patch: confirmed, class 1, A. Smith, ")
    expect(first).to_be_focused()
    expect(first.locator(".saving")).to_have_text("Saved in this browser")
    page.keyboard.press("x")
    expect(first.locator(".log li")).to_contain_text("Patch: no defect, A. Smith, ")
    # Another shift is asked anew; whoever is the same says so.
    page.clock.run_for(8 * HOUR_MS)
    press(page, "c")
    expect(page.locator("#ask")).to_contain_text("The name of the last shift was A. Smith.")
    page.click("#ask [data-act=offer]")
    expect(first.locator(".log li")).to_contain_text("Patch: confirmed")
    expect(page.locator("#signer")).to_have_text("A. Smith · not you?")


@pytest.mark.slow
def test_a_question_can_be_left_and_a_name_changed(page: Page, report: Path) -> None:
    page.add_init_script(f"localStorage['steel-sise reviewer'] ??= {json.dumps('A. Smith')}")
    open_page(page, report, "card=1&advance=off")  # as an older version kept it
    press(page, "c")
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_be_hidden()
    assert cards(page).first.locator(".log li").count() == 0
    page.click("#signer button")
    answer(page, "A. Smith")
    page.get_by_role("button", name="A. Smith · not you?").click()
    answer(page, "B. Jones")
    expect(page.locator("#signer button")).to_be_focused()
    press(page, "c")
    expect(cards(page).first.locator(".log li")).to_contain_text("B. Jones")
