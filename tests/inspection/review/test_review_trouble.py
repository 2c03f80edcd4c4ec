"""What the pages say when something is in the way: a report that was moved, a database that another
program holds, a decision that needs a reason; and in another language."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from review_toys import decide, entry, registered_report, states_of, uuid
from test_review_holes import ORIGIN, browser
from test_review_server import words

from inspection.charts import trends
from inspection.charts.trends import BatchPoint
from inspection.review.database import Database, open_database
from inspection.review.server.access import Access
from inspection.review.server.app import make_app
from inspection.words import speaking

STRIPS = {"a.png": ["class 1", "normal", "class 2"]}


def test_a_report_that_was_moved_is_said_so(sqlite: Database, tmp_path: Path) -> None:
    report = registered_report(sqlite, tmp_path, STRIPS)
    (report / "index.html").write_text("<p>the report</p>")
    person = browser(sqlite)
    assert "moved or deleted" not in person.get("/").text + person.get("/batches/1").text
    report.rename(tmp_path / "elsewhere")
    told = f"The report is not at {report} any more: it was moved or deleted. Register it again"
    for path, status in (("/batches/1", 200), ("/reports/1/index.html", 404)):
        answer = person.get(path)
        assert (answer.status_code, 'role="alert"' in answer.text) == (status, True)
        assert told in words(answer.text)
    listed = person.get("/").text
    assert "The report was moved or deleted" in words(listed)
    assert "/reports/1/" not in listed
    picture = person.get("/reports/1/img/x.jpg")
    assert picture.headers["content-type"].startswith("text/plain")
    assert picture.text.startswith(told)
    form = {"id": uuid(1), "act": "confirm", "strip": "1", "left": "0", "reviewer": "x"}
    assert person.post("/batches/1/decide", data=form, headers=ORIGIN).status_code == 303


def test_a_locked_database_is_said_with_what_holds_it(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered_report(sqlite, tmp_path, STRIPS)
    monkeypatch.setattr("inspection.review.database.LOCK_SECONDS", 0.1)
    monkeypatch.setattr("inspection.review.database._holders", lambda _: ["process 7 (other)"])
    person = browser(open_database(f"sqlite:///{tmp_path / 'review.db'}"))
    other = sqlite3.connect(tmp_path / "review.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    reason = "database is locked by process 7 (other); try again when that is done, or end it"
    told = f"The database does not answer: {reason}"
    made = {"decisions": [entry(1, "confirm", "a.png", 0)]}
    line = person.post("/api/batches/1/decisions", json=made, headers=ORIGIN)
    assert (line.status_code, line.text) == (503, told)
    assert line.headers["content-type"].startswith("text/plain")
    page = person.get("/")
    assert (page.status_code, told in words(page.text)) == (503, True)
    assert str(tmp_path) not in page.text
    other.close()
    assert person.post("/api/batches/1/decisions", json=made, headers=ORIGIN).json()["added"] == 1


@pytest.mark.slow
def test_a_batch_that_another_writes_to_answers_in_time(
    url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick sibling above does the same on SQLite."""
    registered_report(database, tmp_path, STRIPS)
    monkeypatch.setattr("inspection.review.database.LOCK_SECONDS", 1)
    person = browser(open_database(url))
    made = {"decisions": [entry(1, "confirm", "a.png", 0)]}
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE batches SET name = name"))
        refused = person.post("/api/batches/1/decisions", json=made, headers=ORIGIN)
    assert refused.status_code == 503
    if database.engine.dialect.name == "postgresql":
        assert "held by process" in refused.text
        assert "steel" in refused.text


