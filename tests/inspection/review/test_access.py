"""Who may enter, and as whom: users with passwords, sessions, attempts, proxies."""

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import argon2
import pytest
from fastapi.testclient import TestClient
from itsdangerous import TimestampSigner
from review_toys import entry, registered_report, states_of

from inspection.cli import main
from inspection.review.database import Database
from inspection.review.errors import ServeError, UsersError
from inspection.review.identity import Identity, Role
from inspection.review.server.access import Access, access_for
from inspection.review.server.access.attempts import Attempts
from inspection.review.server.access.passwords import Users
from inspection.review.server.access.proxy import Proxy, networks
from inspection.review.server.access.requests import own_path
from inspection.review.server.access.sessions import SESSION_SECONDS, Session, Sessions
from inspection.review.server.app import make_app
from inspection.review.users import User, change_users, read_users

ORIGIN = {"Origin": "http://localhost:8765"}
PASSWORD = "correct horse"  # noqa: S105
# Weak on purpose: a hash of the real strength takes a tenth of a second.
QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def client(
    database: Database, access: Access, address: str = "10.0.0.1", base: str = "http://localhost"
) -> TestClient:
    return TestClient(
        make_app(database, access),
        base_url=f"{base}:8765",
        follow_redirects=False,
        client=(address, 1),
    )


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users.json"
    known: dict[str, Role] = {"Ада": "reviewer", "Vera": "viewer"}
    change_users(
        file,
        lambda users: users.update({n: User(r, QUICK.hash(PASSWORD)) for n, r in known.items()}),
    )
    return file


@pytest.fixture
def report(sqlite: Database, tmp_path: Path) -> Path:
    return registered_report(sqlite, tmp_path, {"a.png": ["class 1", "normal"]})


def sign_in(person: TestClient, name: str, password: str = PASSWORD, **more: str) -> Any:
    form = {"name": name, "password": password} | more
    return person.post("/login", data=form, headers=ORIGIN)


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    sent = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {sent}"}


def test_a_user_signs_in_decides_under_that_name_and_signs_out(
    sqlite: Database, report: Path, users: Path
) -> None:
    person = client(sqlite, Access(users=Users(users)))
    asked = person.get("/batches/1?page=1&show=open")
    assert asked.headers["location"] == "/login?next=%2Fbatches%2F1%3Fpage%3D1%26show%3Dopen"
    form = person.get(asked.headers["location"]).text
    assert 'name="next" value="/batches/1?page=1&amp;show=open"' in form
    answer = sign_in(person, " Ада ", next="/batches/1?page=1&show=open")
    assert answer.headers["location"] == "/batches/1?page=1&show=open"
    cookie = answer.headers["set-cookie"]
    assert [part in cookie for part in ("HttpOnly", "SameSite=strict", "Max-Age=43200", "Secure")] \
        == [True, True, True, False]  # fmt: skip
    me = {"name": "Ада", "role": "reviewer", "how": "user"}
    assert person.get("/api/me").json() == me
    page = person.get("/batches/1").text
    assert "<bdi>Ада</bdi>" in page
    assert 'name="reviewer"' not in page
    sent = {"id": "0b0e7c52-51b4-4c0c-a1a5-2f5a3a1f7c11", "act": "confirm", "strip": "1",
            "left": "0", "reviewer": "Mallory"}  # fmt: skip
    assert person.post("/batches/1/decide", data=sent, headers=ORIGIN).status_code == 303
    (state,) = states_of(sqlite, report)
    decision = state.decision
    assert (decision.reviewer, decision.authenticated, decision.how) == ("Ада", "Ада", "user")
    assert "signed in by password" in person.get("/batches/1").text
    copy = {"Cookie": cookie.partition(";")[0]}
    person.post("/logout", headers=ORIGIN | {"Content-Length": "0"})
    assert person.get("/", headers=copy).status_code == 303
    over_tls = client(sqlite, Access(users=Users(users)), base="https://localhost")
    answer = over_tls.post("/login", data={"name": "Ада", "password": PASSWORD},
                           headers={"Origin": "https://localhost:8765"})  # fmt: skip
    assert "Secure" in answer.headers["set-cookie"]


