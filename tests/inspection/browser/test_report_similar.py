"""Similar indications on the card, and the gallery of a class."""

from pathlib import Path

import pandas as pd
import pytest
from browsing import axe
from large_reports import enlarge
from pages import current, open_page
from playwright.sync_api import Page, expect

THIN = "\u202f"


def test_a_card_leads_to_the_indications_that_look_alike(page: Page, report: Path) -> None:
    open_page(page, report, "card=6")
    rows = pd.read_parquet(report / "similar.parquet")
    black = rows[rows["strip_id"] == "coil B/black.png"]
    card = page.locator(".card.current")
    thumbs = card.locator(".similar .thumb")
    expect(thumbs).to_have_count(len(black))
    told = [f"{value:.0%}".replace("%", f"{THIN}% alike") for value in black["similarity"]]
    assert [text.split("\n")[-1] for text in thumbs.all_inner_texts()] == told
    thumbs.first.locator("img").evaluate("image => image.decode()")
    first = thumbs.first.inner_text().split(",")[0].removeprefix("No. ")
    thumbs.first.click()
    assert current(page) == first


def test_the_gallery_shows_all_of_a_class_and_leads_to_the_card(page: Page, report: Path) -> None:
    open_page(page, report, "card=6")
    page.get_by_role("button", name="Gallery").click()
    dialog = page.locator("#gallery")
    expect(dialog.locator("option")).to_have_text(["class 1 (5)", "class 2 (1)"])
    expect(dialog.locator("select")).to_have_value("2")
    expect(dialog.locator(".thumb")).to_have_count(1)
    dialog.locator("select").select_option("1")
    expect(dialog.locator(".thumb")).to_have_count(5)
    assert axe(page) == []
    dialog.locator(".thumb").nth(3).click()
    expect(dialog).to_be_hidden()
    assert current(page) == "4"


@pytest.mark.slow
def test_the_gallery_of_thousands_holds_what_is_in_sight(
    page: Page, report: Path, tmp_path: Path
) -> None:
    enlarge(report, tmp_path / "large", 3000)
    open_page(page, tmp_path / "large")
    page.get_by_role("button", name="Gallery").click()
    thumbs = page.locator("#gallery .thumb")
    thumbs.first.wait_for()
    assert 20 < thumbs.count() < 150
    page.locator(".gallery-view").evaluate("view => view.scrollTo(0, view.scrollHeight)")
    last = page.locator("#gallery .thumb").last
    expect(last).to_be_visible()
    page.wait_for_function(
        "Number(document.querySelector('#gallery .gallery-row:last-child .thumb').innerText"
        ".match(/[0-9]+/)[0]) > 2000"
    )
    assert thumbs.count() < 150
