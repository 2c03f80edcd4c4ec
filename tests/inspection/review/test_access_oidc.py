"""Signing in at an OpenID provider, which a test runs."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from issuer import CLIENT, SECRET, Issuer, running_issuer
from joserfc.jwk import RSAKey

from inspection.review.database import Database
from inspection.review.errors import ServeError
from inspection.review.server.access import access_for
from inspection.review.server.app import make_app

ORIGIN = {"Origin": "http://localhost:8765"}


@pytest.fixture(scope="module")
def one_issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(one_issuer: Issuer) -> Issuer:
    one_issuer.claims, one_issuer.calls_itself, one_issuer.key = {}, "", one_issuer.told
    return one_issuer


def described(folder: Path, at: Issuer, **more: Any) -> Path:
    (folder / "secret").write_text(f"{SECRET}\n")
    content = {"issuer": at.address, "client_id": CLIENT, "secret_file": "secret",
               "name_claim": "name"} | more  # fmt: skip
    file = folder / "oidc.yaml"
    file.write_text(json.dumps(content), "utf-8")
    return file


@pytest.fixture
def person(sqlite: Database, tmp_path: Path, issuer: Issuer) -> TestClient:
    return client(sqlite, described(tmp_path, issuer))


def client(database: Database, file: Path) -> TestClient:
    app = make_app(database, access_for("127.0.0.1", oidc=file))
    return TestClient(app, base_url="http://localhost:8765", follow_redirects=False)


def leave(person: TestClient) -> str:
    answer = person.get("/login/oidc?next=/trends")
    assert answer.status_code == 302
    return str(answer.headers["location"])


def come_back(person: TestClient, location: str, code: str, **other: str) -> Any:
    state = parse_qs(urlsplit(location).query)["state"][0]
    return person.get("/login/oidc/back", params={"code": code, "state": state} | other)


def test_a_person_signs_in_at_the_issuer(person: TestClient, issuer: Issuer) -> None:
    assert person.get("/trends").headers["location"] == "/login?next=%2Ftrends"
    page = person.get("/login?next=%2Ftrends").text
    assert f"Sign in at {issuer.address}" in page
    assert 'href="/login/oidc?next=/trends"' in page
    location = leave(person)
    assert location.startswith(f"{issuer.address}/authorize?")
    asked = parse_qs(urlsplit(location).query)
    assert asked["redirect_uri"] == ["http://localhost:8765/login/oidc/back"]
    assert all(len(asked[name][0]) >= 20 for name in ("state", "nonce", "code_challenge"))
    answer = come_back(person, location, issuer.authorize(location))
    assert (answer.status_code, answer.headers["location"]) == (303, "/trends")
    cookies = answer.headers.get_list("set-cookie")
    (ours,) = (cookie for cookie in cookies if cookie.startswith("steel_session="))
    assert ("HttpOnly" in ours, "SameSite=lax" in ours) == (True, True)
    assert person.get("/api/me").json() == {"name": "Ада", "role": "reviewer", "how": "oidc"}
    person.post("/logout", headers=ORIGIN | {"Content-Length": "0"})
    assert person.get("/api/me").status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example"},
        {"exp": int(time.time()) - 3600},
        {"nonce": "of another sign-in"},
        *(
            pytest.param(wrong, marks=pytest.mark.slow)
            for wrong in (
                {"aud": "another client"},
                {"exp": None},
                {"nonce": None},
                {"sub": None},
                {"name": None},
                {"name": "two\nlines"},
                {"name": ["a"]},
            )
        ),
    ],
)
def test_a_token_that_is_not_sure_is_refused(
    person: TestClient, issuer: Issuer, wrong: dict[str, Any]
) -> None:
    issuer.claims = wrong
    location = leave(person)
    answer = come_back(person, location, issuer.authorize(location))
    assert (answer.status_code, 'role="alert"' in answer.text) == (401, True)
    assert "steel_session=" not in str(answer.headers)
    assert person.get("/api/me").status_code == 401


def test_a_token_signed_by_another_key_is_refused(person: TestClient, issuer: Issuer) -> None:
    issuer.key = RSAKey.generate_key(2048, parameters={"kid": "one"})
    location = leave(person)
    assert come_back(person, location, issuer.authorize(location)).status_code == 401


def test_state_and_code_count_once_and_for_one_browser(
    person: TestClient, issuer: Issuer, sqlite: Database, tmp_path: Path
) -> None:
    location = leave(person)
    code = issuer.authorize(location)
    for params in ({"code": code, "state": "x"}, {"code": code}, {}, {"error": "access_denied"}):
        assert person.get("/login/oidc/back", params=params).status_code == 401
    stranger = client(sqlite, tmp_path / "oidc.yaml")
    assert come_back(stranger, location, code).status_code == 401
    location = leave(person)
    assert come_back(person, location, "a guess").status_code == 401
    location = leave(person)
    code = issuer.authorize(location)
    assert come_back(person, location, code).status_code == 303
    assert come_back(person, location, code).status_code == 401


def test_roles_come_from_a_claim(sqlite: Database, tmp_path: Path, issuer: Issuer) -> None:
    roles = {"claim": "groups", "reviewer": ["quality"], "viewer": ["line"]}
    file = described(tmp_path, issuer, roles=roles, name_claim="email")
    for groups, status, role in (
        (["line", "quality"], 303, "reviewer"),
        ("line", 303, "viewer"),
        (["office"], 403, ""),
        (None, 403, ""),
    ):
        issuer.claims = {"groups": groups, "email": "ada@mill.example"}
        person = client(sqlite, file)
        location = leave(person)
        answer = come_back(person, location, issuer.authorize(location))
        assert answer.status_code == status
        if role:
            assert person.get("/api/me").json() == {
                "name": "ada@mill.example", "role": role, "how": "oidc",
            }  # fmt: skip


def test_an_issuer_that_is_another_or_silent_is_told(
    sqlite: Database, tmp_path: Path, issuer: Issuer
) -> None:
    issuer.calls_itself = "https://evil.example"
    answer = client(sqlite, described(tmp_path, issuer)).get("/login/oidc")
    assert (answer.status_code, "https://evil.example" in answer.text) == (502, True)
    silent = described(tmp_path, issuer, issuer="http://127.0.0.1:9")
    answer = client(sqlite, silent).get("/login/oidc")
    assert (answer.status_code, "http://127.0.0.1:9 does not answer" in answer.text) == (502, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"issuer": "http://mill.example"}, "issuer: must begin with https://"),
        ({"address": "http://review.example"}, "address: must begin with https://"),
        ({"secret_file": "none"}, "none: cannot be read"),
        ({"client": "x"}, "no entry of this name"),
        ({"roles": {"claim": "groups"}}, "roles, reviewer"),
    ],
)
def test_a_file_that_does_not_describe_a_provider(
    tmp_path: Path, issuer: Issuer, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ServeError, match=words):
        access_for("127.0.0.1", oidc=described(tmp_path, issuer, **change))
