"""The review database: opened by URL, brought to the current schema, read and written.

SQLite keeps it in a file on one host; PostgreSQL serves several. A writer holds the
database (SQLite) or the batch (PostgreSQL, see `log.append`) until it has finished, so that
what it checked still holds when it writes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import alembic.util.exc
import sqlalchemy as sa
from sqlalchemy import exc

from inspection.review.errors import DatabaseError

LOCK_SECONDS = 5
"""For how long to wait for a lock, or for a server to answer."""
MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 0x57EE1  # any number, the same for all who migrate


@dataclass(frozen=True)
class Database:
    """A review database of the current schema. `name` is its URL without the password."""

    engine: sa.Engine
    name: str

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one state of the database. Raises DatabaseError."""
        engine = self.engine
        if engine.dialect.name == "postgresql":
            # By default each query sees what was committed before it, not before the first.
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with _one_line(self), engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A connection whose changes are all kept at the end, or none. Raises DatabaseError."""
        engine = self.engine.execution_options(writing=True)
        with _one_line(self), engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                milliseconds = int(1000 * LOCK_SECONDS)
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")
            yield connection


def open_database(url: str, create: bool = False) -> Database:
    """Open the database at an SQLAlchemy URL, and bring its schema up to date.

    `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`. A database that is not there,
    or without the tables, is made only if `create`. Raises DatabaseError if it is missing,
    out of reach, of a later version, or something else.
    """
    address = _parse(url)
    name = address.render_as_string(hide_password=True)
    file = Path(address.database or "") if address.get_backend_name() == "sqlite" else None
    if file is not None and not create and not file.is_file():
        raise DatabaseError(f"{name}: no such file; defect-inspect review register makes it")
    if file is not None and not file.parent.is_dir():
        raise DatabaseError(f"{name}: the folder {file.parent} does not exist; make it first")
    try:
        engine = sa.create_engine(
            address, connect_args=_connect_args(address), poolclass=sa.NullPool
        )
    except ImportError as error:
        raise DatabaseError(
            f'{name}: needs psycopg: pip install "steel-sise[postgresql]"'
        ) from error
    if file is not None:
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    database = Database(engine, name)
    _migrate(database, create)
    return database


def _parse(url: str) -> sa.URL:
    try:
        address = sa.make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise DatabaseError(
            "--db: not a database URL; write sqlite:///review.db or "
            "postgresql://user:password@host/name"
        ) from error
    backend = address.get_backend_name()
    if backend == "postgresql":
        return address.set(drivername="postgresql+psycopg")
    if address.drivername == "sqlite" and address.database and not address.query:
        return address
    if backend == "sqlite":
        raise DatabaseError("--db: SQLite takes a file and no options: sqlite:///review.db")
    raise DatabaseError(f"--db: {backend} is not served; use sqlite or postgresql")


def _connect_args(address: sa.URL) -> dict[str, Any]:
    if address.get_backend_name() == "sqlite":
        return {"timeout": LOCK_SECONDS, "check_same_thread": False}
    return {"connect_timeout": LOCK_SECONDS}


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late: not before the first change.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _migrate(database: Database, create: bool) -> None:
    config = alembic.config.Config()
    # Alembic reads its settings through configparser, where % is special.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        tables = sa.inspect(connection).get_table_names()
        if "alembic_version" not in tables and (tables or not create):
            raise DatabaseError(
                f"{database.name}: holds {'other tables' if tables else 'no review'}; "
                "defect-inspect review register makes a review in an empty database"
            )
        config.attributes["connection"] = connection
        try:
            alembic.command.upgrade(config, "head")
        except alembic.util.exc.CommandError as error:
            raise DatabaseError(
                f"{database.name}: made by a later version of this program, or another; "
                f"use that one ({error})"
            ) from error


@contextmanager
def _one_line(database: "Database") -> Iterator[None]:
    try:
        yield
    except exc.DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        words = f"{reason}{_cure(reason, database)}"
        raise DatabaseError(f"{database.name}: {words}", words) from error
    except UnicodeError as error:
        raise DatabaseError(f"{database.name}: no such host; check the URL") from error


def _cure(reason: str, database: "Database") -> str:
    """What to do about an error of the driver, by what it says."""
    if "lock timeout" in reason:
        who = _writers(database)
        return f"; held by {', '.join(who)}; try again when that is done" if who else "; try again"
    if "locked" in reason:
        who = _holders(Path(database.engine.url.database or ""))
        held = f" by {', '.join(who)}" if who else ""
        return f"{held}; try again when that is done, or end it"
    cures = {
        "not a database": "; name another file, or a new one",
        "unable to open": "; check the path and its rights",
        "readonly": "; have its rights changed, or copy it",
        "disk is full": "; free some space",
        "password authentication failed": "; check user and password in the URL",
        "no password supplied": "; write postgresql://USER:PASSWORD@HOST/NAME",
        "does not exist": "; check its name in the URL, or make it (createdb)",
        "resolve host": "; check the host in the URL",
        "connection": "; check that the server runs, and the host and port in the URL",
    }
    return next((cure for words, cure in cures.items() if words in reason), "")


def _writers(database: "Database") -> list[str]:
    """The other processes of a PostgreSQL server that are within a transaction on this database,
    the oldest first, as "process 4711 (review at 10.0.0.5)"."""
    query = sa.text(
        "SELECT pid, usename, coalesce(host(client_addr), 'this host') FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL "
        "ORDER BY xact_start LIMIT 3"
    )
    with suppress(exc.DBAPIError), database.engine.connect() as connection:
        return [f"process {pid} ({who} at {host})" for pid, who, host in connection.execute(query)]
    return []


def _holders(file: Path) -> list[str]:
    """The other processes that have a file open, as "process 4711 (python)", where the system tells
    (Linux, of processes one may look at)."""
    processes = []
    place = os.fspath(file.resolve())
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        if int(process.name) == os.getpid():
            continue
        with suppress(OSError):
            if any(_target(entry) == place for entry in (process / "fd").iterdir()):
                name = (process / "comm").read_text("utf-8", "replace").strip()
                processes.append(f"process {process.name} ({name})")
    return processes


def _target(entry: Path) -> str:
    try:
        return os.readlink(entry)  # noqa: PTH115 (a name in text, which need not exist)
    except OSError:
        return ""
