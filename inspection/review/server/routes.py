"""What programs ask for: endpoints, reports' files and crops."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from inspection.review.decisions import Entry
from inspection.review.log import append
from inspection.review.originals import patch_png
from inspection.review.queries import all_batches, patch_at
from inspection.review.server.answers import states_after, states_in
from inspection.review.server.reports import KINDS, is_report, moved, report_file
from inspection.review.server.site import LARGEST_NUMBER, Site
from inspection.words import say


class Posted(BaseModel):
    """Decisions on a batch, as programs post them."""

    model_config = ConfigDict(extra="forbid")
    decisions: tuple[Entry, ...]


def api_routes(site: Site) -> APIRouter:
    """The endpoints of a site."""
    router = APIRouter(prefix="/api")

    @router.get("/me")
    def who(request: Request) -> dict[str, str]:
        return asdict(request.state.identity)

    @router.get("/batches")
    def batches() -> list[dict[str, Any]]:
        with site.database.reading() as connection:
            return [
                {"id": row.id, "name": row.name, "fingerprint": row.fingerprint}
                for row in all_batches(connection)
            ]

    @router.get("/batches/{batch_id}/states")
    def states(batch_id: int) -> Response:
        with site.database.reading() as connection:
            site.batch(connection, batch_id)
            # FastAPI would walk through thousands of plain values to make them plain.
            return JSONResponse(states_in(connection, batch_id))

    @router.post("/batches/{batch_id}/decisions")
    def decide(request: Request, batch_id: int, posted: Posted) -> dict[str, Any]:
        with site.database.writing() as connection:
            batch = site.batch(connection, batch_id)
            me = request.state.identity
            added = append(connection, batch, posted.decisions, "server", me)
            return {"added": added, "states": states_after(connection, batch_id, posted.decisions)}

    return router


def file_routes(site: Site) -> APIRouter:
    """Files of reports, and patches cut from strips."""
    router = APIRouter()

    @router.get("/crops/{batch_id}/{number}/{left}")
    def crop(batch_id: int, number: int, left: int) -> Response:
        with site.database.reading() as connection:
            batch = site.batch(connection, batch_id)
            known = min(number, left) >= 0 and max(number, left) <= LARGEST_NUMBER
            patch = patch_at(connection, batch_id, number, left) if known else None
        if patch is None:
            raise HTTPException(404, say("There is no such patch."))
        return Response(
            patch_png(batch.strips_folder, patch, batch.patch_size), media_type="image/png"
        )

    @router.get("/reports/{batch_id}/{name:path}")
    def report(batch_id: int, name: str) -> Response:
        with site.database.reading() as connection:
            root = Path(site.batch(connection, batch_id).report_folder)
        path = report_file(root, name)
        if path is None and not is_report(root):
            raise HTTPException(404, moved(root))
        if path is None:
            raise HTTPException(404, say("The report has no such file."))
        return FileResponse(path, media_type=KINDS[path.suffix])

    return router
