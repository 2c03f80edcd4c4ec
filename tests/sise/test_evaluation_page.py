"""The page: what it says, that it escapes everything, and that it asks for nothing."""

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from evaluation_rows import rows

from sise.evaluation.page import Picture, Scale, grouped, render, scale_of
from sise.evaluation.paper import reported
from sise.evaluation.summary import summarise
from sise.evaluation.summary_types import Summary

CARD: dict[str, Any] = {
    "created": "2026-01-02",
    "command": "sise evaluate --data 'a & <b>'",
    "bundle": {"architecture": "resnet50", "classes": ["a", "b"], "dataset": {"seed": 0}},
    "unreadable": [],
    "versions": {"torch": "2.15"},
}
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def summary() -> Summary:
    base = np.tile([0.4, 0.6], 5)
    return summarise(
        rows(
            {
                "sise": {"ebpg": list(base), "drop@blur": list(base)},
                "rise": {"ebpg": list(base + 0.2), "drop@blur": [np.nan] * 10},
                "noise": {"ebpg": list(base - 0.2), "drop@blur": list(base)},
            },
            [EVIL, "b"] * 5,
        ),
        resamples=200,
    )


class Reader(HTMLParser):
    """Every tag opened, checked against its closing, and what the page refers to."""

    VOID = ("meta", "link", "img", "br", "line", "circle")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_it_is_whole_and_refers_to_nothing_outside(summary: Summary) -> None:
    picture = Picture("maps.jpg", "maps", "first of each class")
    html = render(summary, "NEU-DET", CARD, reported("PASCAL VOC 2007, test", "vgg16"), [picture])
    reader = read(html)
    assert set(reader.references) == {"data:,", "maps.jpg", *(f"#{name}" for name in reader.ids)}
    assert reader.ids == [
        "paper", "further", "beside", "standing", "trivial", "classes", "cost", "pictures", "run",
        "reading",
    ]  # fmt: skip
    assert not re.search(r"url\(|@import|<script|https?://", html)


def test_names_from_outside_are_escaped(summary: Summary) -> None:
    html = render(summary, EVIL, CARD, pictures=[Picture("x.jpg", f'"{EVIL}', EVIL)])
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5
    assert "sise evaluate --data &#39;a &amp; &lt;b&gt;&#39;" in html


def test_cells_hold_mean_interval_mark_and_drawing(summary: Summary) -> None:
    html = render(summary, "x", CARD)
    paper = html[html.index('id="paper"') : html.index('id="further"')]
    rise = paper[paper.index('<th scope="row">RISE') : paper.index(">noise<")]
    assert '<span class="v best">70.0</span>' in rise
    assert "better than SISE by 20.0 [+20.0, +20.0], corrected p 0.006" in rise
    place = scale_of([summary.whole], summary.columns[0]).at(0.7)
    assert f'<circle cx="{place}"' in rise
    assert rise.count('class="reference"') == 1
    assert 'class="v second">50.0' in paper


def test_an_undefined_metric_is_a_dash_without_a_drawing(summary: Summary) -> None:
    html = render(summary, "x", CARD)
    further = html[html.index('id="further"') : html.index('id="standing"')]
    rise = further[further.index('<th scope="row">RISE') : further.index(">noise<")]
    assert ">–</span>" in rise
    assert "<svg" not in rise


def test_what_does_not_apply_is_left_out() -> None:
    html = render(summarise(rows({"rise": {"border": [1.0]}}), resamples=20), "x", {})
    assert read(html).ids == ["further", "cost", "run", "reading"]
    assert "None" not in html
    assert "nan" not in html


def test_a_scale_keeps_room_at_its_edges() -> None:
    assert [Scale(0.2, 0.6).at(value) for value in (0.2, 0.4, 0.6)] == ["4.00%", "50.00%", "96.00%"]
    assert Scale(1.0, 1.0).at(1.0) == "50.00%"


def test_a_card_is_listed_by_group() -> None:
    assert grouped(CARD) == {
        "evaluation": [("created", "2026-01-02"), ("unreadable", "–")],
        "bundle": [("architecture", "resnet50"), ("classes", "a, b"), ("dataset.seed", "0")],
        "versions": [("torch", "2.15")],
    }
