"""Requests that no browser makes, and names that no mill should give."""

import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from review_toys import decide, entry, make_report, registered_report, states_of, uuid

from inspection.review.audit import draw, find_one
from inspection.review.commands import sample
from inspection.review.database import Database
from inspection.review.decisions import ENTRY
from inspection.review.register import read_report, register
from inspection.review.server.access import Access
from inspection.review.server.access.requests import is_forged
from inspection.review.server.app import make_app
from inspection.review.server.reports import report_file
from inspection.review.stats import as_text, statistics

ORIGIN = {"Origin": "http://localhost:8765"}
ATTACKS = (
    '<script>alert("x")</script>',
    "\"><img src=x onerror='alert(1)'>",
    "</title></style></svg><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}${7*7}",
    '=HYPERLINK("http://evil")',
    "javascript:alert(1)//\u202e$x^2$",
)


def browser(database: Database, token: str | None = None) -> TestClient:
    app = make_app(database, Access(token))
    return TestClient(app, base_url="http://localhost:8765", follow_redirects=False)


class Shape(HTMLParser):
    """The elements of a page with their attributes' names: what text must not change."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, ...]] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, *(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]


def hostile_review(database: Database, root: Path, attack: str) -> Path:
    """A batch with the attack in the name of batch, strip, coil, reviewer and reason."""
    name = attack.replace("/", "∕")
    report = make_report(root, {f"{name}.png": ["class 1", "normal", "class 2"]}, name)
    import pandas as pd

    table = pd.read_parquet(report / "strips.parquet").assign(coil=attack)
    table.to_parquet(report / "strips.parquet")
    assert register(database, read_report(report))
    strip = f"{name}.png"
    signed = {"reviewer": attack, "reason": attack}
    decide(
        database,
        report,
        entry(1, "confirm", strip, 0, **signed),
        entry(2, "reject", strip, 0, **signed),
        entry(3, "reclass", strip, 256, **{"class": "class 3"}, **signed),
        entry(4, "undo", strip, 256, undoes=uuid(3), seen=[3], **signed),
        entry(5, "disposition", strip, disposition="scrap", **signed),
    )
    with database.writing() as connection:
        draw(connection, find_one(connection, name), 1, seed=0)
    return report


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.isprintable()])
def test_names_change_no_page(sqlite: Database, tmp_path: Path, attack: str) -> None:
    hostile_review(sqlite, tmp_path, attack)
    from inspection.review.database import open_database

    tame = open_database(f"sqlite:///{tmp_path / 'tame.db'}", create=True)
    hostile_review(tame, tmp_path / "tame", "a name")
    for path in ("/", "/trends", "/batches/1", "/batches/1?show=audit", "/batches/1?show=open"):
        pages = [browser(database).get(path).text for database in (sqlite, tame)]
        shapes = [Shape(page) for page in pages]
        assert shapes[0].seen == shapes[1].seen
        assert all(re.match(r"[/?#]", link) for link in shapes[0].links)
    page = unescape(browser(sqlite).get("/batches/1").text)
    assert page.count(attack) >= 5


def test_text_that_turns_lines_around_is_refused_from_people(
    sqlite: Database, tmp_path: Path
) -> None:
    report = registered_report(sqlite, tmp_path, {"a.png": ["class 1"]})
    form = {"id": uuid(1), "act": "disposition hold", "strip": "1", "reviewer": "a\u202eb"}
    answer = browser(sqlite).post("/batches/1/decide", data=form, headers=ORIGIN)
    assert answer.status_code == 422
    assert states_of(sqlite, report) == []


def test_printed_tables_are_safe_for_spreadsheets_and_terminals(
    sqlite: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strips = {"=1+1.png": ["normal"], "@x\r\n=2.png": ["normal"], "-1.png": ["normal"]}
    registered_report(sqlite, tmp_path, strips, "=cmd()")
    url = sqlite.engine.url.render_as_string()
    parser = sample.parser()
    options = ["--db", url, "--batch", "=cmd()", "--size", "3", "--seed", "0"]
    assert sample.run(parser.parse_args(options)) == 0
    printed = capsys.readouterr().out
    assert not re.search(r"(?m)^\"?[=@\-+]", printed.replace("\r\n=2", ""))
    found = statistics(sqlite)
    found.comparison.by_class["\x1b[31mclass\n1"] = found.comparison.overall
    assert "\x1b" not in as_text(found)


@pytest.mark.parametrize("name", ["x" * 300 + ".html", "a/" * 3000 + "b.html", "\ud800.html"])
def test_names_that_no_disk_takes_are_no_files(sqlite: Database, tmp_path: Path, name: str) -> None:
    registered_report(sqlite, tmp_path, {"a.png": ["class 1"]})
    assert report_file(tmp_path, name) is None
    if name.isprintable():
        assert browser(sqlite).get(f"/reports/1/{name}").status_code == 404


def requests(method: str, **headers: str) -> Any:
    from starlette.requests import Request

    raw = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
    return Request(
        {"type": "http", "method": method, "headers": raw, "path": "/", "query_string": b""}
    )


@pytest.mark.parametrize("origin", ["http://[", "http://localhost:8765@evil", "file://", "", "x"])
def test_an_origin_that_is_none_is_another_site(origin: str) -> None:
    assert is_forged(requests("POST", origin=origin, host="localhost:8765"))
    assert is_forged(requests("POST", origin=origin, host=""))


def test_a_request_without_a_host_is_another_sites() -> None:
    assert is_forged(requests("POST", origin="http://localhost:8765"))


@pytest.mark.parametrize("length", ["²", "-1", "1e3", "0x10", " ", "9" * 5000])
def test_lengths_that_are_none_are_refused(sqlite: Database, length: str) -> None:
    headers = ORIGIN | {"Content-Length": length.encode("latin-1")}  # type: ignore[dict-item]
    answer = browser(sqlite).post("/login", content=b"x", headers=headers)
    assert answer.status_code in (411, 413)


@pytest.mark.parametrize(
    "send",
    [
        lambda b: b.get("/batches/x"),
        lambda b: b.get("/batches/1?page=0"),
        lambda b: b.get("/batches/1?show=<script>"),
        lambda b: b.get("/nothing<script>"),
        lambda b: b.get("/batches/99"),
        lambda b: b.post("/batches/1/decide", data={"id": "<script>"}, headers=ORIGIN),
    ],
)
def test_people_are_told_on_a_page_what_is_wrong(
    sqlite: Database, tmp_path: Path, send: Callable[[TestClient], Any]
) -> None:
    registered_report(sqlite, tmp_path, {"a.png": ["class 1"]})
    answer = send(browser(sqlite))
    assert answer.status_code in (401, 404, 422)
    assert answer.headers["content-type"].startswith("text/html")
    assert re.findall("<script.*", answer.text) == ['<script src="/review.js" defer></script>']
    assert 'role="alert"' in answer.text


def test_programs_are_told_in_a_line_and_not_what_they_sent(
    sqlite: Database, tmp_path: Path
) -> None:
    registered_report(sqlite, tmp_path, {"a.png": ["class 1"]})
    answer = browser(sqlite).post(
        "/api/batches/1/decisions", json={"decisions": [{"kind": "<b>"}]}, headers=ORIGIN
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_remembered_name_is_a_name(sqlite: Database, tmp_path: Path) -> None:
    registered_report(sqlite, tmp_path, {"a.png": ["class 1"]})
    person = browser(sqlite)
    name = 'Ада "Countess"; <Lovelace>'
    form = {"id": uuid(1), "act": "disposition hold", "strip": "1", "reviewer": name,
            "reason": "x"}  # fmt: skip
    answer = person.post("/batches/1/decide", data=form, headers=ORIGIN)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age=28800;" in cookie  # a shift of eight hours, however much is decided in it
    again = form | {"id": uuid(2), "act": "undo " + uuid(1), "seen": uuid(1)}
    assert "set-cookie" not in person.post("/batches/1/decide", data=again, headers=ORIGIN).headers
    assert f'value="{name}"' in unescape(person.get("/batches/1").text)
    for wrong in ("a%0ab", "%E2%80%AEx", "x" * 201, "%ff%fe"):
        stranger = browser(sqlite)
        stranger.cookies.set("steel_reviewer", wrong)
        assert 'name="reviewer" value=""' in stranger.get("/batches/1").text or wrong == "%ff%fe"


def test_signing_out_ends_the_session(sqlite: Database) -> None:
    token = "0123456789abcdef"  # noqa: S105
    person = browser(sqlite, token)
    assert "Sign out" not in person.get("/login").text
    assert person.get("/favicon.ico").status_code == 204
    cookie = person.post("/login", data={"token": token}, headers=ORIGIN).headers["set-cookie"]
    assert "Sign out" in person.get("/").text
    assert person.post("/logout", headers=ORIGIN | {"Content-Length": "0"}).status_code == 303
    assert person.get("/").status_code == 303
    copy = {"Cookie": cookie.partition(";")[0]}
    assert person.get("/", headers=copy).status_code == 303
    assert "Sign out" not in browser(sqlite).get("/").text


def test_a_form_has_no_act_chosen_and_enter_decides_nothing(
    sqlite: Database, tmp_path: Path
) -> None:
    registered_report(sqlite, tmp_path, {"a.png": ["class 1"]})
    page = browser(sqlite).get("/batches/1").text
    assert " checked" not in page
    choices = re.findall(r'<input type="radio"[^>]*>', page)
    assert choices
    assert all("required" in choice for choice in choices)


def test_a_decision_of_the_future_or_past_keeps_when_it_was_stored(
    sqlite: Database, tmp_path: Path
) -> None:
    report = registered_report(sqlite, tmp_path, {"a.png": ["class 1"]})
    decide(sqlite, report, entry(1, "confirm", "a.png", 0, time="1970-01-01T00:00:00+14:00"))
    (state,) = states_of(sqlite, report)
    assert state.decision.decided.year == 1969
    assert state.decision.recorded.year > 2000
    for wrong in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        made = {"decisions": [entry(2, "confirm", "a.png", 0, time=wrong)]}
        answer = browser(sqlite).post("/api/batches/1/decisions", json=made, headers=ORIGIN)
        assert answer.status_code == 422
    assert ENTRY
