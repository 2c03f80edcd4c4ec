"""No request makes the server fail: drawn from its own description, and the known traps."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from review_toys import entry, registered_report, states_of, uuid

from inspection.review.database import Database
from inspection.review.server.access import Access
from inspection.review.server.app import make_app

BASE = "http://localhost:8765"
HEADERS = {"Origin": BASE}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HALF = "\ud800"


@pytest.fixture
def report(database: Database, tmp_path: Path) -> Path:
    return registered_report(database, tmp_path, {"a.png": ["class 1", "normal"]})


@pytest.fixture
def client(database: Database, report: Path) -> TestClient:
    app = make_app(database, Access(None))
    return TestClient(app, BASE, raise_server_exceptions=False, headers=HEADERS)


def test_no_request_of_its_own_description_makes_it_fail(client: TestClient) -> None:
    api = schemathesis.openapi.from_dict(client.app.openapi())  # type: ignore[attr-defined]
    operations = [found.ok() for found in api.get_all_operations()]
    assert len(operations) >= 12
    cases = st.one_of(*(operation.as_strategy() for operation in operations))

    @given(cases)
    @settings(
        max_examples=60,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        asked = case.as_transport_kwargs(base_url=BASE)
        names = [name for name in ("method", "url", "params", "json", "data") if name in asked]
        sent = {name: asked[name] for name in names}
        answer = client.request(**sent, headers={**(asked.get("headers") or {}), **HEADERS})
        assert answer.status_code < 500, (asked, answer.text)

    ask()


def post(client: TestClient, **fields: Any) -> Any:
    made = entry(1, "confirm", "a.png", 0) | fields
    body = json.dumps({"decisions": [made]})
    return client.post("/api/batches/1/decisions", content=body, headers=JSON)


def test_what_is_no_text_is_refused(client: TestClient, database: Database, report: Path) -> None:
    for field in ("id", "kind", "strip", "left", "reviewer", "time", "reason", "class", HALF, "\0"):
        for text in (HALF, f"a{HALF}b.png", "a\0b"):
            fields = {field: text} | ({"kind": "reclass"} if field == "class" else {})
            assert post(client, **fields).status_code in (400, 422), (field, text)
            assert post(client, in_view_of=[text]).status_code in (400, 422)
    assert post(client, strip="a\0").text == (
        "decisions.0.confirm.strip: Value error, holds what is no text (NUL, or half a character)"
    )
    assert states_of(database, report) == []


def test_bodies_that_are_no_decisions(client: TestClient) -> None:
    bodies = [b"[" * 100_000, b'{"decisions":' * 5_000, b"9" * 5000, b"\xff", b"", b'"\\ud800"']
    for content in bodies:
        for kind in ("application/json", "text/plain", "multipart/form-data", "\x01"):
            for path in ("/api/batches/1/decisions", "/batches/1/decide", "/login"):
                answer = client.post(path, content=content, headers={"Content-Type": kind})
                assert answer.status_code in (400, 401, 422), (path, kind, content[:20])
    answer = client.post("/login", content=b" " * (16 * 2**20 + 1), headers=JSON)
    assert answer.status_code == 413


def test_fields_of_the_form(client: TestClient) -> None:
    fields = {"id": uuid(1), "act": "confirm", "strip": "1", "left": "0", "reviewer": "Ada"}
    for field in (*fields, "seen", "reason"):
        body = "&".join(f"{name}={quote(text)}" for name, text in fields.items() if name != field)
        for value in ("%ED%A0%80", "%00", "%FF", "9" * 5000, "-1", "%D9%A1%C2%B2"):
            content = f"{body}&{field}={value}"
            answer = client.post("/batches/1/decide", content=content, headers=FORM)
            harmless = (200, 404, 422) if field in ("reviewer", "reason") else (404, 422)
            assert answer.status_code in harmless, (field, value)


def test_addresses_that_lead_nowhere(client: TestClient) -> None:
    for number in ("-1", str(2**31), "9" * 5000, "1e3", "%00", "%ED%A0%80"):
        for path in ("/batches/{}", "/batches/{}/", "/api/batches/{}/states", "/crops/{}/1/0",
                     "/crops/1/{}/0", "/crops/1/1/{}", "/reports/{}/index.html",
                     "/reports/1/{}.html", "/batches/1?page={}", "/batches/1?show={}",
                     "/?page={}", "/{}"):  # fmt: skip
            for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST"):
                answer = client.request(method, path.replace("{}", number))
                assert answer.status_code in (404, 405, 411, 422), (method, path, number)


@pytest.mark.parametrize("token", [None, "0123456789abcdef"])
def test_headers(database: Database, report: Path, token: str | None) -> None:
    app = make_app(database, Access(token))
    client = TestClient(app, BASE, raise_server_exceptions=False, follow_redirects=False)
    for name, value in (
        ("cookie", b"steel_reviewer=%ED%A0%80"),
        ("cookie", b"steel_reviewer=\xff; steel_session=\xff.\xff"),
        ("cookie", b"=;;\x01"),
        ("authorization", b"bearer \xff"),
        ("range", b"bytes=99999999999999999999-"),
        ("if-modified-since", b"\xff"),
    ):
        for path in ("/", "/batches/1", "/api/batches", "/reports/1/batch.json", "/login"):
            answer = client.get(path, headers={name.encode(): value})
            assert answer.status_code < 500, (path, name, value)
