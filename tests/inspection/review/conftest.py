import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from inspection.review.database import Database, open_database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that does not exist yet: a file, or a schema of the server's own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'тест 50% review.db'}"
        return
    server = os.environ.get("STEEL_POSTGRES")
    if not server:
        pytest.skip("set STEEL_POSTGRES to the URL of a PostgreSQL database to run this test")
    address = sa.make_url(server).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(address, poolclass=sa.NullPool)
    schema = f"test_{uuid.uuid4().hex}"
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    own = sa.make_url(server).update_query_dict({"options": f"-csearch_path={schema}"})
    yield own.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(sa.schema.DropSchema(schema, cascade=True))


@pytest.fixture
def database(url: str) -> Database:
    return open_database(url, create=True)


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    """For what the two databases do not differ in."""
    return open_database(f"sqlite:///{tmp_path / 'review.db'}", create=True)