def test_nobody_decides_under_anothers_name_by_program(
    sqlite: Database, report: Path, users: Path
) -> None:
    program = client(sqlite, Access(users=Users(users)))
    url = "/api/batches/1/decisions"
    made = {"decisions": [entry(1, "confirm", "a.png", 0, reviewer="Mallory")]}
    refused = program.post(url, json=made, headers=basic("Ада"))
    assert (refused.status_code, refused.text) == (
        422,
        "decision 1: signed by 'Mallory', but 'Ада' is signed in; decide under that name, or sign "
        "in again",
    )
    made = {"decisions": [entry(1, "confirm", "a.png", 0, reviewer="Ада")]}
    assert program.post(url, json=made, headers=basic("Ада")).json()["added"] == 1
    wrong = program.get("/api/batches", headers=basic("Ада", "wrong password"))
    assert (wrong.status_code, wrong.text) == (
        401,
        "wrong name or password: sign in at /login; programs send name and password as "
        "Authorization: Basic",
    )
    assert "WWW-Authenticate" not in wrong.headers  # a browser would ask by a window of its own


def test_a_viewer_reads_and_does_not_decide(sqlite: Database, report: Path, users: Path) -> None:
    person = client(sqlite, Access(users=Users(users)))
    sign_in(person, "Vera")
    page = person.get("/batches/1")
    assert (page.status_code, '<form class="decide"' in page.text) == (200, False)
    assert person.get("/api/me").json()["role"] == "viewer"
    made = {"decisions": [entry(1, "confirm", "a.png", 0, reviewer="Vera")]}
    refused = person.post("/api/batches/1/decisions", json=made, headers=ORIGIN)
    assert (refused.status_code, refused.text) == (
        403, "Vera may look, not decide: the role is viewer.",
    )  # fmt: skip
    assert person.post("/batches/1/decide", data={"id": "1"}, headers=ORIGIN).status_code == 403
    assert states_of(sqlite, report) == []
    # Promoted while the server runs.
    change_users(users, lambda known: known.update(Vera=User("reviewer", known["Vera"].hash)))
    assert person.get("/api/me").json()["role"] == "reviewer"


def test_a_session_ends_with_the_password_and_with_the_user(sqlite: Database, users: Path) -> None:
    person = client(sqlite, Access(users=Users(users)))
    sign_in(person, "Ада")
    sign_in(other := client(sqlite, Access(users=Users(users))), "Vera")
    change_users(users, lambda known: known.update(Ада=User("reviewer", QUICK.hash("another one"))))
    assert person.get("/").status_code == 303
    assert sign_in(person, "Ада").status_code == 401
    change_users(users, lambda known: known.pop("Vera") and None)
    assert other.get("/").status_code == 303
    users.write_text("broken")
    assert other.get("/").status_code == 503
    assert "users.json" in other.get("/").text


def test_a_wrong_name_and_a_wrong_password_are_told_alike(sqlite: Database, users: Path) -> None:
    person = client(sqlite, Access(users=Users(users)))
    pages = [sign_in(person, *pair) for pair in (("Nobody", PASSWORD), ("Ада", "wrong"))]
    assert [page.status_code for page in pages] == [401, 401]
    assert pages[0].text == pages[1].text
    assert "Name or password is wrong" in pages[0].text


def test_guessing_takes_long(sqlite: Database, users: Path) -> None:
    access = Access(users=Users(users))
    person = client(sqlite, access)
    assert [sign_in(person, "Ада", "wrong").status_code for _ in range(6)] == [401] * 5 + [429]
    late = sign_in(person, "Ада")
    assert (late.status_code, "Too many attempts. Try again in 15 minutes." in late.text) == (
        429, True,
    )  # fmt: skip
    assert person.get("/api/me", headers=basic("Ада")).status_code == 429
    assert sign_in(person, "Vera").status_code == 303
    elsewhere = client(sqlite, access, "10.0.0.2")
    assert sign_in(elsewhere, "Ада").status_code == 303


