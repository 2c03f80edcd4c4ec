"""A report of strips whose coil is known."""

from pathlib import Path

import pytest
from pages import current, open_page
from playwright.sync_api import Page
from toy_reports import report_of
from toys import FakeExplainer, strip, write_strip

COIL = "coil: 48213\nheat: A7\nwidth_mm: 1250\nside: {side}\nmetres_per_strip: 0.512\n"


@pytest.fixture(scope="module")
def coil_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sides of six strips of 1024 px, 0.5 mm each; class 1 every 0.8 m on the top."""
    root = tmp_path_factory.mktemp("coil")
    for side in ("top", "bottom"):
        for number in range(8):
            begin = 1024 * number
            at = [round(x) - begin for x in range(200, 8192, 1600) if 0 <= x - begin < 1000]
            bright = [*at] if side == "top" else [600] if number == 2 else []
            write_strip(root / "batch" / side / f"{number}.png", strip(1024, bright=bright))
        (root / "batch" / side / "coil.yaml").write_text(COIL.format(side=side))
    report_of(root / "batch", root / "report", FakeExplainer(), mm_per_px=0.5)
    return root / "report"


def test_the_coil_is_told_drawn_and_leads_to_its_cards(page: Page, coil_report: Path) -> None:
    open_page(page, coil_report)
    facts = page.locator(".coil-facts").all_inner_texts()
    assert facts == ["Coil 48213 · heat A7 · 1\u202f250 mm wide"]
    bands = page.locator("#coil-maps .band")
    assert [band.split("\n")[0] for band in bands.all_inner_texts()] == ["top", "bottom"]
    assert bands.nth(0).locator(".strip-block").count() == 8
    place = bands.nth(1).locator(".place")
    assert place.count() == 1
    number = place.get_attribute("data-card")
    place.click()
    assert current(page) == number
    card = page.locator("#cards .card.current")
    assert "m from the head" in card.inner_text()
    row = page.locator("#coils tbody tr").nth(1).locator("td")
    assert row.nth(0).inner_text() == "bottom"
    assert row.nth(1).inner_text() == "4.1 m"
