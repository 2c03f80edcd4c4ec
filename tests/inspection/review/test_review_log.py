"""The store, on SQLite and PostgreSQL alike: what it takes, what it refuses, what it keeps."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from review_toys import decide, entry, fingerprint, make_report, registered_report, states_of, uuid

from inspection.review.database import Database, open_database
from inspection.review.errors import DatabaseError, DecisionError, RegistrationError
from inspection.review.log import find_batch, read_log
from inspection.review.register import read_report, register
from inspection.review.reviewed import reviewed_patches
from inspection.review.schema import LOG, batches, decisions, metadata, patches, strips

STRIPS = {"a.png": ["class 1", "normal"], "coil/b.png": ["class 3"]}


@pytest.fixture
def report(database: Database, tmp_path: Path) -> Path:
    return registered_report(database, tmp_path, STRIPS)


def count(database: Database, table: sa.Table) -> int:
    with database.reading() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def test_a_registered_report_has_its_strips_and_patches(database: Database, report: Path) -> None:
    with database.reading() as connection:
        batch = find_batch(connection, fingerprint(report))
        rows = connection.execute(
            sa.select(strips.c.strip, patches.c.left, patches.c.flagged, patches.c.verdict)
            .join(patches)
            .order_by(patches.c.id)
        ).all()
    assert (batch.name, batch.bundle_sha256, batch.classes[4]) == ("b", "ab" * 32, "class 4")
    assert batch.inspected.isoformat() == "2026-11-01T06:00:00+00:00"
    assert [tuple(row) for row in rows] == [
        ("a.png", 0, True, "class 1"),
        ("a.png", 256, False, "normal"),
        ("coil/b.png", 0, True, "class 3"),
    ]


def test_registering_again_renews_the_place_only(
    database: Database, report: Path, tmp_path: Path
) -> None:
    moved = report.rename(tmp_path / "moved")
    assert not register(database, read_report(moved), tmp_path / "elsewhere")
    with database.reading() as connection:
        batch = find_batch(connection, fingerprint(moved))
    assert batch.report_folder == str(moved)
    assert batch.strips_folder == str(tmp_path / "elsewhere")
    assert (count(database, batches), count(database, patches)) == (1, 3)
    table = pd.read_parquet(moved / "results.parquet")
    table.assign(score=0.5).to_parquet(moved / "results.parquet")
    with pytest.raises(RegistrationError, match="other figures"):
        register(database, read_report(moved))


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="no finished report"):
        read_report(tmp_path / "none")
    report = make_report(tmp_path, STRIPS)
    (report / "results.parquet").write_bytes((report / "strips.parquet").read_bytes())
    with pytest.raises(RegistrationError, match="another version, 'indicated' is missing"):
        read_report(report)
    (report / "results.parquet").write_bytes(b"no parquet")
    with pytest.raises(RegistrationError, match="damaged"):
        read_report(report)
    (report / "batch.json").write_text("[]")
    with pytest.raises(RegistrationError, match="damaged"):
        read_report(report)


def test_a_decision_is_kept_whole(database: Database, report: Path) -> None:
    hostile = '=1+1 <script>alert("х")</script>\nline 2\'; DROP TABLE decisions; --'
    made = entry(1, "reclass", "a.png", 0, **{"class": "class 2"}, reason=hostile,
                 reviewer="<b>Łukasz</b>", time="2026-11-02T09:30:00.250000+03:00")  # fmt: skip
    assert decide(database, report, made) == 1
    with database.reading() as connection:
        (kept,) = read_log(connection, find_batch(connection, fingerprint(report)).id)
    assert (kept.uuid, kept.kind, kept.value) == (uuid(1), "reclass", "class 2")
    assert (kept.reviewer, kept.reason, kept.source) == ("<b>Łukasz</b>", hostile, "server")
    assert kept.decided.isoformat() == "2026-11-02T06:30:00.250000+00:00"
    assert kept.recorded.utcoffset() is not None
    assert kept.subject[0] == "patch"


def test_the_same_decision_twice_adds_nothing(database: Database, report: Path) -> None:
    first = entry(1, "confirm", "a.png", 0)
    second = entry(2, "reject", "a.png", 0, seen=[1])
    assert decide(database, report, first, second) == 2
    assert decide(database, report, first, second) == 0
    assert count(database, decisions) == 2
    for changed in ({"reason": "x"}, {"in_view_of": []}, {"kind": "confirm"}):
        with pytest.raises(DecisionError, match=r"decision 1: the id .* is another decision's"):
            decide(database, report, second | changed)


def test_disposition_undo_and_dispute(database: Database, report: Path) -> None:
    decide(database, report, entry(1, "disposition", "a.png", disposition="rework"))
    decide(database, report, entry(2, "disposition", "a.png", disposition="scrap"))
    (state,) = states_of(database, report)
    assert (state.status, state.tips) == ("disputed", (uuid(1), uuid(2)))
    decide(database, report, entry(3, "undo", "a.png", undoes=uuid(2), seen=[1, 2]))
    (state,) = states_of(database, report)
    assert (state.status, state.decision.value, state.tips) == ("decided", "rework", (uuid(3),))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (entry(9, "confirm", "c.png", 0), "no strip 'c.png'"),
        (entry(9, "confirm", "a.png", 128), "'a.png' has no patch at 128 px"),
        (entry(9, "reject", "a.png", 256), "not flagged; to agree with that, confirm it"),
        (entry(9, "reclass", "a.png", 0, **{"class": "crack"}), "no class 'crack'"),
        (entry(9, "reclass", "a.png", 0, **{"class": "normal"}), "rejected, not reclassed"),
        (entry(9, "reclass", "a.png", 0, **{"class": "class 1"}), "class 1 already; confirm it"),
        (entry(9, "confirm", "a.png", 0, seen=[8]), "which is not known"),
        (entry(9, "confirm", "a.png", 256, seen=[1]), "about another strip or patch"),
        (entry(9, "disposition", "a.png", disposition="hold", seen=[1]), "about another strip"),
        (entry(9, "undo", "a.png", 0, undoes=uuid(1)), "name it in in_view_of"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_kept(
    database: Database, report: Path, made: Any, message: str
) -> None:
    decide(database, report, entry(1, "confirm", "a.png", 0))
    good = entry(2, "confirm", "coil/b.png", 0)
    with pytest.raises(DecisionError, match="decision 2: ") as refused:
        decide(database, report, good, made)
    assert message in str(refused.value)
    assert count(database, decisions) == 1


def test_the_log_refuses_change(database: Database, report: Path) -> None:
    decide(database, report, entry(1, "confirm", "a.png", 0))
    decide(database, report, entry(2, "reject", "a.png", 0, seen=[1]))
    with database.writing() as connection:
        connection.execute(sa.text(
            "INSERT INTO samples (id, batch_id, size, seed, population, drawn) "
            "VALUES (1, 1, 1, 0, 1, '2026-11-01 00:00:00')"
        ))  # fmt: skip
        connection.execute(sa.text("INSERT INTO sampled (sample_id, patch_id) VALUES (1, 2)"))
    columns = ("reason", "seen", "seed", "patch_id")
    for table, column in zip(LOG, columns, strict=True):
        rows = metadata.tables[table]
        for statement in (rows.update().values({column: rows.c[column]}), rows.delete()):
            with pytest.raises(DatabaseError, match="append-only"), database.writing() as open_:
                open_.execute(statement)
        assert count(database, metadata.tables[table]) > 0


def test_the_log_refuses_replacement(database: Database, report: Path) -> None:
    decide(database, report, entry(1, "confirm", "a.png", 0))
    sqlite = database.engine.dialect.name == "sqlite"
    statement = (
        "INSERT OR REPLACE INTO decisions SELECT id, uuid, batch_id, strip_id, patch_id, kind, "
        "value, undoes, 'forged', reason, decided, recorded, source, '', '' FROM decisions"
        if sqlite
        else "TRUNCATE decisions CASCADE"
    )
    with pytest.raises(DatabaseError, match="append-only"), database.writing() as connection:
        connection.execute(sa.text(statement))


def test_constraints_hold_against_other_programs(database: Database, report: Path) -> None:
    decide(database, report, entry(1, "confirm", "a.png", 0))
    columns = "batch_id, strip_id, patch_id, kind, value, undoes, reviewer, reason, decided, "
    template = (
        f"INSERT INTO decisions (uuid, {columns} recorded, source) SELECT 'new', "  # noqa: S608
        f"{columns} recorded, source FROM decisions"
    )
    for old, new in (
        (" kind, value", " 'delete', value"),
        (" kind, value", " 'reclass', value"),
        (" undoes,", " uuid,"),
        (" patch_id,", " NULL,"),
        (" reviewer,", " '',"),
        (", source FROM", ", 'guess' FROM"),
    ):
        select = template.replace("SELECT 'new', ", "SELECT 'new',  ")
        head, tail = select.split("SELECT")
        with pytest.raises(DatabaseError), database.writing() as connection:
            connection.execute(sa.text(f"{head}SELECT{tail.replace(old, new)}"))
    with database.writing() as connection:
        connection.execute(sa.text(template))
    assert count(database, decisions) == 2


def test_many_reviewers_at_once_lose_nothing(url: str, database: Database, report: Path) -> None:
    shared = entry(1000, "disposition", "a.png", disposition="scrap")

    def reviewer(number: int) -> int:
        own = open_database(url)
        return sum(
            decide(own, report, entry(10 * number + i, "confirm", "a.png", 0), shared)
            for i in range(5)
        )

    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(reviewer, range(1, 7)))
    assert sum(added) == 31
    patch, strip = sorted(states_of(database, report), key=lambda s: -len(s.current))
    assert len(patch.current) == 30
    assert patch.status == "decided"
    assert len(strip.current) == 1


def test_a_reader_sees_one_state_while_others_write(
    url: str, database: Database, report: Path
) -> None:
    decide(database, report, entry(1, "confirm", "a.png", 0))
    with ThreadPoolExecutor(1) as pool:
        with database.reading() as connection:
            batch = find_batch(connection, fingerprint(report))
            before = read_log(connection, batch.id)
            late = entry(2, "reject", "a.png", 0, seen=[1])
            writer = pool.submit(lambda: decide(open_database(url), report, late))
            time.sleep(0.7)
            assert read_log(connection, batch.id) == before
            (patch,) = reviewed_patches(connection, batch.id)
            assert patch.human == "class 1"
        assert writer.result() == 1
    assert count(database, decisions) == 2


def test_opening_again_keeps_all_and_matches_the_schema(
    url: str, database: Database, report: Path
) -> None:
    decide(database, report, entry(1, "confirm", "a.png", 0))
    again = open_database(url)
    assert count(again, decisions) == 1
    with again.reading() as connection:
        inspector = sa.inspect(connection)
        for table in metadata.tables.values():
            found = {(c["name"], c["nullable"]) for c in inspector.get_columns(table.name)}
            assert found == {(c.name, c.nullable) for c in table.columns}
            checks = {c["name"] for c in inspector.get_check_constraints(table.name)}
            assert checks == {
                c.name for c in table.constraints if isinstance(c, sa.CheckConstraint)
            }


def test_an_empty_database_is_not_made_by_reading(url: str) -> None:
    with pytest.raises(DatabaseError, match="defect-inspect review register makes"):
        open_database(url)


def test_a_database_of_a_later_version_or_other_tables_is_left_alone(
    url: str, database: Database
) -> None:
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="later version"):
        open_database(url)
    with database.writing() as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))
    with pytest.raises(DatabaseError, match="holds other tables"):
        open_database(url, create=True)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("review.db", "not a database URL"),
        ("mysql://me:secret@host/x", "mysql is not served"),
        ("sqlite://", "SQLite takes a file"),
        ("sqlite:////no/such/folder/x.db", "does not exist; make it first"),
        ("postgresql://me:secret@127.0.0.1:1/x", "postgresql+psycopg://me:***@127.0.0.1:1/x: "),
    ],
)
def test_bad_addresses_are_one_line_without_the_password(address: str, message: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        open_database(address, create=True)
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database, but long enough to be looked at" * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        open_database(f"sqlite:///{tmp_path / 'x.db'}")
