"""Releases are signed, kept, told to other programs; indications go to a spreadsheet."""

import csv
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa
from review_toys import decide, entry
from sqlalchemy import exc
from starlette.testclient import TestClient
from toys import strip, write_strip

from inspection.review.audit import find_one
from inspection.review.database import Database, open_database
from inspection.review.errors import ReleaseError
from inspection.review.identity import Identity
from inspection.review.indications import COLUMNS, sheets, write_sheets
from inspection.review.register import read_report, register
from inspection.review.releases import (
    Request,
    hand_over,
    history,
    latest_releases,
    outlook,
    release,
)
from inspection.review.server.access import Access
from inspection.review.server.app import make_app
from severstal_prep.files import file_sha256


@pytest.fixture
def signed(url: str, inspect_toy: Any, tmp_path: Path) -> tuple[Database, Path]:
    """A registered report of two coils: the first with two indications, the second with one."""
    batch = tmp_path / "batch"
    write_strip(batch / "coil 1" / "=a.png", strip(1024, bright=[100, 600]))
    write_strip(batch / "coil 1" / "b.png", strip(512))
    write_strip(batch / "coil 2" / "c.png", strip(512, bright=[300]))
    inspect_toy(batch, tmp_path / "report", mm_per_px=0.5)
    database = open_database(url, create=True)
    register(database, read_report(tmp_path / "report"))
    return database, tmp_path / "report"


def sign(database: Database, *asked: Any, **known: Any) -> dict[str, Any]:
    with database.writing() as connection:
        return release(connection, find_one(connection, "batch"), Request(*asked), **known)


def flagged(report: Path) -> list[tuple[str, int]]:
    patches = read_report(report).patches
    own = patches[patches["flagged"]]
    return list(zip(own["strip_id"], own["left"].astype(int), strict=True))


def test_a_release_asks_why_until_all_is_decided(signed: tuple[Database, Path]) -> None:
    database, report = signed
    places = flagged(report)
    with database.reading() as connection:
        before = outlook(connection, find_one(connection, "batch"), "coil 2")
    own = [place for place in places if place[0] == "coil 2/c.png"]
    assert (before.strips, before.open, before.decided) == (1, len(own), 0)
    with pytest.raises(ReleaseError, match=rf"give a reason: proposed is {before.proposed}"):
        sign(database, "coil 2", before.proposed, "A. Smith")
    decide(database, report, *(entry(n, "confirm", *place) for n, place in enumerate(own, 1)))
    told = sign(database, "coil 2", before.proposed, "A. Smith")
    assert told["format"] == "steel-sise release 1"
    assert told["signature"]["name"] == "A. Smith"
    assert told["seal"] == file_sha256(report / "SHA256SUMS")
    assert told["indications"] == {"open": 0, "decided": len(own)}
    assert told["strips"] == {"coil 2/c.png": {"proposed": before.proposed, "disposition": ""}}
    with pytest.raises(ReleaseError, match="give a reason"):
        sign(database, "coil 2", "scrap", "A. Smith")


def test_a_later_release_holds_and_both_stay(signed: tuple[Database, Path]) -> None:
    database, _ = signed
    sign(database, "coil 1", "hold", "A", "first look")
    sign(database, "coil 1", "scrap", "B", "cracks", identity=Identity("B", "reviewer", "user"))
    with database.reading() as connection:
        batch = find_one(connection, "batch")
        assert latest_releases(connection, batch.id)["coil 1"].disposition == "scrap"
        rows = history(connection, batch.id)
    assert [(row.name, row.authenticated, row.how) for row in rows] == [
        ("A", "", ""),
        ("B", "B", "user"),
    ]
    sign(database, "coil 1", "withdrawn", "B", "wrong coil")
    with database.reading() as connection:
        assert latest_releases(connection, batch.id) == {}
        assert len(history(connection, batch.id)) == 3


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("coil 9", "hold", "A", "x"), "the batch has no coil 'coil 9'; it has coil 1, coil 2"),
        (("coil 1", "free", "A", "x"), "give one of accept, hold, rework, scrap, withdrawn"),
        (("coil 1", "hold", " ", "x"), "a release is signed: give a name"),
        (("coil 1", "withdrawn", "A", "x"), "coil 'coil 1' has no release to withdraw"),
    ],
)
def test_what_cannot_be_signed_is_one_line(
    signed: tuple[Database, Path], asked: tuple[str, ...], told: str
) -> None:
    with pytest.raises(ReleaseError) as refused:
        sign(signed[0], *asked)
    assert told in str(refused.value)


def test_nobody_signs_for_another_nor_what_was_changed(signed: tuple[Database, Path]) -> None:
    database, report = signed
    with pytest.raises(ReleaseError, match=r"^B is signed in and signs, not A$"):
        sign(database, "", "hold", "A", "x", identity=Identity("B", "reviewer", "user"))
    (report / "flagged.csv").write_text("nothing")
    with pytest.raises(ReleaseError, match=r"flagged\.csv is changed, so the report is not what"):
        sign(database, "", "hold", "A", "x")


