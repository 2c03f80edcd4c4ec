"""Pages, endpoints and reports' files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, Form, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)

from inspection.policy import DISPOSITIONS, NORMAL
from inspection.review.audit import audits
from inspection.review.database import Database
from inspection.review.decisions import ENTRY, Entry, first_problem
from inspection.review.errors import DecisionError
from inspection.review.log import AnyEntry, append, decided_at
from inspection.review.reviewed import registered, reviewed_patches
from inspection.review.server.access import COOKIE, SESSION_SECONDS, Access
from inspection.review.server.answers import states_after, states_in
from inspection.review.server.crops import crop_png, find_patch
from inspection.review.server.reports import KINDS, report_file
from inspection.review.server.views import batch_by_id, page_of, strip_name, trends

LOGIN = "/login"
STYLE = "/review.css"
_DIGITS = 2**31 - 1


class Posted(BaseModel):
    """Decisions on a batch, as programs post them."""

    model_config = ConfigDict(extra="forbid")
    decisions: tuple[Entry, ...]


class DecisionForm(BaseModel):
    """A decision as a page's form sends it. `act` is a kind, or "KIND VALUE"; `strip` the
    strip's number in the database, `left` "" for a decision on the strip."""

    id: str
    act: str
    strip: Annotated[int, Field(ge=1, le=_DIGITS)]
    left: Annotated[str, Field(pattern="^[0-9]{0,9}$")] = ""
    seen: str = ""
    reviewer: str = ""
    reason: str = ""
    page: Annotated[int, Field(ge=1, le=_DIGITS)] = 1
    audit: bool = False


def make_router(
    database: Database, access: Access, environment: jinja2.Environment, style: str
) -> APIRouter:
    """All routes on a database."""
    router = APIRouter()

    def page(template: str, status: int = 200, **content: Any) -> HTMLResponse:
        text = environment.get_template(template).render(**content)
        return HTMLResponse(text, status)

    def find(connection: Any, batch_id: int) -> Any:
        row = batch_by_id(connection, batch_id) if 0 < batch_id <= _DIGITS else None
        if row is None:
            raise HTTPException(404, "no such batch")
        return row

    @router.get(STYLE)
    def stylesheet() -> Response:
        return Response(style, media_type="text/css")

    @router.get(LOGIN)
    def login_form() -> Response:
        return page("login.html.j2", wrong=False)

    @router.post(LOGIN)
    def login(request: Request, token: Annotated[str, Form()]) -> Response:
        if not access.is_token(token):
            return page("login.html.j2", 401, wrong=True)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE,
            access.new_session(),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.get("/")
    def index() -> Response:
        with database.reading() as connection:
            return page("batches.html.j2", trends=trends(connection))

    @router.get("/trends")
    def trend() -> Response:
        with database.reading() as connection:
            return page("trends.html.j2", trends=trends(connection))

    @router.get("/batches/{batch_id}")
    def batch_page(
        batch_id: int,
        number: Annotated[int, Query(alias="page", ge=1, le=_DIGITS)] = 1,
        audit: bool = False,
    ) -> Response:
        with database.reading() as connection:
            batch = find(connection, batch_id)
            shown = page_of(connection, batch_id, number, audit)
            drawn = audits(connection, batch, reviewed_patches(connection, batch_id))
        classes = [name for name in batch.classes if name != NORMAL]
        return page(
            "batch.html.j2",
            batch=batch,
            page=shown,
            audit=audit,
            audits=drawn,
            classes=classes,
            dispositions=DISPOSITIONS,
        )

    @router.post("/batches/{batch_id}/decide")
    def decide(batch_id: int, form: Annotated[DecisionForm, Form()]) -> Response:
        with database.writing() as connection:
            batch = find(connection, batch_id)
            strip = strip_name(connection, batch_id, form.strip)
            if strip is None:
                raise HTTPException(404, "no such strip")
            # A form sent twice is one decision, made when it came first.
            now = decided_at(connection, form.id) or datetime.now(UTC)
            append(connection, batch, [_from_form(form, strip, now)], "server")
        audit = "&audit=true" if form.audit else ""
        return RedirectResponse(f"/batches/{batch_id}?page={form.page}{audit}", 303)

    @router.get("/api/batches")
    def api_batches() -> list[dict[str, Any]]:
        with database.reading() as connection:
            return [
                {"id": row.id, "name": row.name, "fingerprint": row.fingerprint}
                for row in registered(connection)
            ]

    @router.get("/api/batches/{batch_id}/states")
    def api_states(batch_id: int) -> Response:
        with database.reading() as connection:
            find(connection, batch_id)
            # FastAPI would walk through thousands of plain values to make them plain.
            return JSONResponse(states_in(connection, batch_id))

    @router.post("/api/batches/{batch_id}/decisions")
    def api_decide(batch_id: int, posted: Posted) -> dict[str, Any]:
        with database.writing() as connection:
            batch = find(connection, batch_id)
            added = append(connection, batch, posted.decisions, "server")
            return {"added": added, "states": states_after(connection, batch_id, posted.decisions)}

    @router.get("/crops/{batch_id}/{number}/{left}")
    def crop(batch_id: int, number: int, left: int) -> Response:
        with database.reading() as connection:
            batch = find(connection, batch_id)
            known = max(number, left) <= _DIGITS
            strip = find_patch(connection, batch_id, number, left) if known else None
        if strip is None:
            raise HTTPException(404, "no such patch")
        return Response(crop_png(batch.strips_folder, strip, left), media_type="image/png")

    @router.get("/reports/{batch_id}/{name:path}")
    def report(batch_id: int, name: str) -> Response:
        with database.reading() as connection:
            root = Path(find(connection, batch_id).report_folder)
        path = report_file(root, name)
        if path is None:
            raise HTTPException(404, "the report has no such file")
        return FileResponse(path, media_type=KINDS[path.suffix])

    return router


def _from_form(form: DecisionForm, strip: str, now: datetime) -> AnyEntry:
    kind, _, value = form.act.partition(" ")
    made = {
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
