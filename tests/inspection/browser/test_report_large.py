"""A thousand and ten thousand indications; one file; paper. Speed is in benchmarks/report."""

import re
from pathlib import Path

import pytest
from browsing import axe
from large_reports import enlarge
from pages import cards, current, make_report, open_page, press
from playwright.sync_api import Page, expect

from inspection import cli


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module", params=[1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def many(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def large(many: int, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return enlarge(small, tmp_path_factory.mktemp("large") / "report", many).parent


def in_words(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def test_a_large_report_keeps_the_page_small(page: Page, large: Path, many: int) -> None:
    open_page(page, large)
    expect(page.locator("#matches")).to_have_text(f"{in_words(many)} shown")
    count = "document.querySelectorAll('*').length"
    at_first = page.evaluate(count)
    assert at_first < 15_000
    assert cards(page).count() < 12
    for share in (0.2, 0.5, 0.9, 0.4):
        page.evaluate(f"scrollTo(0, {share} * document.documentElement.scrollHeight)")
        page.wait_for_timeout(100)
        expect(cards(page).first).to_be_attached()
        assert cards(page).count() < 20
    assert page.evaluate(count) < at_first + 3_000


def test_the_last_of_many_is_a_key_away(page: Page, large: Path, many: int) -> None:
    open_page(page, large, f"card={many}")
    assert current(page) == str(many)
    expect(page.locator(".card.current")).to_be_in_viewport(ratio=0.5)
    press(page, "k")
    assert current(page) == str(many - 1)
    expect(page.locator(".card.current")).to_be_in_viewport(ratio=0.5)
    expect(page.locator(".card.current")).to_be_focused()
    assert page.locator(".card.current").get_attribute("aria-posinset") == str(many - 1)
    # Places further on are reached too: the list ends.
    page.click("nav.sections a[href='#limits']")
    expect(page.locator("#limits")).to_be_in_viewport()


def test_the_table_and_the_map_of_many_are_lists_too(page: Page, large: Path, many: int) -> None:
    open_page(page, large, "view=table&sort=-score")
    lines = page.locator("#table .line:not(.head)")
    assert 5 < lines.count() < 80
    assert page.locator("#table").get_attribute("aria-rowcount") == str(many + 1)
    rows = page.locator("#strip-map .row")
    assert 5 < rows.count() < 80
    expect(page.locator("#strip-map .coil").first).to_contain_text("coil-001")
    page.locator("#strip-map .map-rows").evaluate("(e) => e.scrollTo(0, e.scrollHeight)")
    expect(page.locator("#strip-map .row").last).to_contain_text(re.compile(r"\d{5}\.jpg"))
    page.locator("#strip-map .mark").last.click()
    expect(page.locator("#table .line.current")).to_be_in_viewport()


def test_search_among_many(page: Page, large: Path, many: int) -> None:
    open_page(page, large)
    page.fill("[data-state=q]", "coil-003/00085")
    expect(page.locator("#matches")).to_contain_text(f"of {in_words(many)} shown")
    expect(cards(page).first).to_contain_text("coil-003/00085.jpg")


@pytest.mark.parametrize("view", ["table", pytest.param("cards", marks=pytest.mark.slow)])
@pytest.mark.parametrize("width", [1280, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_filter_far_down_the_list_leads_to_what_it_lets_through(
    page: Page, large: Path, view: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_page(page, large, f"view={view}")
    page.evaluate("scrollTo(0, 0.6 * document.documentElement.scrollHeight)")
    page.wait_for_timeout(100)
    page.evaluate("setState({ q: 'coil-003/00085' })")
    expect(page.locator("#matches")).to_contain_text("of ")
    first = page.locator(f"#{view} :is(.line:not(.head), .card)").first
    expect(first).to_contain_text("coil-003/00085.jpg")
    # Its upper edge lies below what sticks to the top, and in sight.
    page.wait_for_timeout(100)
    edges = page.evaluate(
        "([view, own]) => [...document.querySelectorAll('.toolbar, #table .head, ' + own)]"
        ".filter((element) => element.offsetParent)"
        ".map((element) => element.getBoundingClientRect()).map((box) => [box.top, box.bottom])",
        [view, f"#{view} [data-index='0']"],
    )
    (top, _), above = edges[-1], edges[:-1]
    assert top >= max(bottom for _, bottom in above) - 1
    assert top < 500


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_on_a_large_report(page: Page, large: Path, many: int, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    open_page(page, large, f"card={many // 2}")
    assert axe(page) == []


@pytest.mark.slow
def test_one_file_shows_what_the_folder_shows(page: Page, small: Path, tmp_path: Path) -> None:
    out = tmp_path / "один файл.html"
    assert cli.main(["report", str(small), "--single-file", str(out)]) == 0
    page.goto(out.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    expect(page.locator("#matches")).to_have_text("6 shown")
    press(page, "jjt")
    assert current(page) == "2"
    page.wait_for_function(
        "[...document.querySelectorAll('.card.current img, #strip-map img')]"
        ".every((image) => image.complete && image.naturalWidth > 0)"
    )
    assert page.locator(".card.current :is(.look, .where) img").count() == 6
    sources = page.locator("#cards img").evaluate_all("(all) => all.map((image) => image.src)")
    assert all(source.startswith("data:image/") for source in sources)


@pytest.mark.slow
def test_a_report_on_paper(small: Path, tmp_path: Path, chromium: str) -> None:
    out = tmp_path / "report.pdf"
    assert cli.main(["report", str(small), "--pdf", str(out), "--cards", "2"]) == 0
    content = out.read_bytes()
    assert content.startswith(b"%PDF")
    pages = [int(count) for count in re.findall(rb"/Count (\d+)", content)]
    assert 4 <= max(pages) <= 12
    # Pictures of two cards: the patch twice (alone, and under its map), and the map.
    assert content.count(b"/Subtype /Image") >= 4
