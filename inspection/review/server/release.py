"""Signing what becomes of a coil, and a batch's indications for a spreadsheet."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from inspection.pipeline.policy import DISPOSITIONS
from inspection.review import releases
from inspection.review.errors import RegistrationError, ReleaseError
from inspection.review.indications import sheets, write_sheets
from inspection.review.queries import strips_of
from inspection.review.server.site import Site
from inspection.words import say

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class ReleaseForm(BaseModel):
    """A release as the page's form sends it."""

    coil: str = ""
    disposition: str
    name: str = ""
    reason: str = ""


def release_routes(site: Site) -> APIRouter:
    """The page that signs, and what goes to a spreadsheet."""
    router = APIRouter(prefix="/batches/{batch_id}")

    @router.get("/release")
    def form(request: Request, batch_id: int) -> Response:
        return _page(site, request, batch_id)

    @router.post("/release")
    def sign(request: Request, batch_id: int, sent: Annotated[ReleaseForm, Form()]) -> Response:
        me = request.state.identity
        name = me.name or sent.name
        asked = releases.Request(
            sent.coil, sent.disposition, name, sent.reason.replace("\r\n", "\n")
        )
        try:
            with site.database.writing() as connection:
                told = releases.release(connection, site.batch(connection, batch_id), asked, me)
        except ReleaseError as error:
            return _page(site, request, batch_id, sent, str(error))
        if site.hand_over is not None:
            try:
                releases.hand_over(told, site.hand_over)
            except OSError as error:
                wrong = say(
                    "The release is signed, but was not handed over ({reason}). Sign it again when "
                    "the folder can be written.",
                    reason=error.strerror or "",
                )
                return _page(site, request, batch_id, sent, wrong)
        return RedirectResponse(f"/batches/{batch_id}/release", 303)

    @router.get("/indications.{kind}")
    def indications(batch_id: int, kind: str) -> Response:
        if kind not in _TYPES:
            raise HTTPException(404, say("There is no such page."))
        with site.database.reading() as connection:
            row = site.batch(connection, batch_id)
            try:
                made = sheets(connection, row)
            except RegistrationError as error:
                raise HTTPException(410, str(error)) from error
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"indications.{kind}"
            write_sheets(made, path)
            content = path.read_bytes()
        name = f'attachment; filename="indications-{row.fingerprint[:12]}.{kind}"'
        return Response(content, media_type=_TYPES[kind], headers={"Content-Disposition": name})

    return router


def _page(
    site: Site, request: Request, batch_id: int, sent: ReleaseForm | None = None, wrong: str = ""
) -> Response:
    with site.database.reading() as connection:
        row = site.batch(connection, batch_id)
        coils = sorted({strip.coil for strip in strips_of(connection, batch_id)})
        # A batch of one coil is that coil.
        names = coils if len(coils) == 1 else ["", *(name for name in coils if name)]
        looks = {name: releases.outlook(connection, row, name) for name in names}
        holding = releases.latest_releases(connection, batch_id)
        past = releases.history(connection, batch_id)
    content: dict[str, Any] = {
        "batch": row, "looks": looks, "holding": holding, "past": past, "sent": sent,
        "wrong": wrong,
        "choices": [*DISPOSITIONS, *([releases.WITHDRAWN] if holding else [])],
    }  # fmt: skip
    return site.page(request, "release.html.j2", 422 if wrong else 200, **content)