def test_a_form_asks_why_against_the_proposal_and_with_open_indications(
    sqlite: Database, tmp_path: Path
) -> None:
    report = registered_report(sqlite, tmp_path, STRIPS)
    person = browser(sqlite)
    proposed = str(states_proposed(sqlite))
    other = "scrap" if proposed != "scrap" else "hold"
    form = {"id": uuid(1), "act": f"disposition {other}", "strip": "1", "reviewer": "Ада",
            "show": "open", "reason": " "}  # fmt: skip
    asked = person.post("/batches/1/decide", data=form, headers=ORIGIN)
    assert asked.status_code == 422
    said = f"Proposed is {proposed}, not {other}. 2 indications of this strip are open. Please give"
    assert said in words(asked.text)
    assert f'<input type="hidden" name="id" value="{uuid(1)}">' in asked.text
    assert 'name="reviewer" value="Ада"' in asked.text
    assert 'href="/batches/1?page=1&amp;show=open#strip-1"' in asked.text
    assert states_of(sqlite, report) == []
    decide(sqlite, report, entry(2, "confirm", "a.png", 0), entry(3, "reject", "a.png", 512))
    decide(sqlite, report, entry(4, "confirm", "a.png", 512))  # in dispute is open
    form |= {"act": f"disposition {proposed}"}
    asked = person.post("/batches/1/decide", data=form, headers=ORIGIN)
    assert "1 indication of this strip is open. Please give the reason." in words(asked.text)
    assert "Proposed is" not in asked.text
    decide(sqlite, report, entry(5, "confirm", "a.png", 512, seen=[3, 4]))
    assert person.post("/batches/1/decide", data=form, headers=ORIGIN).status_code == 303
    reasoned = form | {"id": uuid(6), "act": f"disposition {other}", "reason": "seen by hand"}
    assert person.post("/batches/1/decide", data=reasoned, headers=ORIGIN).status_code == 303


def states_proposed(database: Database) -> str:
    with database.reading() as connection:
        return str(connection.scalar(sa.text("SELECT proposed FROM strips")))


def test_a_dispute_shows_both_sides(sqlite: Database, tmp_path: Path) -> None:
    report = registered_report(sqlite, tmp_path, STRIPS)
    decide(
        sqlite,
        report,
        entry(1, "confirm", "a.png", 0, reviewer="Ada", reason="deep"),
        entry(2, "reject", "a.png", 0, reviewer="Bob", reason="only dirt"),
    )
    page = words(browser(sqlite).get("/batches/1?show=disputed").text)
    assert "disputed Open until it is settled: decide anew in view of both sides" in page
    assert "confirmed, Ada , 2026-11-02 06:00 : deep" in page
    assert "no defect, Bob , 2026-11-02 06:00 : only dirt" in page
    assert "Withdraw Ada's confirmation" in page
    assert "Withdraw Bob's rejection" in page
    assert "Flagged patches decided 0 of 2 (0.0 %)" in page  # a disputed one is open


def test_the_pages_speak_german(sqlite: Database, tmp_path: Path) -> None:
    from fastapi.testclient import TestClient

    report = registered_report(sqlite, tmp_path, STRIPS)
    decide(sqlite, report, entry(1, "disposition", "a.png", disposition="hold"))
    app = make_app(sqlite, Access(), "de")
    person = TestClient(app, base_url="http://localhost", follow_redirects=False)
    page = person.get("/batches/1").text
    assert '<html lang="de">' in page
    said = words(page)
    for text in ("Zum Inhalt springen", "Auffällige Ausschnitte entschieden 0 von 2 (0,0 %)",
                 "Vorschlag:", "entschieden sperren , Ада", "Kein Fehler", "nacharbeiten",
                 "Begründung"):  # fmt: skip
        assert text in said, text
    assert "Lose" in words(person.get("/").text)
    assert "Ein solches Los gibt es nicht." in words(person.get("/batches/9").text)


def test_batches_of_one_day_are_told_apart_by_the_hour() -> None:
    def axis(*whens: tuple[str, str]) -> str:
        points = [
            BatchPoint("b", day, "m", "#b", 1, 2, None, (("class 1", 1),), None, None, None, clock)
            for day, clock in whens
        ]
        return trends.rates(points).svg

    day = axis(("2026-11-02", "06:10"), ("2026-11-02", "14:55"))
    assert [text in day for text in ("06:10", "14:55", "2026-11-02 (UTC)")] == [True, True, True]
    days = axis(("2026-11-02", "06:10"), ("2026-11-03", "14:55"))
    assert ("14:55" in days, "date of inspection" in days) == (False, True)
    with speaking("de"):
        assert "Uhrzeit" in axis(("2026-11-02", "06:10"), ("2026-11-02", "14:55"))
