"""A review server for the browser tests, and what they read off its database."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from playwright.sync_api import Page, expect

from inspection.review.database import Database
from inspection.review.log import find_batch, read_log
from inspection.review.overview import Overviews
from inspection.review.register import read_report
from inspection.review.server.access import Access
from inspection.review.server.app import make_app

TOKEN = "no secret: " + "7" * 16


def running(database: Database, access: Access) -> Iterator[str]:
    """A server on a port of its own. Tests name it before their pages: it outlives them."""
    config = uvicorn.Config(make_app(database, access), port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def open_served(page: Page, server: str, state: str = "") -> None:
    """Open the first report through the server, at a state of its address; wait for its lists."""
    page.goto(f"{server}/reports/1/index.html{f'#{state}' if state else ''}")
    page.wait_for_selector("html[data-ready]", state="attached")


def all_sent(page: Page) -> None:
    """Wait until the page has sent what was decided."""
    expect(page.locator("#ledger")).to_have_text("Decisions go to the review at once.")


def kinds(database: Database, report: Path) -> list[tuple[str, str, str]]:
    """The log of a report: kind, value and reviewer of each decision, in their order."""
    with database.reading() as connection:
        batch = find_batch(connection, read_report(report).record["fingerprint"])
        log = read_log(connection, batch.id)
    return [(decision.kind, decision.value, decision.reviewer) for decision in log]


def counted(database: Database, report: Path) -> tuple[int, int]:
    """How many indications of a report the review calls decided, and how many disputed."""
    with database.reading() as connection:
        batch = find_batch(connection, read_report(report).record["fingerprint"])
        (overview,) = Overviews().of(connection, [batch])
    return overview.progress.decided, overview.progress.disputed
