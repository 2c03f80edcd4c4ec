"""The page as text: what is there before any script runs, and what the scripts are given."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from toy_reports import data_of, report_of
from toys import CLASSES, FakeExplainer, strip, write_strip

from inspection.pipeline.run import Finished
from inspection.quality.drift import NO_REFERENCE, Drift
from inspection.quality.figures import Request, figures
from inspection.report.build import build, class_marks
from inspection.report.identity import identity
from inspection.report.model import BatchReport, ClassMark
from inspection.report.render import render
from inspection.report.rules import rules_of, said_rule, said_rules
from inspection.store.reading import open_report
from inspection.words import speaking

Inspect = Callable[..., Finished]
HOSTILE = (
    "<b>x&\"'.png",
    "=cmd().png",
    "{{ 7*7 }}.png",
    "a%2e b#c?.png",
    "Лист 7.png",
    "<!--.png",
    "<script>alert(1)<.png",
)
VOID = {"meta", "link", "img", "input", "br", "use", "circle", "rect", "path", "hr", "stop"}


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
def without_charts() -> None:
    """Here they are looked at."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of strips with hostile names, at 0.5 mm a pixel."""
    root = tmp_path_factory.mktemp("hostile")
    for number, name in enumerate(HOSTILE):
        write_strip(root / "b" / name, strip(512, bright=[20 + number]))
    write_strip(root / "b" / "coil" / "wide.png", strip(1024, black=[900]))
    write_strip(root / "b" / "coil" / "plain.png", strip(256))
    (root / "b" / "coil" / "<i>bad.jpg").write_bytes(b"")
    (root / "b" / "<u>notes.txt").write_text("x")
    explainer = FakeExplainer(statuses={2: "no positive gradient"})
    report_of(root / "b", root / "report", explainer, mm_per_px=0.5)
    return root / "report"


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return Page((report / "index.html").read_text("utf-8"))


def alike(report: Path) -> pd.DataFrame:
    return pd.read_parquet(report / "similar.parquet")


def built(report: Path) -> BatchReport:
    opened = open_report(report)
    found = replace(figures(opened, Request()), no_drift=NO_REFERENCE)
    return build(opened.record, opened.strips, opened.patches, found, alike(report))


def test_real_drift_stands_in_the_head(report: Path) -> None:
    opened = open_report(report)
    for noise, words in ((0.3, ()), (0.05, ("a large drift",))):
        found = replace(figures(opened, Request()), drift=Drift(0.4, 0.3, 0.0, 700, 500, noise))
        made = build(opened.record, opened.strips, opened.patches, found, alike(report))
        assert [alarm.rsplit(": ")[-1].rstrip(".") for alarm in made.alarms] == list(words)
        head = render(made).partition('<section id="completeness"')[0]
        assert ("a large drift" in head) == bool(words)


def test_hostile_names_are_text_and_nothing_else(report: Path, page: Page) -> None:
    for tag in ("i", "u"):
        assert not page.tags(tag)
    assert {attributes.get("class", "") for attributes in page.tags("b")} <= {""}
    assert all(script.keys() == {"src", "defer"} for script in page.tags("script"))
    words = page.words()
    for name in (*HOSTILE, "<i>bad.jpg", "<u>notes.txt"):
        assert name in words
    assert "49.png" not in words
    assert not any(name.startswith("on") for _, found in page.elements for name in found)
    data = (report / "data" / "report.js").read_text("utf-8")
    assert "<" not in data
    assert set(HOSTILE) < set(data_of(report)["strips"]["strip_id"])


def test_nothing_is_fetched_from_elsewhere(report: Path, page: Page) -> None:
    links = [*page.having("src"), *page.having("href")]
    assert len(links) > 50
    for link in links:
        if link.startswith("#strip-"):
            assert int(link.removeprefix("#strip-")) < len(HOSTILE) + 3
        elif link.startswith("#"):
            assert link[1:] in page.having("id")
        elif link != "data:,":
            assert (report / unquote(link)).is_file(), link
    for path in (report / "assets").glob("*.*s"):
        text = path.read_text("utf-8")
        assert not re.search(r"https?://|@import|XMLHttp|url\((?!\"#)", text), path
        # Scripts ask the review server that the page came from, and nobody else.
        assert not re.search(r"fetch\((?!address)", text), path
    scripts = "".join(path.read_text("utf-8") for path in (report / "assets").glob("*.js"))
    assert set(re.findall(r"\bask\((?!address)([^,)]+)", scripts)) == {
        "`${server}/states`",
        "`${server}/decisions`",
        '"../../api/me"',
    }


