"""What people see: lists, filters, histories, and one look."""

import re
from html import unescape
from pathlib import Path

import pytest
from review_toys import decide, entry, fingerprint, make_report, registered_report, uuid
from test_review_holes import ORIGIN, browser

from inspection.review.audit import draw, find_one
from inspection.review.database import Database
from inspection.review.register import read_report, register
from inspection.review.server import pages
from inspection.review.server.site import Site

STRIPS = {"a.png": ["class 1", "class 2", "normal"], "b.png": ["normal"], "c.png": ["class 3"]}


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def strips_on(page: str) -> list[str]:
    return re.findall(r'<h2 id="strip-\d+" tabindex="-1"><bdi>(.*?)</bdi>', page)


def patches_on(page: str) -> list[str]:
    return re.findall(r'<h3 id="patch-\d+-(\d+)"', page)


def test_filters_show_what_is_open_or_disputed(database: Database, tmp_path: Path) -> None:
    report = registered_report(database, tmp_path, STRIPS)
    person = browser(database)
    page = person.get("/batches/1").text
    assert (strips_on(page), patches_on(page)) == (["a.png", "b.png", "c.png"], ["0", "256", "0"])
    decide(
        database,
        report,
        entry(1, "confirm", "a.png", 0),
        entry(2, "disposition", "a.png", disposition="hold"),
        entry(3, "disposition", "b.png", disposition="accept"),
        entry(4, "confirm", "c.png", 0),
        entry(5, "reject", "c.png", 0),
    )
    page = person.get("/batches/1?show=open").text
    assert (strips_on(page), patches_on(page)) == (["a.png", "c.png"], ["256", "0"])
    page = person.get("/batches/1?show=disputed").text
    assert (strips_on(page), patches_on(page)) == (["c.png"], ["0"])
    assert "Drawn for audits" not in page
    decide(database, report, entry(6, "reject", "c.png", 0, seen=[4, 5]))
    assert "nothing to do here" in person.get("/batches/1?show=disputed").text
    with database.writing() as connection:
        draw(connection, find_one(connection, "b"), 1, seed=0)
    assert strips_on(person.get("/batches/1?show=audit").text) in (["a.png"], ["b.png"])


def test_the_history_keeps_what_was_undone_or_replaced(database: Database, tmp_path: Path) -> None:
    report = registered_report(database, tmp_path, STRIPS)
    assert "History" not in browser(database).get("/batches/1").text
    decide(
        database,
        report,
        entry(1, "confirm", "a.png", 0, reviewer="Ada", reason="first\nsecond"),
        entry(2, "reject", "a.png", 0, seen=[1], reviewer="Bob", reason=""),
        entry(3, "undo", "a.png", 0, undoes=uuid(2), seen=[2], reviewer="Cid"),
        entry(4, "reclass", "a.png", 0, seen=[3], **{"class": "class 4"}, reviewer="Dee"),
    )
    page = browser(database).get("/batches/1").text
    (history,) = re.findall(r'<details class="history">.*?</details>', page, re.S)
    rows = [" ".join(row.split()) for row in re.findall(r"<li>(.*?)</li>", history, re.S)]
    people = ("Ada", "Bob", "Cid", "Dee")
    assert words(history).startswith("History: 4 decisions")
    assert [
        ("<s>" in row, words(row).split(f", {who}")[0].strip())
        for who, row in zip(people, rows, strict=True)
    ] == [
        (True, "confirmed"),
        (True, "no defect"),
        (False, "withdrawn"),
        (False, "it is class 4"),
    ]
    ends = ["replaced", "withdrawn"]
    assert [words(row).endswith(end) for row, end in zip(rows, ends, strict=False)] == [True, True]
    for reviewer, row in zip(people, rows, strict=True):
        assert f"<bdi>{reviewer}</bdi>" in row
        assert "2026-11-02 06:00" in row
    assert "first second" in words(rows[0])


def test_the_list_sums_up_each_batch(database: Database, tmp_path: Path) -> None:
    report = registered_report(database, tmp_path, STRIPS, "one")
    registered_report(database, tmp_path, {"x.png": ["normal", "black"]}, "two")
    person = browser(database)
    assert (
        "two Report two – 2026-11-01 06:00 toy abababab 1 0 of 1 (0.0 %) 0 of 0 0 0 of 1"
        in words(person.get("/").text)
    )
    for step, expected in (
        ([entry(1, "confirm", "a.png", 0)], "3 of 5 (60.0 %) 1 of 3 (33.3 %) 0 0 of 3"),
        # An escape is decided, but not of the flagged ones.
        (
            [
                entry(2, "reclass", "b.png", 0, **{"class": "class 1"}),
                entry(3, "disposition", "c.png", disposition="scrap"),
            ],
            "1 of 3 (33.3 %) 0 1 of 3 (33.3 %) –",
        ),
        (
            [entry(4, "disposition", "c.png", disposition="hold")],
            "1 of 3 (33.3 %) 1 disputed, one 0 of 3 (0.0 %) –",
        ),
    ):
        decide(database, report, *step)
        assert expected in words(person.get("/").text)


