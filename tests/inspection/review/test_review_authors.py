"""The log keeps who was signed in, on SQLite and PostgreSQL alike."""

from pathlib import Path

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from review_toys import entry, fingerprint, registered_report, uuid, write_file

from inspection.review.database import MIGRATIONS, Database, open_database
from inspection.review.decisions import ENTRY
from inspection.review.errors import DatabaseError, DecisionError
from inspection.review.identity import How, Identity
from inspection.review.import_decisions import import_decisions
from inspection.review.log import append, find_batch, read_log

STRIPS = {"a.png": ["class 1", "normal"]}
HOW: tuple[How, ...] = ("user", "proxy", "oidc")
KNOWN = "SELECT uuid, reviewer, authenticated, how FROM decisions ORDER BY id"


@pytest.fixture
def report(database: Database, tmp_path: Path) -> Path:
    return registered_report(database, tmp_path, STRIPS)


def rows(database: Database) -> list[tuple[str, ...]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.text(KNOWN))]


def test_a_decision_keeps_who_was_signed_in(database: Database, report: Path) -> None:
    made = [ENTRY.validate_python(entry(i, "confirm", "a.png", 0)) for i in range(1, 6)]
    authors = [Identity(), Identity(how="token")]
    authors += [Identity("Ада", "reviewer", how) for how in HOW]
    for one, author in zip(made, authors, strict=True):
        with database.writing() as connection:
            batch = find_batch(connection, fingerprint(report))
            append(connection, batch, [one], "server", author)
    with database.reading() as connection:
        log = read_log(connection, batch.id)
    assert [(d.authenticated, d.how) for d in log] == [(a.name, a.how) for a in authors]


def test_nobody_signs_under_anothers_name(database: Database, report: Path) -> None:
    made = ENTRY.validate_python(entry(1, "confirm", "a.png", 0))
    author = Identity("B. Jones", "reviewer", "user")
    with database.writing() as connection:
        batch = find_batch(connection, fingerprint(report))
        with pytest.raises(DecisionError, match=r"signed by 'Ада', but 'B. Jones' is signed in"):
            append(connection, batch, [made], "server", author)
    assert rows(database) == []


def test_a_file_says_nothing_of_who_was_signed_in(
    database: Database, report: Path, tmp_path: Path
) -> None:
    import_decisions(
        database, [write_file(tmp_path / "d.json", report, entry(1, "confirm", "a.png", 0))]
    )
    assert rows(database) == [(uuid(1), "Ада", "", "")]


@pytest.mark.parametrize(
    "known",
    ["'Ада', 'guess'", "'B. Jones', 'user'", "'Ада', 'token'", "'', 'user'", "'Ада', ''"],
)
def test_other_programs_cannot_claim_more(database: Database, report: Path, known: str) -> None:
    columns = "batch_id, strip_id, kind, value, reviewer, reason, decided, recorded, source"
    values = "1, 1, 'disposition', 'hold', 'Ада', '', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP"
    template = (
        f"INSERT INTO decisions (uuid, {columns}, authenticated, how) "  # noqa: S608
        f"VALUES ('{{}}', {values}, 'server', {{}})"
    )
    with database.writing() as connection:
        connection.execute(sa.text(template.format("right", "'Ада', 'user'")))
    with pytest.raises(DatabaseError), database.writing() as connection:
        connection.execute(sa.text(template.format("wrong", known)))
    assert rows(database) == [("right", "Ада", "Ада", "user")]


def test_decisions_of_an_earlier_version_stay_and_cannot_be_changed(url: str) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg") if "postgres" in url else url,
        poolclass=sa.NullPool,
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0003")
        for statement in (
            "INSERT INTO batches VALUES (1, 'b', 'f', 'r', 'm', 'a', '[]', 'r', 's', "
            "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, '', 256)",
            "INSERT INTO strips VALUES (1, 1, 'a.png', '', 's', true, 'accept')",
            "INSERT INTO decisions VALUES (1, 'old', 1, 1, NULL, 'disposition', 'hold', NULL, "
            "'Ада', '', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 'server')",
        ):
            connection.execute(sa.text(statement))
    database = open_database(url)
    assert rows(database) == [("old", "Ада", "", "")]
    for change in ("UPDATE decisions SET how = 'token'", "DELETE FROM decisions"):
        with pytest.raises(DatabaseError, match="append-only"), database.writing() as connection:
            connection.execute(sa.text(change))
