"""The server, asked as browsers, programs and attackers ask."""

import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from review_toys import decide, entry, registered_report, states_of, uuid

from inspection.review.audit import draw, find_one
from inspection.review.database import Database
from inspection.review.errors import ServeError
from inspection.review.server import views
from inspection.review.server.access import Access, access_for
from inspection.review.server.app import make_app
from inspection.review.server.reports import report_file
from severstal_prep.images import read_image

HOSTILE = '<img src=x onerror="alert(1)">\n=1+1 Ж\'"'
STRIPS = {HOSTILE: ["class 1", "normal"], "b.png": ["class 3", "class 3"]}
TOKEN = "0123456789abcdef"  # noqa: S105
ORIGIN = {"Origin": "http://localhost:8765"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def client(database: Database, token: str | None = None, host: str = "localhost") -> TestClient:
    app = make_app(database, Access(token))
    return TestClient(app, base_url=f"http://{host}:8765", follow_redirects=False)


@pytest.fixture
def report(database: Database, tmp_path: Path) -> Path:
    made = registered_report(database, tmp_path, STRIPS, "<script>alert(2)</script>")
    (made / "index.html").write_text("<p>the report</p>", "utf-8")
    (made / "work").mkdir()
    (made / "secret.txt").write_text("no", "utf-8")
    (tmp_path / "outside.html").write_text("outside", "utf-8")
    (made / "link.html").symlink_to(tmp_path / "outside.html")
    (made / ".hidden.html").write_text("hidden", "utf-8")
    return made


def words(page: str) -> str:
    """What a page says, white space apart."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def forms(page: str) -> list[dict[str, str]]:
    """The hidden fields of each form, and its choices under "acts"."""
    found = []
    for form in re.findall(r'<form class="decide".*?</form>', page, re.S):
        pairs = re.findall(r'<input type="hidden" name="(\w+)" value="(.*?)">', form)
        fields = {name: unescape(value) for name, value in pairs}
        acts = [
            unescape(value)
            for value in re.findall(r'<input type="radio" name="act" value="(.+?)" ?\w*>', form)
        ]
        found.append(fields | {"acts": "|".join(acts)})
    return found


def test_a_person_decides_by_forms_without_a_script(database: Database, report: Path) -> None:
    browser = client(database)
    listed = words(browser.get("/").text)
    assert "3 of 4 (75.0 %) 0 of 3 (0.0 %) 0 0 of 2 (0.0 %) –" in listed
    page = browser.get("/batches/1").text
    assert page.count("<script") == 1
    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;" in page
    strip, patch, other, *_ = forms(page)
    assert {form["show"] for form in forms(page)} == {"all"}
    assert strip["acts"].split("|") == [
        "disposition accept", "disposition hold", "disposition rework", "disposition scrap",
    ]  # fmt: skip
    assert patch["acts"].split("|") == [
        "confirm", "reject", "reclass class 2", "reclass class 3", "reclass class 4",
    ]  # fmt: skip
    assert (strip["left"], patch["left"], other["left"]) == ("", "0", "")
    sent = patch | {"act": "reclass class 4", "reviewer": "<i>Ада</i>", "reason": "a\r\nb"}
    del sent["acts"]
    for _ in range(2):  # a double click adds nothing
        answer = browser.post("/batches/1/decide", data=sent, headers=ORIGIN)
        assert answer.status_code == 303
    (state,) = states_of(database, report)
    assert (state.decision.value, state.decision.reviewer) == ("class 4", "<i>Ада</i>")
    assert (state.decision.reason, state.decision.source) == ("a\nb", "server")
    page = browser.get("/batches/1").text
    assert "<i>Ада" not in page
    again = forms(page)[1]
    assert again["seen"] == state.decision.uuid
    undo = again | {"act": f"undo {state.decision.uuid}", "reviewer": "Ада"}
    assert browser.post("/batches/1/decide", data=undo, headers=ORIGIN).headers["location"] == (
        f"/batches/1?page=1#patch-{patch['strip']}-0"
    )
    assert [state.status for state in states_of(database, report)] == ["open"]


def test_two_reviewers_at_once_both_keep_their_decision(database: Database, report: Path) -> None:
    browsers = [client(database) for _ in range(2)]
    pages = [forms(browser.get("/batches/1").text)[1] for browser in browsers]

    def send(number: int) -> int:
        act = ("confirm", "reject")[number]
        form = pages[number] | {"act": act, "reviewer": f"reviewer {number}"}
        return browsers[number].post("/batches/1/decide", data=form, headers=ORIGIN).status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(send, range(2))) == [303, 303]
    (state,) = states_of(database, report)
    assert state.status == "disputed"
    assert {decision.reviewer for decision in state.current} == {"reviewer 0", "reviewer 1"}
    page = client(database).get("/batches/1").text
    assert 'class="status disputed"' in page
    settled = forms(page)[1] | {"act": "reject", "reviewer": "foreman"}
    client(database).post("/batches/1/decide", data=settled, headers=ORIGIN)
    assert states_of(database, report)[0].decision.reviewer == "foreman"


def test_a_double_click_is_one_decision_even_when_both_arrive_at_once(
    database: Database, report: Path
) -> None:
    # FastAPI filters warnings while it builds an app, which no two threads may do at once.
    browsers = [client(database) for _ in range(4)]
    for number in range(3):
        form = forms(client(database).get("/batches/1").text)[number]
        act = form["acts"].split("|")[0]
        sent = form | {"act": act, "reviewer": "x", "reason": "y"}
        both = Barrier(4)

        def send(number: int, sent: dict[str, str] = sent, both: Barrier = both) -> int:
            both.wait()
            return browsers[number].post("/batches/1/decide", data=sent, headers=ORIGIN).status_code

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(send, range(4))) == [303] * 4
    assert [len(state.current) for state in states_of(database, report)] == [1, 1, 1]


def test_an_audit_shows_what_was_drawn_and_its_bound(
    database: Database, report: Path, tmp_path: Path
) -> None:
    with database.writing() as connection:
        draw(connection, find_one(connection, "<script>alert(2)</script>"), 1, seed=0)
    browser = client(database)
    page = browser.get("/batches/1?show=audit").text
    said = "1 of 1 accepted patches, seed 0: 0 of 1 decided, 0 missed defects; a bound when 1 more"
    assert said in words(page)
    (_, patch) = forms(page)
    assert (patch["left"], patch["show"]) == ("256", "audit")
    assert patch["acts"].split("|")[0] == "confirm"
    crop = browser.get(f"/crops/1/{patch['strip']}/256")
    assert crop.headers["content-type"] == "image/png"
    (tmp_path / "crop.png").write_bytes(crop.content)
    strip = tmp_path / "<script>alert(2)</script>" / HOSTILE
    np.testing.assert_array_equal(read_image(tmp_path / "crop.png"), read_image(strip)[:, 256:512])
    for path in (
        f"/crops/1/{patch['strip']}/128",
        "/crops/1/99/0",
        f"/crops/1/{10**30}/0",
        f"/crops/1/{-(10**30)}/0",
        f"/crops/1/1/{-(10**30)}",
        "/crops/2/1/0",
    ):
        assert browser.get(path).status_code == 404
    strip.write_bytes(b"changed")
    assert browser.get(f"/crops/1/{patch['strip']}/256").status_code == 404
    sent = patch | {"act": "confirm", "reviewer": "x"}
    answer = browser.post("/batches/1/decide", data=sent, headers=ORIGIN)
    place = f"patch-{patch['strip']}-256"
    assert answer.headers["location"] == f"/batches/1?page=1&show=audit#{place}"
    for path in ("/", "/batches/1"):
        bound = "0 missed defects: at most 95.00 % of all 1 accepted patches have a defect (95 %)"
        assert bound in words(browser.get(path).text)


def test_programs_read_and_append(database: Database, report: Path) -> None:
    program = client(database, TOKEN, "steel.example")
    (batch,) = program.get("/api/batches", headers=BEARER).json()
    assert batch["name"] == "<script>alert(2)</script>"
    url = f"/api/batches/{batch['id']}"
    made = {"decisions": [entry(1, "confirm", HOSTILE, 0)]}
    decide(database, report, entry(7, "reject", "b.png", 0))
    for added in (1, 0):
        answer = program.post(f"{url}/decisions", json=made, headers=BEARER)
        assert answer.json()["added"] == added
        assert [told["tips"] for told in answer.json()["states"]] == [[uuid(1)]]
    other, state = program.get(f"{url}/states", headers=BEARER).json()
    assert (other["strip"], other["left"]) == ("b.png", 0)
    assert answer.json()["states"] == [state]
    assert (state["strip"], state["left"], state["status"]) == (HOSTILE, 0, "decided")
    assert state["tips"] == [uuid(1)]
    assert state["current"][0]["time"] == "2026-11-02T06:00:00+00:00"
    wrong: list[tuple[Any, str]] = [
        ({"decisions": [entry(2, "confirm", "x", 0)]}, "no strip"),
        ({"decisions": [{"kind": "like"}]}, "kind"),
        ({"decisions": [], "batch": 1}, "batch"),
    ]
    for content, message in wrong:
        refused = program.post(f"{url}/decisions", json=content, headers=BEARER)
        assert refused.status_code == 422
        assert message in refused.text
    assert program.get("/api/batches/2/states", headers=BEARER).status_code == 404
    assert program.get(f"/api/batches/{10**30}/states", headers=BEARER).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/trends",
        "/batches/1",
        "/reports/1/index.html",
        "/api/batches",
        "/api/batches/1/states",
    ],
)
def test_nothing_is_seen_without_the_token(database: Database, report: Path, path: str) -> None:
    stranger = client(database, TOKEN)
    expected = 401 if path.startswith("/api") else 303
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "steel_session=1.ab"}):
        assert stranger.get(path, headers=headers).status_code == expected
    assert stranger.get(path, headers=BEARER).status_code == 200


def test_signing_in_starts_a_session(
    database: Database, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = client(database, TOKEN)
    wrong = browser.post("/login", data={"token": "wrong Ж"}, headers=ORIGIN)
    assert (wrong.status_code, "not the token" in wrong.text) == (401, True)
    assert "set-cookie" not in wrong.headers
    right = browser.post("/login", data={"token": TOKEN}, headers=ORIGIN)
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert browser.get("/").status_code == 200
    form = forms(browser.get("/batches/1").text)[0]
    form |= {"act": "disposition hold", "reviewer": "x", "reason": "y"}
    assert browser.post("/batches/1/decide", data=form).status_code == 403
    assert browser.post("/batches/1/decide", data=form, headers=ORIGIN).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "http://localhost:8765.evil.example"},
        {"Origin": "null"},
        {},
    ],
)
def test_other_sites_cannot_decide(
    database: Database, report: Path, headers: dict[str, str]
) -> None:
    browser = client(database)
    form = forms(browser.get("/batches/1").text)[0] | {"act": "disposition scrap", "reviewer": "x"}
    assert browser.post("/batches/1/decide", data=form, headers=headers).status_code == 403
    made = {"decisions": [entry(1, "confirm", "b.png", 0)]}
    assert browser.post("/api/batches/1/decisions", json=made, headers=headers).status_code == 403
    assert states_of(database, report) == []


def test_a_rebound_name_is_turned_away(database: Database, report: Path) -> None:
    assert client(database, host="evil.example").get("/").status_code == 400
    assert client(database, host="127.0.0.1").get("/").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "../outside.html", "..%2foutside.html", "%2e%2e/outside.html", "..%5coutside.html",
        "link.html", ".hidden.html", "secret.txt", "work", "none.html", "", "/etc/passwd",
        "img//../index.html", "index.html%00.html", "./index.html", "index.html/",
    ],
)  # fmt: skip
def test_only_the_reports_own_files_are_given(database: Database, report: Path, name: str) -> None:
    answer = client(database).get(f"/reports/1/{name}")
    # The client itself resolves "./" and "../" before it asks.
    assert answer.status_code == (200 if name == "./index.html" else 404)
    assert "outside" not in answer.text
    plain = {"%2f": "/", "%2e": ".", "%5c": "\\", "%00": "\0"}
    for code, character in plain.items():
        name = name.replace(code, character)
    assert report_file(report, name) is None


def test_a_reports_file_is_given_with_its_kind(database: Database, report: Path) -> None:
    answer = client(database).get("/reports/1/index.html")
    assert answer.text == "<p>the report</p>"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client(database).get("/reports/2/index.html").status_code == 404


def test_every_answer_carries_the_guards(database: Database, report: Path) -> None:
    for path in ("/", "/batches/1", "/login", "/none", "/review.css"):
        headers = client(database).get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"


def test_a_post_answers_with_the_state_of_each_subject_that_it_is_about(
    database: Database, report: Path
) -> None:
    program = client(database, TOKEN)
    url = "/api/batches/1/decisions"

    def post(*entries: Any) -> Any:
        answer = program.post(url, json={"decisions": entries}, headers=BEARER).json()
        return [(s["strip"], s["left"], s["status"], s["tips"]) for s in answer["states"]]

    assert post() == []
    strip = entry(1, "disposition", "b.png", disposition="hold")
    patches = [entry(2, "confirm", "b.png", 0), entry(3, "confirm", HOSTILE, 256)]
    assert post(strip, *patches) == [
        ("b.png", None, "decided", [uuid(1)]),
        ("b.png", 0, "decided", [uuid(2)]),
        (HOSTILE, 256, "decided", [uuid(3)]),
    ]
    assert post(entry(4, "reject", "b.png", 0)) == [("b.png", 0, "disputed", [uuid(2), uuid(4)])]
    undo = entry(5, "undo", "b.png", undoes=uuid(1), seen=[1])
    assert post(undo) == [("b.png", None, "open", [uuid(5)])]
    assert program.get("/api/batches/1/states", headers=BEARER).json()[0]["current"] == []


def test_a_report_page_may_ask_the_server_and_no_other(database: Database, report: Path) -> None:
    policy = client(database).get("/reports/1/index.html").headers["content-security-policy"]
    assert "connect-src 'self';" in policy
    assert "img-src 'self' data:;" in policy
    assert "unsafe" not in policy
    assert "connect-src" not in client(database).get("/").headers["content-security-policy"]


def test_large_and_endless_bodies_are_refused(database: Database, report: Path) -> None:
    browser = client(database)
    headers = ORIGIN | {"Content-Length": str(17 * 2**20)}
    assert browser.post("/login", content=b"x", headers=headers).status_code == 413
    assert browser.post("/login", content=iter([b"x"]), headers=ORIGIN).status_code == 411


@pytest.mark.parametrize(
    "change",
    [
        {"act": "confirm"}, {"act": ""}, {"act": "disposition sell"}, {"reviewer": " "},
        {"id": "1"}, {"strip": "99"}, {"strip": "x"}, {"left": "-1"}, {"left": "7"},
        {"seen": uuid(5)}, {"page": "0"}, {"act": f"undo {uuid(5)}"},
    ],
)  # fmt: skip
def test_wrong_forms_are_refused(database: Database, report: Path, change: Any) -> None:
    form = forms(client(database).get("/batches/1").text)[0]
    form |= {"act": "disposition hold", "reviewer": "x"} | change
    answer = client(database).post("/batches/1/decide", data=form, headers=ORIGIN)
    assert answer.status_code in (404, 422)
    assert states_of(database, report) == []


def test_pages_of_strips(database: Database, report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PAGE", 1)
    browser = client(database)
    first, last = (browser.get(f"/batches/1?page={n}").text for n in (1, 9))
    assert ("Page 1 of 2" in first, "Page 2 of 2" in last) == (True, True)
    assert ('href="?page=2"' in first, "Previous page" in first) == (True, False)
    assert ('href="?page=1"' in last, "Next page" in last) == (True, False)
    assert {form["page"] for form in forms(last)} == {"2"}
    assert "b.png" in last
    assert "b.png" not in first


def test_trends_show_model_flags_and_agreement(database: Database, report: Path) -> None:
    decide(database, report, entry(1, "reject", "b.png", 0), entry(2, "confirm", "b.png", 256))
    page = " ".join(client(database).get("/trends").text.split())
    assert "toy abababab" in page
    assert "3 of 4 <small>(75.0 %)</small>" in page
    assert "class 3</bdi>: 2, <bdi>class 1</bdi>: 1" in page
    # Wilson for 1 of 2: 0.5 ± 0.4055
    assert "1 of 2 <small>(50.0 %, 9.5 % to 90.5 %)</small>" in page
    assert page.count("<svg") == 3
    assert "<script>" not in page


def test_beyond_loopback_a_token_is_needed(tmp_path: Path) -> None:
    assert access_for("127.0.0.1", None).how == ""
    with pytest.raises(ServeError, match="name a --token-file"):
        access_for("0.0.0.0", None)  # noqa: S104
    token = tmp_path / "token"
    with pytest.raises(ServeError, match="cannot be read"):
        access_for("localhost", token)
    for weak in ("", "short", "Ж" * 20, "two\nlines of token 1"):
        token.write_text(weak, "utf-8")
        with pytest.raises(ServeError, match="at least 16 ASCII"):
            access_for("localhost", token)
    token.write_text(f"{TOKEN}\n", "utf-8")
    assert access_for("0.0.0.0", token).token == TOKEN  # noqa: S104