def test_coils_are_named_or_counted(sqlite: Database, tmp_path: Path) -> None:
    for number, coils in enumerate((["", ""], ["A<1>", ""], ["x", "y"], ["p", "q", "r"])):
        strips = {f"{index}.png": ["normal"] for index in range(len(coils))}
        report = make_report(tmp_path, strips, f"b{number}", seed=number)
        import pandas as pd

        table = pd.read_parquet(report / "strips.parquet").assign(coil=coils)
        table.to_parquet(report / "strips.parquet")
        assert register(sqlite, read_report(report))
    listed = words(browser(sqlite).get("/").text)
    for said in ("b0 – 2026", "b1 A<1> 2026", "b2 x , y 2026", "b3 3 coils 2026"):
        assert said in listed
    assert "Coil A<1> ." in words(browser(sqlite).get("/batches/2").text)


def test_the_list_has_pages(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "LISTED", 2)
    assert "None yet" in browser(sqlite).get("/?page=3").text
    for number in range(3):
        registered_report(sqlite, tmp_path, {f"{number}.png": ["normal"]}, f"b{number}")
    first, last = (browser(sqlite).get(f"/?page={number}").text for number in (1, 9))
    assert re.findall(r"<bdi>(b\d)</bdi>", first) == ["b2", "b1"]
    assert re.findall(r"<bdi>(b\d)</bdi>", last) == ["b0"]
    assert ("Earlier batches" in first, "Later batches" in first) == (True, False)
    assert ("Earlier batches" in last, "Later batches" in last) == (False, True)


def test_a_patch_without_pictures_in_the_report_is_cut_from_its_strip(
    sqlite: Database, tmp_path: Path
) -> None:
    report = registered_report(sqlite, tmp_path, {"a.png": ["class 1"]})
    page = browser(sqlite).get("/batches/1").text
    assert re.findall(r'<img src="(.*?)"', page) == ["/crops/1/1/0"]
    import pandas as pd

    key = pd.read_parquet(report / "results.parquet")["patch_key"][0]
    (report / "img").mkdir()
    for name in ("raw", "overlay"):
        (report / "img" / f"{key[:16]}_{name}.jpg").write_bytes(b"x")
    page = browser(sqlite).get("/batches/1").text
    images = re.findall(r'<img src="(.*?)"', page)
    assert images == [f"/reports/1/img/{key[:16]}_{name}.jpg" for name in ("raw", "overlay")]
    assert all(browser(sqlite).get(image).status_code == 200 for image in images)


def test_every_control_has_a_name_and_headings_descend(sqlite: Database, tmp_path: Path) -> None:
    registered_report(sqlite, tmp_path, STRIPS)
    for path in ("/", "/batches/1", "/trends", "/login", "/none"):
        page = browser(sqlite).get(path).text
        assert page.count("<h1") == 1
        assert '<a class="skip" href="#main">' in page
        assert 'id="main"' in page
        assert '<html lang="en">' in page
        for control in re.findall(r"<input (?!type=\"hidden\")[^>]*>", page):
            assert re.search(rf"<label[^>]*>[^<]*(<span>)?{re.escape(control)}", page)
        assert len(set(re.findall(r' id="(.*?)"', page))) == len(re.findall(r' id="(.*?)"', page))
        assert " style=" not in page


def test_all_colours_are_the_reports_own_in_light_and_dark(sqlite: Database) -> None:
    style = browser(sqlite).get("/review.css").text
    assert style == Site(sqlite, None).style  # type: ignore[arg-type]
    light, dark = (
        set(re.findall(r"(--[\w]+):", block))
        for block in re.findall(r":root \{([^}]*)\}", style)[:2]
    )
    drawn = browser(sqlite).get("/trends").text
    used = set(re.findall(r"var\((--\w+)[,)]", style + drawn)) - {"--k"}
    assert {"--bg", "--ink", "--scrap", "--k6", "--focus"} <= used
    assert used <= light
    assert {name for name in used if name not in ("--sans", "--mono")} <= dark
    assert "prefers-reduced-motion" in style
    # No colour is written outside of the variables.
    own = style[style.index("*, *::before") :]
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b", own)


def test_the_page_that_a_decision_leads_back_to(sqlite: Database, tmp_path: Path) -> None:
    report = registered_report(sqlite, tmp_path, STRIPS)
    assert fingerprint(report)
    form = {"strip": "1", "left": "0256", "reviewer": "x", "reason": "y", "page": "3"}
    person = browser(sqlite)

    def after(number: int, act: str, **other: str) -> str:
        sent = form | {"id": uuid(number), "act": act} | other
        answer = person.post("/batches/1/decide", data=sent, headers=ORIGIN)
        return str(answer.headers["location"]).removeprefix("/batches/1?page=1")

    # On the page of all a decision leads back to its subject, on a page that there is.
    assert after(1, "reject", show="all") == "#patch-1-256"
    # Among the open ones, to the next; a strip is one, too.
    assert after(2, "disposition hold", show="open", left="") == "&show=open#patch-1-0"
    assert after(3, "confirm", show="open", left="0") == "&show=open#strip-2"
    # What is withdrawn is open again.
    undo = {"show": "open", "left": "0", "seen": uuid(3)}
    assert after(4, f"undo {uuid(3)}", **undo) == "&show=open#patch-1-0"
