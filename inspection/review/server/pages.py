"""What people see: lists, batches, trends, the form to decide with, and signing in."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, unquote
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException, Query
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from inspection.pipeline.policy import DISPOSITIONS
from inspection.review.decisions import ENTRY, first_problem
from inspection.review.errors import DecisionError
from inspection.review.log import AnyEntry, append, decided_at, queue_up
from inspection.review.queries import Row, newest_batches, number_of_batches, strip_name
from inspection.review.server.login import NAME_COOKIE
from inspection.review.server.reasons import why
from inspection.review.server.reports import is_report, moved
from inspection.review.server.site import LARGEST_NUMBER, Site
from inspection.review.server.trends import MOST_BATCHES, drawings, styles_of, trends
from inspection.review.server.views import Show, anchor_after, page_of
from inspection.words import say

STYLE = "/review.css"
ICON = "/favicon.ico"
SCRIPT = "/review.js"
LISTED = 50
SHIFT_SECONDS = 8 * 3600

Number = Annotated[int, Query(alias="page", ge=1, le=LARGEST_NUMBER)]


class DecisionForm(BaseModel):
    """A decision as a page's form sends it. `act` is a kind, or "KIND VALUE"; `strip` the
    strip's number in the database, `left` "" for a decision on the strip."""

    id: UUID
    act: str
    strip: Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]
    left: Annotated[str, Field(pattern="^[0-9]{0,9}$")] = ""
    seen: str = ""
    reviewer: str = ""
    reason: str = ""
    page: Annotated[int, Field(ge=1, le=LARGEST_NUMBER)] = 1
    show: Show = "all"


def page_routes(site: Site) -> APIRouter:
    """The pages of a site."""
    router = APIRouter()
    _add_reading(router, site)
    _add_deciding(router, site)
    return router


def _add_reading(router: APIRouter, site: Site) -> None:
    @router.get(STYLE)
    def stylesheet() -> Response:
        return Response(site.style, media_type="text/css")

    @router.get(SCRIPT)
    def script() -> Response:
        return Response(site.script, media_type="text/javascript")

    @router.get(ICON)
    def icon() -> Response:
        # Browsers ask for one, and complain in their console where there is none.
        return Response(status_code=204)

    @router.get("/")
    def index(request: Request, number: Number = 1) -> Response:
        with site.database.reading() as connection:
            total = number_of_batches(connection)
            pages = max(1, -(-total // LISTED))
            number = min(number, pages)
            rows = newest_batches(connection, LISTED, LISTED * (number - 1))
            overviews = site.overviews.of(connection, rows)
        return site.page(
            request,
            "batches.html.j2",
            here="batches",
            batches=overviews,
            missing={row.id: moved(root) for row in rows if not is_report(root := _root(row))},
            number=number,
            pages=pages,
            total=total,
        )

    @router.get("/trends")
    def trend(request: Request) -> Response:
        with site.database.reading() as connection:
            total = number_of_batches(connection)
            rows = newest_batches(connection, MOST_BATCHES)[::-1]
            overviews = site.overviews.of(connection, rows)
        shown = trends(overviews)
        return site.page(
            request,
            "trends.html.j2",
            here="trends",
            trends=shown,
            drawings=drawings(shown),
            total=total,
            most=MOST_BATCHES,
        )

    @router.get("/batches/{batch_id}")
    def batch(request: Request, batch_id: int, number: Number = 1, show: Show = "all") -> Response:
        with site.database.reading() as connection:
            row = site.batch(connection, batch_id)
            shown = page_of(connection, row, number, show)
            (overview,) = site.overviews.of(connection, [row])
        return site.page(
            request,
            "batch.html.j2",
            batch=overview,
            missing=None if is_report(_root(row)) else moved(_root(row)),
            page=shown,
            show=show,
            styles=styles_of(overview.classes),
            dispositions=DISPOSITIONS,
            reviewer=_remembered(request),
        )


def _root(batch: Row) -> Path:
    return Path(batch.report_folder)


def _add_deciding(router: APIRouter, site: Site) -> None:
    @router.post("/batches/{batch_id}/decide")
    def decide(request: Request, batch_id: int, form: Annotated[DecisionForm, Form()]) -> Response:
        me = request.state.identity
        if me.name:
            form.reviewer = me.name
        with site.database.writing() as connection:
            batch = site.batch(connection, batch_id)
            strip = strip_name(connection, batch_id, form.strip)
            if strip is None:
                raise HTTPException(404, say("There is no such strip."))
            queue_up(connection, batch)
            because = [] if form.reason.strip() else why(connection, batch, form.strip, form.act)
            if because:
                return _ask_reason(site, request, batch_id, form, because)
            # A form sent twice is one decision, made when it came first.
            now = decided_at(connection, str(form.id)) or datetime.now(UTC)
            append(connection, batch, [_from_form(form, strip, now)], "server", me)
            page = page_of(connection, batch, form.page, form.show)
        place = anchor_after(page, form.show, form.strip, int(form.left) if form.left else None)
        show = "" if form.show == "all" else f"&show={form.show}"
        answer = RedirectResponse(f"/batches/{batch_id}?page={page.number}{show}#{place}", 303)
        name = form.reviewer.strip()
        if not me.name and name != _remembered(request):
            # For a shift, forms begin with the name that was written last.
            answer.set_cookie(
                NAME_COOKIE,
                quote(name),
                max_age=SHIFT_SECONDS,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
        return answer


def _ask_reason(
    site: Site, request: Request, batch_id: int, form: DecisionForm, because: list[str]
) -> Response:
    """A page that asks for the reason, and sends the form again."""
    sent = form.model_dump(mode="json", exclude={"reason"})
    show = "" if form.show == "all" else f"&show={form.show}"
    back = f"/batches/{batch_id}?page={form.page}{show}#strip-{form.strip}"
    return site.page(
        request,
        "reason.html.j2",
        422,
        batch_id=batch_id,
        because=because,
        sent=sent,
        back=back,
    )


def _remembered(request: Request) -> str:
    name = unquote(request.cookies.get(NAME_COOKIE, ""))
    return name if name.isprintable() and len(name) <= 200 else ""


def _from_form(form: DecisionForm, strip: str, now: datetime) -> AnyEntry:
    kind, _, value = form.act.partition(" ")
    made: dict[str, Any] = {
        "id": form.id,
        "kind": kind,
        "strip": strip,
        "reviewer": form.reviewer.strip(),
        "time": now,
        # Browsers send line ends of a text as CR LF.
        "reason": form.reason.replace("\r\n", "\n"),
        "in_view_of": form.seen.split(),
    }
    if form.left:
        made["left"] = int(form.left)
    value_of = {"reclass": "class", "disposition": "disposition", "undo": "undoes"}
    if kind in value_of:
        made[value_of[kind]] = value
    try:
        return ENTRY.validate_python(made)
    except ValidationError as error:
        raise DecisionError(first_problem(error)) from error