def test_the_page_has_no_inline_script_or_style(page: Page) -> None:
    """So that the review server can forbid both."""
    assert not page.having("style")
    assert not page.tags("style")
    assert all("src" in script for script in page.tags("script"))


def test_ids_are_unique_and_labels_lead_somewhere(page: Page) -> None:
    ids = page.having("id")
    assert len(ids) == len(set(ids))
    assert set(page.having("aria-labelledby")) <= set(ids)
    assert all("alt" in attributes for attributes in page.tags("img"))
    outside = [tag for tag, found in page.elements if "card-template" not in found.get("id", "")]
    levels = [int(tag[1]) for tag in outside if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_head_and_completeness_add_up(page: Page) -> None:
    words = page.words()
    assert (
        "8 of 27 patches show an indication, on 8 of 9 strips of 1 coil. "
        "1 strip could not be read." in words
    )
    assert "11 found = 9 inspected + 1 unreadable + 1 skipped" in words
    heads = [words.index(text) for text in ("0 scrap", "0 rework", "9 hold", "1 accept")]
    assert heads == sorted(heads)


def test_the_head_names_the_rules_that_proposed(report: Path, page: Page) -> None:
    proposals = {proposal.disposition: proposal for proposal in built(report).proposals}
    assert [*proposals] == ["scrap", "rework", "hold", "accept"]
    assert proposals["hold"].strips == 9
    assert proposals["hold"].rules[0] == ("rule 3, any indication: at least 1 patch flagged", 8)
    ((why, strips),) = proposals["hold"].rules[1:]
    assert why.startswith("not inspected: ")
    assert strips == 1
    assert proposals["accept"].rules == (("no rule applies", 1),)
    assert "8 rule 3, any indication: at least 1 patch flagged 1 not inspected:" in page.words()


def test_the_scripts_get_every_strip_and_card(report: Path) -> None:
    data = data_of(report)
    card = json.loads((report / "batch.json").read_text("utf-8"))
    assert data["batch"] == {"name": "b", "fingerprint": card["fingerprint"]}
    assert data["mmPerPx"] == 0.5
    assert [entry["name"] for entry in data["classes"]] == list(CLASSES)
    assert [entry["threshold"] for entry in data["classes"]] == [None, 0.5, 0.5, 0.5, 0.5]
    strips = data["strips"]
    assert len(strips["strip_id"]) == 10
    wide = strips["strip_id"].index("coil/wide.png")
    assert (strips["coil"][wide], strips["width"][wide]) == ("coil", 1024)
    assert (strips["patches"][wide], strips["flagged"][wide]) == (5, 1)
    bad = strips["strip_id"].index("coil/<i>bad.jpg")
    assert (strips["status"][bad], strips["disposition"][bad]) == ("unreadable", "hold")
    assert (strips["width"][bad], strips["thumb_path"][bad]) == (None, "")
    cards = data["cards"]
    assert cards["number"] == list(range(1, 9))
    assert all(len(values) == 8 for values in cards.values())
    at = cards["strip"].index(wide)
    found = [cards[name][at] for name in ("left", "size", "target", "flagged", "map_path")]
    assert found == [768, 256, "class 2", True, ""]
    assert cards["no_map"][at].startswith("No map: no feature map of the model raises this class")
    assert cards["drop"][at] is None
    assert cards["region_area"][at] is None
    assert cards["region_contour"][at] == ""


def test_a_cards_figures_are_those_of_the_table(report: Path) -> None:
    """Against results.parquet, row by row: the fifth flagged patch."""
    data = data_of(report)
    card = {name: values[4] for name, values in data["cards"].items()}
    opened = open_report(report)
    patch = opened.patches[opened.patches["flagged"]].iloc[4]
    shares = [entry["column"] for entry in data["classes"]]
    assert shares == ["p_normal", "p_class_1", "p_class_2", "p_class_3", "p_class_4"]
    names = (
        "score", *shares, "kept_score", "drop", "drop_percentile", "removed_score",
        "removed_share", "removed_percentile", "agreement", "agreement_percentile",
        "runner_up_score", "runner_up_similarity",
    )  # fmt: skip
    for name in names:
        assert card[name] == pytest.approx(patch[name], abs=5e-5)
        assert card[name] == round(card[name], 4)
    for name in ("area", "left", "top", "width", "height", "contour"):
        assert card[f"region_{name}"] == patch[f"region_{name}"]
    assert isinstance(card["region_area"], int)
    for name in ("left", "target", "runner_up", "runner_up_map_path", "weak", "weak_because"):
        assert card[name] == patch[name]
    assert (report / card["raw_path"]).is_file()
    assert (report / card["map_path"]).is_file()


def test_the_scripts_read_the_columns_that_they_get_and_no_others(report: Path) -> None:
    data = data_of(report)
    text = "".join(path.read_text("utf-8") for path in (report / "assets").glob("*.js"))
    made = set(re.findall(r"^ {2}(?:card|strip)\.(\w+) = ", text, re.M))
    read = set(re.findall(r"\b(?:card|strip)\.([a-z]\w*)", text)) - made
    shares = {entry["column"] for entry in data["classes"]}
    got = (data["cards"].keys() | data["strips"].keys()) - shares
    assert read == got - made


def test_readers_without_scripts_get_tables(page: Page, report: Path) -> None:
    words = page.words()
    assert len(page.tags("noscript")) == 2
    assert "Without scripts, this table stands for the cards." in words
    linked = [link for link in page.having("href") if link.startswith("img/")]
    assert len([link for link in linked if link.endswith("_raw.jpg")]) == 8
    assert len([link for link in linked if link.endswith("_overlay.jpg")]) == 7
    for name in data_of(report)["strips"]["strip_id"]:
        assert name in words


def test_identity_names_the_hashes(report: Path, page: Page) -> None:
    card = json.loads((report / "batch.json").read_text("utf-8"))
    words = page.words()
    for text in (
        card["fingerprint"],
        card["bundle"]["sha256"],
        card["policy"]["sha256"],
        card["config_sha256"],
        *(entry["sha256"] for entry in card["inputs"]),
        "μ = 0, geometric fusion",
        "the patch's own mean",
        "0.5 mm",
        "defect-inspect verify",
    ):
        assert text in words


def test_a_record_of_before_backends_classified_is_shown_without_one(report: Path) -> None:
    card = json.loads((report / "batch.json").read_text("utf-8"))

    def device() -> str:
        return next(fact.value for fact in identity(card) if fact.label == "Device")

    assert device() == f"{card['device']}, fp32 by torch"
    del card["config"]["backend"]
    assert device() == f"{card['device']}, fp32"


def test_a_batch_without_indications_is_a_good_report(tmp_path: Path, inspect_toy: Inspect) -> None:
    write_strip(tmp_path / "b" / "a.png", strip(1600))
    finished = inspect_toy(tmp_path / "b", tmp_path / "out")
    page = Page(finished.folder.index.read_text("utf-8"))
    words = page.words()
    assert "No indications in 7 patches of 1 strip." in words
    assert "0 scrap 0 rework 0 hold 1 accept" in words
    assert "Every file of the folder is a strip that was inspected." in words
    assert "Nothing in this batch reached the threshold" in words
    assert data_of(tmp_path / "out")["cards"]["number"] == []
    assert finished.record["exit_status"] == 0


def test_explained_patches_that_are_not_flagged_come_last(
    tmp_path: Path, inspect_toy: Inspect
) -> None:
    write_strip(tmp_path / "b" / "a.png", strip(512, bright=[256]))
    inspect_toy(tmp_path / "b", tmp_path / "out", explain="all")
    cards = data_of(tmp_path / "out")["cards"]
    assert cards["flagged"] == [True, True, False]
    assert cards["left"] == [224, 256, 0]
    page = Page((tmp_path / "out" / "index.html").read_text("utf-8"))
    assert "not flagged" in page.words()
    assert len([found for found in page.tags("select") if found.get("data-state") == "show"]) == 1


def test_truth_gives_rates_confusion_and_escapes(tmp_path: Path, inspect_toy: Inspect) -> None:
    write_strip(tmp_path / "b" / "a.png", strip(1600, bright=[20]))
    write_strip(tmp_path / "b" / "b.png", strip(1600))
    # Column-major and from 1: 64 columns of 256 px from column 20 of a.png, from 300 of b.png.
    (tmp_path / "truth.csv").write_text(
        "ImageId,ClassId,EncodedPixels\n"
        f"a.png,1,{20 * 256 + 1} {64 * 256}\nb.png,3,{300 * 256 + 1} {64 * 256}\n"
    )
    inspect_toy(tmp_path / "b", tmp_path / "out", truth=tmp_path / "truth.csv")
    page = Page((tmp_path / "out" / "index.html").read_text("utf-8"))
    words = page.words()
    assert "Strips 1 of 2 50.0 % 9.5 % to 90.5 % – Patches" in words
    assert "1 defective patch was not flagged." in words
    assert "b.png 224–480 class 3" in words
    cards = data_of(tmp_path / "out")["cards"]
    assert (cards["true_class"][0], cards["outcome"][0]) == ("class 1", "found")
    assert cards["true_contour"][0] == "M 20 0 L 84 0 L 84 256 L 20 256 Z"
    assert cards["ebpg"][0] == 1.0
    # The map marks 64 × 64 of the mask's 64 × 256 pixels; the other 3/4 are a tie at 0.
    assert 0.25 <= cards["bbox"][0] <= 1.0
    assert len(page.tags("td", "right")) == 5


def test_the_report_is_built_from_the_folder_alone(report: Path) -> None:
    assert render(built(report)) == (report / "index.html").read_text("utf-8")


def test_the_pareto_counts_patches_and_strips(report: Path) -> None:
    rows = built(report).pareto
    found = [(row.mark.name, row.patches, row.strips, row.share, row.cumulative) for row in rows]
    assert found == [
        ("class 1", 7, 7, 7 / 8, 7 / 8),
        ("class 2", 1, 1, 1 / 8, 1.0),
        ("class 3", 0, 0, 0.0, 1.0),
        ("class 4", 0, 0, 0.0, 1.0),
    ]


def test_charts_stand_in_the_page(page: Page) -> None:
    plots = [found["id"] for found in page.tags("figure", "plot")]
    assert plots == ["chart-pareto", "chart-confidence", "chart-control"]


def test_classes_have_a_number_a_shape_and_a_colour() -> None:
    assert class_marks(CLASSES, {"class 1": 0.4})[:2] == (
        ClassMark("normal", "–", 0, 0, None, shown="normal"),
        ClassMark("class 1", "1", 1, 1, 0.4, shown="class 1"),
    )
    many = class_marks(("normal", *(f"type {letter}" for letter in "abcdefg"), "roll 12"), {})
    assert [mark.symbol for mark in many] == ["–", "1", "2", "3", "4", "5", "6", "7", "12"]
    assert [mark.style for mark in many] == [0, 1, 2, 3, 4, 5, 6, 1, 2]


RULE = {"name": "any", "disposition": "hold", "classes": None, "min_patches": 1,
        "min_probability": 0.0, "in_words": "any: at least 1 patch flagged"}  # fmt: skip


def test_a_record_of_before_the_rule_unsure_is_still_told() -> None:
    known = ("hold", "any: at least 1 patch flagged")
    assert rules_of({"rules": [RULE]}) == rules_of({"rules": [RULE], "unsure": None}) == (known,)
    unsure = {"min_confidence": 0.9, "in_words": "unsure: below 0.9"}
    added = (
        "hold", "unsure: at least 1 patch whose most likely class has less than 90\u202f%, where "
        "accept would be proposed",
    )  # fmt: skip
    assert rules_of({"rules": [RULE], "unsure": unsure}) == (known, added)


def test_rules_are_said_in_the_language_of_the_page() -> None:
    strict = RULE | {
        "name": "bad", "classes": ["class 1", "class 3"], "min_patches": 2,
        "min_probability": 0.925, "in_words": "bad: …",
    }  # fmt: skip
    policy = {"rules": [RULE, strict], "unsure": None}
    stored = ("rule 2, bad: …", "no rule applies", "not inspected: no file", "an older version's")
    assert [said_rule(rule, said_rules(policy)) for rule in stored] == [
        "rule 2, bad: at least 2 patches flagged of class 1, class 3 with 92.50\u202f% or more",
        *stored[1:],
    ]
    with speaking("de"):
        assert [said_rule(rule, said_rules(policy)) for rule in stored] == [
            "Regel 2, bad: mindestens 2 Ausschnitte auffällig mit class 1, class 3 bei "
            "92,50\u202f% oder mehr",
            "keine Regel trifft zu",
            "nicht geprüft: no file",
            "an older version's",
        ]
