"""The report in a browser, from disk: lists, filters, keys, the address, pictures."""

import re
from pathlib import Path

import numpy as np
import pytest
from browsing import axe
from pages import HOSTILE, cards, current, open_page, press
from playwright.sync_api import Browser, Page, expect

from inspection.store.reading import open_report
from severstal_prep.images import read_image
from sise.overlay import PALETTES, overlay


def shares(texts: list[str]) -> list[int]:
    """The numbers of "64 %" and "> 99 %"."""
    return [int(re.sub(r"\D", "", text)) for text in texts]


def test_every_indication_has_a_card_and_every_strip_a_row(page: Page, report: Path) -> None:
    open_page(page, report)
    expect(page.locator("h1")).to_have_text("batch")
    expect(page.locator("#matches")).to_have_text("6 shown")
    rows = page.locator("#strip-map .row")
    expect(rows).to_have_count(9)
    assert page.locator("#strip-map .mark").count() == 6
    assert "not inspected:" in rows.last.inner_text()
    names = page.locator("#strip-map .name").all_inner_texts()
    assert HOSTILE in names
    first = cards(page).first
    expect(first.locator("h3")).to_contain_text("class 1")
    assert "coil A/0.png · 224–480\u202fpx, 112\u202fmm to 240\u202fmm" in first.inner_text()
    assert first.get_attribute("aria-setsize") == "6"
    assert page.locator("img:not([alt])").count() == 0


def test_pictures_are_there(page: Page, report: Path) -> None:
    open_page(page, report)
    first = cards(page).first
    first.locator("img.over").wait_for()
    assert first.locator(":is(.look, .where) img").count() == 4
    page.wait_for_function(
        "[...document.querySelectorAll('#cards .card:first-child :is(.look, .where) img')]"
        ".every((image) => image.complete && image.naturalWidth > 0)"
    )
    region = first.locator(".outline path.region").get_attribute("d")
    assert region is not None
    assert region.startswith("M ")


def test_a_mark_on_the_strip_map_leads_to_its_card(page: Page, report: Path) -> None:
    open_page(page, report)
    page.locator("#strip-map .row").nth(3).locator(".mark").first.click()
    card = page.locator("#cards .card.current")
    assert "coil A/3.png" in card.inner_text()
    expect(card).to_be_focused()
    expect(card).to_be_in_viewport(ratio=0.5)
    assert "card=" in page.url


def test_filters_narrow_the_list_and_stay_in_the_address(page: Page, report: Path) -> None:
    open_page(page, report)
    page.locator("[data-class='1']").uncheck()
    expect(page.locator("#matches")).to_have_text("1 of 6 shown")
    assert "class=2" in page.url
    expect(cards(page)).to_have_count(1)
    expect(cards(page).locator(".notice")).to_contain_text("No map: no feature map of the model")
    page.reload()
    expect(page.locator("#matches")).to_have_text("1 of 6 shown")
    expect(page.locator("[data-class='1']")).not_to_be_checked()
    page.locator("[data-class='1']").check()
    assert "class" not in page.url
    page.fill("[data-state=q]", "A/2")
    expect(page.locator("#matches")).to_have_text("1 of 6 shown")
    page.fill("[data-state=q]", "nothing like it")
    expect(page.locator("#nothing")).to_be_visible()
    page.click("[data-act=reset]")
    expect(page.locator("#matches")).to_have_text("6 shown")
    page.select_option("[data-state=weak]", "yes")
    expect(cards(page).first.locator(".badge.weak")).to_have_text("weak explanation")


def test_another_order(page: Page, report: Path) -> None:
    open_page(page, report, "view=table")
    lines = page.locator("#table .line:not(.head)")
    expect(lines).to_have_count(6)
    assert lines.locator("a").all_inner_texts() == [str(number) for number in range(1, 7)]
    page.locator("#table .head button", has_text="Probability").click()
    head = page.locator("#table [aria-sort=ascending]")
    expect(head).to_have_text("Probability")
    scores = shares(lines.locator(":nth-child(3)").all_inner_texts())
    assert scores == sorted(scores)
    page.locator("#table .head button", has_text="Probability").click()
    assert "sort=-score" in page.url
    scores = shares(lines.locator(":nth-child(3)").all_inner_texts())
    assert scores == sorted(scores, reverse=True)
    # Without a map there is no drop: such lines come last either way.
    for direction in ("drop", "-drop"):
        open_page(page, report, f"view=table&sort={direction}")
        page.reload()
        expect(lines.last.locator(":nth-child(6)")).to_have_text("no map")


