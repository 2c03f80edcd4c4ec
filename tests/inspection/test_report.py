import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from toys import CLASSES, FakeExplainer, strip, write_strip

from inspection.report.build import build, class_marks
from inspection.report.model import ClassMark
from inspection.report.render import render
from inspection.run import Finished

Inspect = Callable[..., Finished]
HOSTILE = ("<b>x&\"'.png", "=cmd().png", "{{ 7*7 }}.png", "a%2e b#c?.png", "Лист 7.png")
VOID = {"meta", "link", "img", "input", "br", "use", "circle", "rect", "path", "hr"}


class Page(HTMLParser):
    """Collects elements and checks that they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def having(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]

    def tags(self, tag: str, css: str = "") -> list[dict[str, str]]:
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and (not css or css in attributes.get("class", "").split())
        ]

    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    for number, name in enumerate(HOSTILE):
        write_strip(tmp_path / "b" / name, strip(512, bright=[20 + number]))
    write_strip(tmp_path / "b" / "coil" / "wide.png", strip(1024, black=[900]))
    write_strip(tmp_path / "b" / "coil" / "plain.png", strip(256))
    (tmp_path / "b" / "coil" / "<i>bad.jpg").write_bytes(b"")
    (tmp_path / "b" / "<u>notes.txt").write_text("x")
    return tmp_path / "b"


@pytest.fixture
def report(batch: Path, tmp_path: Path, inspect_toy: Inspect) -> tuple[Path, Page]:
    out = tmp_path / "report"
    finished = inspect_toy(batch, out, FakeExplainer(statuses={2: "no positive gradient"}))
    return out, Page(finished.folder.index.read_text("utf-8"))


def test_hostile_names_are_text_and_nothing_else(report: tuple[Path, Page]) -> None:
    _, page = report
    for tag in ("b", "i", "u"):
        names = {attributes.get("class", "") for attributes in page.tags(tag)}
        assert names <= {""}
    words = page.words()
    for name in (*HOSTILE, "<i>bad.jpg", "<u>notes.txt"):
        assert name in words
    assert "49.png" not in words
    assert not page.tags("i")
    assert not page.tags("u")
    assert not any(name.startswith("on") for _, found in page.elements for name in found)


def test_nothing_is_fetched_from_elsewhere(report: tuple[Path, Page]) -> None:
    out, page = report
    links = [*page.having("src"), *page.having("href")]
    assert len(links) > 30
    for link in links:
        if link.startswith("#"):
            assert link[1:] in page.having("id")
        elif link != "data:,":
            assert (out / unquote(link)).is_file(), link
    for name in ("report.css", "report.js"):
        text = (out / "assets" / name).read_text("utf-8")
        assert not re.search(r"https?:|//[a-z]|url\(|@import|fetch\(|XMLHttp", text)


def test_ids_are_unique_and_labels_lead_somewhere(report: tuple[Path, Page]) -> None:
    _, page = report
    ids = page.having("id")
    assert len(ids) == len(set(ids))
    assert set(page.having("aria-labelledby")) <= set(ids)
    assert all("alt" in attributes for attributes in page.tags("img"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_head_and_completeness_add_up(report: tuple[Path, Page]) -> None:
    _, page = report
    words = page.words()
    assert (
        "6 of 21 patches show an indication, on 6 of 7 strips. 1 strip could not be read." in words
    )
    assert "9 found = 7 inspected + 1 unreadable + 1 skipped" in words
    assert "0 scrap 0 rework 7 hold 1 accept" in words


def test_each_flagged_patch_has_a_row_a_card_and_marks(report: tuple[Path, Page]) -> None:
    _, page = report
    assert len(page.tags("article", "card")) == 6
    assert len(page.tags("article", "strip")) == 6
    marks = [mark["href"] for mark in page.tags("a", "mark")]
    assert sorted(marks) == sorted(f"#patch-{n}" for n in range(1, 7) for _ in range(2))
    wide = next(mark for mark in page.tags("a", "mark") if "class 2" in mark["aria-label"])
    assert wide["style"] == "left:75%;width:25%"
    assert wide["aria-label"].startswith("class 2, 0.")
    assert wide["aria-label"].endswith("768–1\u202f024 px")
    bars = page.tags("span", "bar")
    assert [bar["style"] for bar in bars if "1024/256" in bar.get("style", "")] == [
        "width:100%;aspect-ratio:1024/256"
    ]
    assert len([bar for bar in bars if "width:50%;" in bar.get("style", "")]) == len(HOSTILE)


def test_a_patch_without_a_map_says_so_and_shows_the_raw_patch(report: tuple[Path, Page]) -> None:
    out, page = report
    assert "No map: no feature map of the model raises this class here" in page.words()
    assert len(page.tags("img", "over")) == 5 + 6
    assert len(page.tags("div", "picture")) == 6
    assert len(page.tags("span", "box")) == 5
    assert len(list((out / "img").glob("*_map.png"))) == 5


def test_the_page_works_without_scripts(report: tuple[Path, Page]) -> None:
    _, page = report
    for name, attributes in page.elements:
        if name in ("input", "fieldset"):
            continue
        assert "hidden" not in attributes
    controls = [*page.tags("label", "slider"), *page.tags("fieldset")]
    assert all("js-only" in control["class"].split() for control in controls)


def test_identity_names_the_hashes(report: tuple[Path, Page]) -> None:
    out, page = report
    card = json.loads((out / "batch.json").read_text("utf-8"))
    words = page.words()
    for text in (
        card["bundle"]["sha256"],
        card["policy"]["sha256"],
        card["config_sha256"],
        *(entry["sha256"] for entry in card["inputs"]),
        "μ = 0, hard fusion",
        "mean grey",
    ):
        assert text in words


def test_a_batch_without_indications_is_a_good_report(tmp_path: Path, inspect_toy: Inspect) -> None:
    write_strip(tmp_path / "b" / "a.png", strip(1600))
    finished = inspect_toy(tmp_path / "b", tmp_path / "out")
    page = Page(finished.folder.index.read_text("utf-8"))
    words = page.words()
    assert "No indications in 7 patches of 1 strip." in words
    assert "0 scrap 0 rework 0 hold 1 accept" in words
    assert "Every file of the folder is a strip that was inspected." in words
    assert not page.tags("article")
    assert finished.card["exit_status"] == 0


def test_explained_patches_that_are_not_flagged_stand_apart(
    tmp_path: Path, inspect_toy: Inspect
) -> None:
    write_strip(tmp_path / "b" / "a.png", strip(512, bright=[0]))
    finished = inspect_toy(tmp_path / "b", tmp_path / "out", explain="all")
    page = Page(finished.folder.index.read_text("utf-8"))
    assert len(page.tags("article", "card")) == 3
    assert len(page.tags("a", "mark")) == 2
    assert "2 patches explained, not flagged" in page.words()
    rows = [row for row in page.tags("tr") if "data-class" in row]
    assert [row["data-class"] for row in rows] == ["class 1"]


def test_the_report_is_built_from_the_tables_alone(report: tuple[Path, Page]) -> None:
    out, _ = report
    card = json.loads((out / "batch.json").read_text("utf-8"))
    strips = pd.read_parquet(out / "strips.parquet")
    patches = pd.read_parquet(out / "results.parquet")
    assert render(build(card, strips, patches, "img/scale.png")) == (out / "index.html").read_text(
        "utf-8"
    )


def test_the_pareto_counts_patches_and_strips(report: tuple[Path, Page]) -> None:
    out, _ = report
    card = json.loads((out / "batch.json").read_text("utf-8"))
    tables = (pd.read_parquet(out / f"{name}.parquet") for name in ("strips", "results"))
    rows = build(card, *tables, "img/scale.png").pareto
    found = [(row.mark.name, row.patches, row.strips, row.share, row.cumulative) for row in rows]
    assert found == [
        ("class 1", 5, 5, 5 / 6, 5 / 6),
        ("class 2", 1, 1, 1 / 6, 1.0),
        ("class 3", 0, 0, 0.0, 1.0),
        ("class 4", 0, 0, 0.0, 1.0),
    ]


def test_classes_have_a_number_a_shape_and_a_colour() -> None:
    assert class_marks(CLASSES)[:2] == (ClassMark("normal", "–", 0), ClassMark("class 1", "1", 1))
    many = class_marks(("normal", *(f"type {letter}" for letter in "abcdefg"), "roll 12"))
    assert [mark.symbol for mark in many] == ["–", "1", "2", "3", "4", "5", "6", "7", "12"]
    assert [mark.style for mark in many] == [0, 1, 2, 3, 4, 5, 6, 1, 2]
