"""What all routes share: the database, who may enter, and how a page is made."""

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import sqlalchemy as sa
from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from inspection.review.database import Database
from inspection.review.overview import Overviews
from inspection.review.queries import Row, batch_by_id
from inspection.review.server.access import Access
from inspection.words import (
    decimal,
    language,
    number,
    percent,
    plural,
    probability,
    say,
    say_html,
    word,
)

LARGEST_NUMBER = 2**31 - 1
"""Of what a database's integers hold."""

_WORDS = {
    "known_by": {
        "imported": word("imported"),
        "token": word("by the shared token"),
        "user": word("signed in by password"),
        "proxy": word("named by the proxy"),
        "oidc": word("signed in at the issuer"),
    },
    "became": {"undone": word("withdrawn"), "replaced": word("replaced")},
    "withdraw": {
        "confirm": word("Withdraw {name}'s confirmation"),
        "reject": word("Withdraw {name}'s rejection"),
        "reclass": word("Withdraw {name}'s class"),
        "disposition": word("Withdraw {name}'s disposition"),
    },
    "shows": (
        ("all", word("All strips")),
        ("open", word("Still open")),
        ("disputed", word("In dispute")),
        ("audit", word("Drawn for audits")),
    ),
}
_FIRST_RULE = "*, *::before"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("inspection.review.server"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number, percent=percent, decimal=decimal, probability=probability
    )
    environment.globals.update(
        say=say, say_html=say_html, plural=plural, language=language, **_WORDS
    )
    return environment


@cache
def _style() -> str:
    """The report's colours and fonts, which its style sheet begins with, then our own rules."""
    report = files("inspection.report").joinpath("assets", "report.css").read_text("utf-8")
    return report.partition(_FIRST_RULE)[0] + _asset("review.css")


def _asset(name: str) -> str:
    return files("inspection.review.server").joinpath("templates", name).read_text("utf-8")


@dataclass(frozen=True)
class Site:
    """A review as a site."""

    database: Database
    access: Access
    language: str = "en"
    hand_over: Path | None = None
    overviews: Overviews = field(default_factory=Overviews)
    environment: jinja2.Environment = field(default_factory=_environment)
    style: str = field(default_factory=_style)
    script: str = field(default_factory=lambda: _asset("review.js"))

    def page(
        self, request: Request, template: str, status: int = 200, **content: Any
    ) -> HTMLResponse:
        """A page from a template; `here` in its content names the entry of the menu."""
        me = getattr(request.state, "identity", None)
        known = {"here": "", "guarded": self.access.has_sessions and me is not None, "me": me}
        made = self.environment.get_template(template)
        return HTMLResponse(made.render(known | content), status)

    def batch(self, connection: sa.Connection, batch_id: int) -> Row:
        """The row of a batch. Raises HTTPException, 404, if there is none."""
        row = batch_by_id(connection, batch_id) if 0 < batch_id <= LARGEST_NUMBER else None
        if row is None:
            raise HTTPException(404, say("There is no such batch."))
        return row