def test_the_table_leads_to_cards(page: Page, report: Path) -> None:
    open_page(page, report, "view=table")
    page.locator("#table .line a", has_text="4").click()
    expect(page.locator("#cards .card.current [data-text=number]")).to_have_text("4")
    expect(page.locator("#table")).to_be_hidden()


def test_keys_move_and_change_the_look(page: Page, report: Path) -> None:
    open_page(page, report)
    press(page, "jjj")
    assert current(page) == "3"
    press(page, "k")
    assert current(page) == "2"
    expect(page.locator(".card.current")).to_be_focused()
    over = page.locator(".card.current img.over").first
    expect(over).to_have_css("opacity", "1")
    press(page, "o")
    expect(page.locator(".card.current img.over").first).to_have_css("opacity", "0")
    assert "overlay=0" in page.url
    press(page, "o")
    assert "inferno" in over.evaluate("(image) => getComputedStyle(image).filter")
    press(page, "p")
    filter_now = "(image) => getComputedStyle(image).filter"
    assert "magma" in page.locator(".card.current img.over").first.evaluate(filter_now)
    press(page, "t")
    captions = page.locator(".card.current figcaption").all_inner_texts()
    assert captions == ["Steel", "Map of class 1", "Map of normal"]
    press(page, "g")
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.locator("#viewer h2")).to_have_text("coil A/1.png")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    press(page, "/")
    expect(page.locator("[data-state=q]")).to_be_focused()
    page.keyboard.type("jk")
    expect(page.locator("[data-state=q]")).to_have_value("jk")


def test_keys_can_be_switched_off(page: Page, report: Path) -> None:
    open_page(page, report)
    press(page, "?")
    expect(page.locator("#help")).to_be_visible()
    page.locator("#help input").uncheck()
    page.locator("#help [data-act=close]").click()
    press(page, "j")
    assert page.locator(".card.current").count() == 0
    page.reload()
    press(page, "j")
    assert page.locator(".card.current").count() == 0


def test_a_cards_own_slider_moves_that_card_alone(page: Page, report: Path) -> None:
    open_page(page, report)
    first, second = cards(page).nth(0), cards(page).nth(1)
    first.locator("input[type=range]").fill("40")
    expect(first.locator("img.over").first).to_have_css("opacity", "0.4")
    expect(second.locator("img.over").first).to_have_css("opacity", "1")
    page.locator("[data-state=overlay]").fill("70")
    expect(first.locator("img.over").first).to_have_css("opacity", "0.7")
    expect(second.locator("img.over").first).to_have_css("opacity", "0.7")


def test_an_address_leads_back(page: Page, report: Path) -> None:
    open_page(page, report, "card=5&palette=viridis")
    assert current(page) == "5"
    expect(page.locator(".card.current")).to_be_in_viewport(ratio=0.5)
    expect(page.locator("[data-state=palette]")).to_have_value("viridis")
    # A card that the filters hide is shown all the same, when a mark leads to it.
    open_page(page, report, "q=black")
    page.reload()
    expect(page.locator("#matches")).to_have_text("1 of 6 shown")
    page.locator("#strip-map .mark").first.click()
    assert current(page) == "1"
    expect(page.locator("#matches")).to_have_text("6 shown")


def test_sections_are_reached_without_losing_the_state(page: Page, report: Path) -> None:
    open_page(page, report, "palette=cividis")
    page.click("nav.sections a[href='#identity']")
    expect(page.locator("#identity")).to_be_focused()
    page.wait_for_function("document.querySelector('#identity').getBoundingClientRect().top < 300")
    assert page.url.endswith("#palette=cividis")


