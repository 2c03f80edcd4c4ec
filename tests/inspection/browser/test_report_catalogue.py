"""Classes as a mill calls them: names, colours and pictures of the policy's defect catalogue."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pages import cards, open_page, press, sign
from playwright.sync_api import Page
from toy_reports import report_of
from toys import FakeExplainer, strip, write_strip

from inspection.errors import PolicyError
from inspection.store.verify import check_files

POLICY = """
name: mill
version: 1
rules: [{name: any, disposition: hold}]
classes:
  class 1: {name: "<b>scratch</b>", colour: "#7a1fa2", pictures: [looks/scratch.jpg]}
"""


def made(root: Path, picture: str = "looks/scratch.jpg") -> Path:
    write_strip(root / "batch" / "a.png", strip(1024, bright=[300]))
    (root / "looks").mkdir()
    cv2.imwrite(str(root / "looks" / "scratch.jpg"), np.full((64, 96), 90, np.uint8))
    (root / "policy.yaml").write_text(POLICY.replace("looks/scratch.jpg", picture))
    report_of(root / "batch", root / "report", FakeExplainer(), root / "policy.yaml")
    return root / "report"


def test_the_page_speaks_of_classes_as_the_mill_does(page: Page, tmp_path: Path) -> None:
    report = made(tmp_path)
    open_page(page, report)
    card = cards(page).first
    assert card.locator("h3").inner_text().startswith("<b>scratch</b>")
    assert "Confirm <b>scratch</b>" in card.inner_text()
    colour = "getComputedStyle(document.documentElement).getPropertyValue('--k1').trim()"
    assert page.evaluate(colour) == "#7a1fa2"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour).startswith("color-mix(")
    page.click("[data-act=catalogue]")
    picture = page.locator("#catalogue img")
    assert picture.count() == 1
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 96
    page.keyboard.press("Escape")
    # What is kept has the model's names.
    sign(page)
    press(page, "j2")
    kept = page.evaluate("entries.map((entry) => entry.class)")
    assert kept == ["class 2"]
    assert "it is class 2" in cards(page).first.inner_text()
    record = json.loads((report / "batch.json").read_text("utf-8"))
    (path,) = record["policy"]["classes"]["class 1"]["pictures"]
    assert (report / path).is_file()
    assert {finding.state for finding in check_files(report)} == {"same"}


@pytest.mark.parametrize("picture", ["looks/none.jpg", "../outside.jpg", "policy.yaml"])
def test_a_picture_that_is_none_is_told(tmp_path: Path, picture: str) -> None:
    cv2.imwrite(str(tmp_path / "outside.jpg"), np.full((64, 96), 90, np.uint8))
    (tmp_path / "in").mkdir()
    with pytest.raises(PolicyError, match="no whole JPEG beside the policy or below"):
        made(tmp_path / "in", picture)
