"""An image of several rows of patches: where its indications are shown."""

from pathlib import Path

import numpy as np
import pytest
from pages import cards, open_page
from playwright.sync_api import Page, expect
from toy_reports import report_of
from toys import BRIGHT, GREY, FakeExplainer, write_strip


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    """512×300 px, bright in the corner that the lower right patch alone sees whole."""
    pixels = np.full((300, 512, 3), GREY, np.uint8)
    pixels[236:, 448:] = BRIGHT
    write_strip(tmp_path / "batch" / "plate.png", pixels)
    report_of(tmp_path / "batch", tmp_path / "report", FakeExplainer(), mm_per_px=None)
    return tmp_path / "report"


def test_marks_lie_on_their_patches(page: Page, plate: Path) -> None:
    open_page(page, plate)
    expect(cards(page)).to_have_count(1)
    assert "256–512 × 44–300\u202fpx" in cards(page).first.inner_text()
    assert "at 448, 236" in cards(page).first.inner_text()
    mark, bar = page.locator("#strip-map .mark"), page.locator("#strip-map .bar")
    check_place(mark.bounding_box(), bar.bounding_box())
    box = bar.bounding_box()
    assert box is not None
    assert box["width"] / box["height"] == pytest.approx(512 / 300, rel=0.02)
    where = cards(page).first.locator(".where")
    check_place(where.locator("span").bounding_box(), where.bounding_box())


def check_place(inner: dict[str, float] | None, outer: dict[str, float] | None) -> None:
    """The inner box lies from 256 to 512 of 512 and from 44 to 300 of 300 of the outer one."""
    assert inner is not None
    assert outer is not None
    assert inner["x"] == pytest.approx(outer["x"] + outer["width"] / 2, abs=1.5)
    assert inner["y"] == pytest.approx(outer["y"] + outer["height"] * 44 / 300, abs=1.5)
    assert inner["x"] + inner["width"] == pytest.approx(outer["x"] + outer["width"], abs=1.5)
    assert inner["y"] + inner["height"] == pytest.approx(outer["y"] + outer["height"], abs=1.5)
