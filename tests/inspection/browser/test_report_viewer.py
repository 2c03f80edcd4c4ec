"""A strip that was accepted can be checked: at full size, with the probabilities of every patch."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from browsing import axe
from pages import make_report, open_page
from playwright.sync_api import Page, expect

from inspection.report.single import write_single_file
from inspection.store.reading import open_report

THIN = "\u202f"
PLAIN = "coil B/plain.png"


@pytest.fixture(scope="module")
def patches(report: Path) -> pd.DataFrame:
    rows = pd.read_parquet(report / "results.parquet")
    return rows[rows["strip_id"] == PLAIN].reset_index(drop=True)


def open_plain(page: Page) -> None:
    page.get_by_role("button", name="plain.png").first.click()
    expect(page.locator("#viewer")).to_be_visible()


def said(value: float) -> str:
    return f"{value:.0%}".replace("%", f"{THIN}%")


def test_an_accepted_strip_opens_at_full_resolution(page: Page, report: Path) -> None:
    open_page(page, report)
    open_plain(page)
    raw = page.locator("#viewer img.raw")
    raw.evaluate("image => image.decode()")
    assert raw.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [1600, 256]
    assert raw.evaluate("image => image.getBoundingClientRect().width") == 1600
    expect(page.locator("#viewer .rule")).to_contain_text("0 of 7 patches flagged")
    expect(page.locator("#viewer [data-text=reduced]")).to_be_hidden()


def test_the_probabilities_of_every_patch_on_demand(
    page: Page, report: Path, patches: pd.DataFrame
) -> None:
    open_page(page, report)
    open_plain(page)
    assert page.locator("script[src*=tiles-]").count() == 0, "they are loaded when asked for"
    page.get_by_role("button", name="Probabilities of all patches").click()
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(7)
    names = {"p_normal": "normal", **{f"p_class_{n}": f"class {n}" for n in range(1, 5)}}
    shares = patches[list(names)]
    best = [f"{names[column]} {said(value)}" for column, value in
            zip(shares.idxmax(axis=1), shares.max(axis=1), strict=True)]  # fmt: skip
    assert tiles.all_inner_texts() == best
    lefts = tiles.evaluate_all("tiles => tiles.map((tile) => tile.offsetLeft)")
    assert lefts == patches["left"].tolist()
    tiles.nth(2).hover()
    told = page.locator(".tile-told")
    row = patches.loc[2]
    expect(told).to_contain_text(f"448–704{THIN}px")
    expect(told).to_contain_text(f"classified as {best[2].replace(' ', ', ', 1)}, not flagged")
    for column, name in names.items():
        expect(told).to_contain_text(f"{name} {said(row[column])}")
    expect(told).to_contain_text(f"any defect {said(1 - row['p_normal'])}")
    tiles.first.focus()
    page.keyboard.press("ArrowRight")
    expect(told).to_contain_text(f"224–480{THIN}px")
    assert axe(page) == []
    page.keyboard.press("p")
    expect(tiles.first).to_be_hidden()
    expect(page.get_by_role("button", name="Probabilities of all")).to_have_attribute(
        "aria-pressed", "false"
    )


def test_a_patch_that_is_unsure_leads_to_its_place_on_the_strip(page: Page, report: Path) -> None:
    open_page(page, report)
    row = page.locator(".near tbody tr", has_text=PLAIN).last
    left = int(row.locator("[data-left]").get_attribute("data-left") or "")
    row.get_by_role("button").click()
    expect(page.locator(".tile:focus")).to_have_count(1)
    assert page.locator(".tile:focus").evaluate("tile => tile.offsetLeft") == left
    place = f"{left:,}–{left + 256:,}{THIN}px".replace(",", THIN)
    expect(page.locator(".tile-told")).to_contain_text(place)
    expect(page.locator(".tile-told")).to_contain_text("not flagged, but unsure")
    page.locator("#viewer").get_by_role("button", name="Close").click()
    expect(page.locator("#viewer")).to_be_hidden()


@pytest.mark.slow
def test_they_are_in_a_single_file_too(page: Page, report: Path, tmp_path: Path) -> None:
    write_single_file(open_report(report), tmp_path / "page.html")
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    open_plain(page)
    page.get_by_role("button", name="Probabilities of all patches").click()
    expect(page.locator(".tile")).to_have_count(7)


@pytest.mark.slow
def test_a_report_without_them_says_so(
    page: Page, report: Path, tmp_path: Path, problems: list[str]
) -> None:
    shutil.copytree(report, tmp_path / "copy")
    (tmp_path / "copy" / "data" / "tiles-0.js").unlink()
    open_page(page, tmp_path / "copy")
    open_plain(page)
    page.get_by_role("button", name="Probabilities of all patches").click()
    expect(page.locator(".tile-told")).to_contain_text("cannot be loaded")
    problems[:] = [problem for problem in problems if "ERR_FILE_NOT_FOUND" not in problem]


@pytest.mark.slow
def test_a_reduced_strip_is_called_so(page: Page, tmp_path: Path) -> None:
    report = make_report(tmp_path, strip_pictures="explained")
    open_page(page, report)
    open_plain(page)
    expect(page.locator("#viewer [data-text=reduced]")).to_be_visible()