def test_the_strip_opens_whole(page: Page, report: Path) -> None:
    open_page(page, report)
    page.locator("#strip-map .name", has_text="black.png").click()
    viewer = page.locator("#viewer")
    expect(viewer.locator("h2")).to_have_text("coil B/black.png")
    expect(viewer.locator(".rule")).to_contain_text("Proposed: hold. rule 3")
    assert viewer.locator(".mark").count() >= 1
    viewer.locator(".mark").first.click()
    expect(viewer).to_be_hidden()
    assert "coil B/black.png" in page.locator(".card.current").inner_text()
    page.locator("#strip-map .name", has_text="torn").click()
    expect(viewer.locator(".rule")).to_contain_text("Not inspected:")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing_serious(page: Page, report: Path, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    open_page(page, report, "card=2")
    press(page, "t")
    assert axe(page) == []
    open_page(page, report, "view=table")
    page.reload()
    assert axe(page) == []
    page.locator("#strip-map .name").first.click()
    assert axe(page) == []
    page.keyboard.press("Escape")
    press(page, "?")
    assert axe(page) == []


def test_nothing_moves_by_itself(page: Page, report: Path) -> None:
    """So that there is nothing to reduce for those who ask for reduced motion."""
    open_page(page, report)
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].map((element) => getComputedStyle(element))"
        ".filter((style) => style.animationName !== 'none' || style.scrollBehavior === 'smooth'"
        " || parseFloat(style.transitionDuration) > 0).length"
    )
    assert moving == 0


def test_without_scripts_tables_stand_for_lists(browser: Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((report / "index.html").as_uri())
    for hidden in ("#cards", "#toolbar", "#strip-map"):
        expect(page.locator(hidden)).to_be_hidden()
    words = page.inner_text("#indications")
    assert "Without scripts, this table stands for the cards." in words
    assert words.count("coil A/") >= 5
    assert HOSTILE in page.inner_text("#strips")
    assert page.locator("#rates svg").count() == 3
    context.close()


def test_paper_gets_the_table_and_the_first_cards(page: Page, report: Path) -> None:
    open_page(page, report, "print=3")
    page.emulate_media(media="print")
    printed = page.locator(".printed-cards .card")
    expect(printed).to_have_count(3)
    assert page.locator("#printed-cards .line:not(.head)").count() == 6
    for hidden in ("#toolbar", "nav.sections", "#cards", ".skip"):
        expect(page.locator(hidden)).to_be_hidden()
    # The patch alone, and with its map: paper has no slider.
    expect(printed.first.locator(".picture")).to_have_count(2)
    expect(printed.first.locator("h3")).to_be_visible()
    # Of what can be pressed, only the strip with the patch's place is printed.
    pressed = page.locator(".printed-cards :is(button, input):visible")
    assert pressed.count() == 3
    assert page.locator(".printed-cards .where:visible").count() == 3


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_a_narrow_screen_does_not_scroll_sideways(page: Page, report: Path, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page, report, "card=1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert axe(page) == []


@pytest.mark.parametrize("palette", PALETTES)
def test_the_pages_colours_are_those_of_the_library(
    page: Page, report: Path, palette: str, tmp_path: Path
) -> None:
    """The SVG filter over the grey map, against `sise.overlay.overlay`, pixel by pixel."""
    open_page(page, report, f"palette={palette}")
    card = cards(page).first
    stack = card.locator(".stack", has=page.locator(".over"))
    page.add_style_tag(
        content=".outline, .picture:first-child { display: none } .pictures { display: block }"
        " .picture .stack { width: 256px; border-radius: 0 }"
    )
    page.wait_for_function(
        "[...document.querySelectorAll('#cards .card:first-child .stack img')]"
        ".every((image) => image.complete && image.naturalWidth > 0)"
    )
    stack.screenshot(path=tmp_path / "stack.png")
    patch = open_report(report).patches.query("flagged").iloc[0]
    raw = read_image(report / patch["raw_path"])
    heat = read_image(report / patch["map_path"])[:, :, 0] / 255
    seen = read_image(tmp_path / "stack.png")[: raw.shape[0], : raw.shape[1]].astype(int)
    difference = np.abs(seen - overlay(raw, heat, palette=palette))
    assert heat.max() == 1.0
    # 33 steps stand for 256; where the map jumps, the browser's position may be off by a part.
    assert np.percentile(difference, 99) <= 6
    assert difference.mean() < 1