def test_releases_are_not_changed_or_removed(signed: tuple[Database, Path]) -> None:
    database, _ = signed
    sign(database, "coil 1", "hold", "A", "x")
    for change in ("UPDATE releases SET name = 'B'", "DELETE FROM releases"):
        with (
            pytest.raises(exc.DBAPIError, match="append-only"),
            database.engine.begin() as connection,
        ):
            connection.execute(sa.text(change))


def test_a_release_is_handed_over_whole_and_under_its_own_name(
    signed: tuple[Database, Path], tmp_path: Path
) -> None:
    told = sign(signed[0], "coil 1", "hold", "A", "x")
    first = hand_over(told | {"coil": "../a/b"}, tmp_path / "mes")
    assert first.parent == tmp_path / "mes"
    assert json.loads(first.read_text("utf-8"))["disposition"] == "hold"
    second = hand_over(told, tmp_path / "mes")
    assert sorted((tmp_path / "mes").iterdir()) == sorted([first, second])


def test_a_spreadsheet_has_places_decisions_and_no_formulas(
    signed: tuple[Database, Path], tmp_path: Path
) -> None:
    database, report = signed
    places = flagged(report)
    strip_id, left = places[0]
    decide(
        database, report, entry(1, "reject", strip_id, left, reason="=1+1"),
        entry(2, "disposition", strip_id, disposition="rework"),
    )  # fmt: skip
    sign(database, "coil 1", "hold", "A", "x")
    with database.reading() as connection:
        made = sheets(connection, find_one(connection, "batch"))
    write_sheets(made, tmp_path / "i.xlsx")
    book = openpyxl.load_workbook(tmp_path / "i.xlsx")
    assert book.sheetnames == ["Indications", "Strips", "About"]
    head, *lines = book["Indications"].iter_rows(values_only=True)
    assert head == COLUMNS
    assert [(line[0], line[2]) for line in lines] == places
    first = dict(zip(head, lines[0], strict=True))
    assert (first["left_mm"], first["top_mm"]) == (left * 0.5, 0)
    assert (first["state"], first["people"], first["reason"]) == ("decided", "normal", "=1+1")
    assert (first["disposition"], first["release"]) == ("rework", "hold")
    kinds = {cell.data_type for row in book["Indications"].iter_rows() for cell in row}
    assert "f" not in kinds
    assert {line[-1] or "" for line in lines if line[1] == "coil 2"} == {""}
    strips = list(book["Strips"].iter_rows(values_only=True))
    assert len(strips) == 4
    about = dict(book["About"].iter_rows(min_row=2, values_only=True))
    assert about["seal"] == file_sha256(report / "SHA256SUMS")

    write_sheets(made, tmp_path / "i.csv")
    with (tmp_path / "i.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(places)
    assert rows[0]["reason"] == "'=1+1"


def test_the_page_signs_and_downloads(signed: tuple[Database, Path], tmp_path: Path) -> None:
    database, _ = signed
    client = TestClient(
        make_app(database, Access(), hand_over=tmp_path / "mes"), base_url="http://127.0.0.1",
        headers={"Origin": "http://127.0.0.1"},
    )  # fmt: skip
    page = client.get("/batches/1/release")
    assert page.status_code == 200
    form = {"coil": "coil 1", "disposition": "accept", "name": "A. Smith"}
    refused = client.post("/batches/1/release", data=form)
    assert refused.status_code == 422
    assert "give a reason" in refused.text
    assert 'value="A. Smith"' in refused.text
    answer = client.post("/batches/1/release", data=form | {"reason": "<b>agreed</b>"})
    assert answer.status_code == 200
    assert "&lt;b&gt;agreed&lt;/b&gt;" in answer.text
    (file,) = (tmp_path / "mes").iterdir()
    assert json.loads(file.read_text("utf-8"))["signature"]["name"] == "A. Smith"
    sheet = client.get("/batches/1/indications.xlsx")
    assert sheet.content.startswith(b"PK")
    assert client.get("/batches/1/indications.csv").text.startswith("\ufeffstrip,coil,left_px")
    assert client.get("/batches/1/indications.exe").status_code == 404


def test_a_release_that_cannot_be_handed_over_is_signed_and_said_so(
    signed: tuple[Database, Path], tmp_path: Path
) -> None:
    database, _ = signed
    (tmp_path / "mes").write_text("a file")
    client = TestClient(
        make_app(database, Access(), hand_over=tmp_path / "mes"), base_url="http://127.0.0.1",
        headers={"Origin": "http://127.0.0.1"},
    )  # fmt: skip
    form = {"coil": "coil 1", "disposition": "hold", "name": "A", "reason": "x"}
    answer = client.post("/batches/1/release", data=form)
    assert answer.status_code == 422
    assert "The release is signed, but was not handed over (" in answer.text
    with database.reading() as connection:
        assert len(history(connection, find_one(connection, "batch").id)) == 1