def test_attempts_are_counted_by_name_and_address_for_a_quarter_of_an_hour() -> None:
    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    assert [attempts.begin("a", "x") for _ in range(6)] == [0, 0, 0, 0, 0, 900]
    now[0] = 100
    assert attempts.begin("a", "x") == 800
    attempts.succeeded("a", "y")
    now[0] = 900
    assert attempts.begin("a", "x") == 0
    # One address may try fifty names: the failures of the first minute are old by now.
    fresh = Attempts(clock=lambda: now[0])
    assert [fresh.begin("a", str(name)) for name in range(51)] == [0] * 50 + [900]
    assert fresh.begin("b", "0") == 0


def test_sessions_end_and_cannot_be_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, ada = Sessions(), Identity("Ада", "viewer", "oidc")
    cookie = sessions.start(ada, "proof")
    session = sessions.read(cookie)
    assert session == Session(session.id if session else "", ada, "proof")
    assert Sessions().read(cookie) is None  # of another start of the server
    for wrong in ("", "Ж.Ж", cookie[:-1], cookie.replace(".", "", 1), f"x{cookie}"):
        assert sessions.read(wrong) is None
    begun = TimestampSigner("x").get_timestamp()
    for age, there in ((SESSION_SECONDS, True), (SESSION_SECONDS + 10, False)):
        monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _, age=age: begun + age)
        assert (sessions.read(cookie) is not None) == there


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/batches/1?show=open#patch-1-0", "/batches/1?show=open#patch-1-0"),
        ("/reports/1/index.html#card=3", "/reports/1/index.html#card=3"),
        ("//evil.example/x", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("batches", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("///evil.example", "/"),
        ("//[", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_to_no_other_site(asked: str, led: str) -> None:
    assert own_path(asked) == led


def test_a_form_that_comes_too_late_says_that_it_was_lost(sqlite: Database, users: Path) -> None:
    person = client(sqlite, Access(users=Users(users)))
    answer = person.post("/batches/1/decide", data={"id": "1"}, headers=ORIGIN)
    assert answer.headers["location"] == "/login?next=%2Fbatches%2F1&lost=1"
    assert "what you sent was not saved" in person.get(answer.headers["location"]).text


def proxied(header: str = "X-Remote-User", role: str = "") -> Access:
    trusted = networks(["10.1.0.0/16", "::1"])
    return Access(proxy=Proxy(header, trusted, role), proxies=tuple(map(str, trusted)))


def test_a_name_is_believed_from_a_trusted_proxy_only(sqlite: Database, report: Path) -> None:
    named = {"X-Remote-User": "Ада".encode()}
    proxy = client(sqlite, proxied(), "10.1.2.3")
    me = {"name": "Ада", "role": "reviewer", "how": "proxy"}
    # What the proxy says of its client's address changes nothing of whose word it is.
    forwarded = named | {"X-Forwarded-For": b"10.9.9.9"}
    assert proxy.get("/api/me", headers=forwarded).json() == me
    stranger = client(sqlite, proxied(), "10.2.0.1")
    refused = stranger.get("/api/me", headers=named | {"X-Forwarded-For": b"10.1.2.3"})
    assert (refused.status_code, refused.text) == (
        403,
        "X-Remote-User came from 10.2.0.1, which is not a trusted proxy",
    )
    for person in (proxy, stranger):
        nobody = person.get("/")
        assert (nobody.status_code, "not signed in at the proxy" in nobody.text) == (401, True)
        assert "Sign out" not in nobody.text
    twice = [("X-Remote-User", "a"), ("X-Remote-User", "b")]
    assert proxy.get("/", headers=twice).status_code == 401
    for wrong in ("", " ", "x" * 201, "a\u0007"):
        assert proxy.get("/", headers={"X-Remote-User": wrong.encode()}).status_code == 401
    made = {"decisions": [entry(1, "confirm", "a.png", 0, reviewer="Ада")]}
    url = "/api/batches/1/decisions"
    assert proxy.post(url, json=made, headers=named | ORIGIN).json()["added"] == 1
    assert states_of(sqlite, report)[0].decision.how == "proxy"


def test_a_proxy_gives_the_role(sqlite: Database) -> None:
    proxy = client(sqlite, proxied(role="X-Role"), "::1")
    for said, role in (("reviewer", "reviewer"), ("viewer", "viewer"), ("admin", "viewer")):
        headers = {"X-Remote-User": "Ada", "X-Role": said}
        assert proxy.get("/api/me", headers=headers).json()["role"] == role
    assert proxy.get("/api/me", headers={"X-Remote-User": "Ada"}).json()["role"] == "viewer"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"proxy_header": "X-User"}, "--proxy-header needs --trusted-proxy"),
        ({"proxy_header": "X-User", "trusted": ["host"]}, "--trusted-proxy host: no address"),
        ({"proxy_role_header": "X-Role"}, "goes with --proxy-header"),
        ({"users": Path("u"), "token_file": Path("t")}, "--token-file and --users do not go"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ServeError, match=words):
        access_for("127.0.0.1", **options)


def test_users_are_added_listed_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspection.review.users._HASHER", QUICK)
    typed = iter(["a long password", "a long password", "first password", "another password"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))

    def user(*words: str) -> int:
        act, *others = words
        return main(["review", "user", act, "--users", os.fspath(file), *others])

    for file in (tmp_path / "users.json", tmp_path / "users.yaml"):
        (tmp_path / "password").write_text("another long one\n", "utf-8")
        if file.suffix == ".json":
            assert user("add", "A. Lovelace") == 0
            assert user("add", "Bob") == 2
            assert "the two passwords differ" in capsys.readouterr().err
        with_file = ("--password-file", os.fspath(tmp_path / "password"))
        assert user("add", "Ж. Вера", "--role", "viewer", *with_file) == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "another long one" not in file.read_text("utf-8")
        capsys.readouterr()
        assert user("list") == 0
        listed = capsys.readouterr().out
        assert listed.endswith("viewer    Ж. Вера\n")
        argon2.PasswordHasher().verify(read_users(file)["Ж. Вера"].hash, "another long one")
        assert user("remove", "Ж. Вера") == 0
        assert user("remove", "Ж. Вера") == 2
        assert "no user" in capsys.readouterr().err
    assert list(read_users(tmp_path / "users.json")) == ["A. Lovelace"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "password", "users.json", "users.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "format|object|dict"),
        ('{"format": "x", "users": {}}', "format"),
        ({"a": {"role": "admin", "hash": QUICK.hash("x")}}, "users, a, role"),
        ({"a": {"role": "viewer", "hash": "plain"}}, "users, a, hash: no hash by Argon2"),
        ({"a:b": {"role": "viewer", "hash": QUICK.hash("x")}}, "no colon"),
    ],
)
def test_a_file_of_users_that_cannot_be_taken(tmp_path: Path, content: Any, words: str) -> None:
    file = tmp_path / "users.json"
    with pytest.raises(UsersError, match="cannot be read"):
        read_users(file)
    if not isinstance(content, str):
        content = json.dumps({"format": "steel-sise users 1", "users": content})
    file.write_text(content, "utf-8")
    with pytest.raises(UsersError, match=words) as refused:
        access_for("127.0.0.1", users=file)
    assert "\n" not in str(refused.value)
    with pytest.raises(UsersError):
        change_users(file, lambda _: None)
    assert file.read_text("utf-8") == content


@pytest.mark.parametrize("password", ["short", "x" * 1001])
def test_passwords_have_a_length(
    tmp_path: Path, password: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p").write_text(password)
    command = ["review", "user", "add", "Ada", "--users", os.fspath(tmp_path / "u.json")]
    assert main([*command, "--password-file", os.fspath(tmp_path / "p")]) == 2
    assert "a password has 12 to 1000 characters" in capsys.readouterr().err
    assert not (tmp_path / "u.json").exists()


def test_another_host_name_is_told_the_cure(sqlite: Database) -> None:
    for host in ("evil.example:8765", "evil.example", "a b", "localhost.evil.example:1", ""):
        answer = client(sqlite, Access()).get("/", headers={"Host": host})
        assert answer.status_code == 400
        assert "127.0.0.1 and localhost only" in answer.text
        assert "--token-file, --users or --oidc" in answer.text
    assert client(sqlite, Access()).get("/", headers={"Host": "localhost"}).status_code == 200
