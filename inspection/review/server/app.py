"""The server: guards around all routes, then pages, endpoints and reports' files."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

import jinja2
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from inspection.review.database import Database
from inspection.review.errors import DatabaseError, DecisionError, StripError
from inspection.review.server.access import LOOPBACK, Access, is_forged
from inspection.review.server.routes import LOGIN, STYLE, make_router

LARGEST_BODY = 16 * 2**20
_CSP = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "font-src 'self'; {connect}form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # "no-referrer" would make browsers send "Origin: null" with the forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Next = Callable[[Request], Awaitable[Response]]


def make_app(database: Database, access: Access) -> FastAPI:
    """The application on a database. Without a token it answers to loopback names only."""
    app = FastAPI(
        title="steel-sise review",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("inspection.review.server"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("inspection.review.server").joinpath("templates", "review.css").read_text("utf-8")
    app.include_router(make_router(database, access, environment, style))

    @app.middleware("http")
    async def guard(request: Request, go_on: Next) -> Response:
        response = _refusal(request, access) or await go_on(request)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        # A report's page reads states and sends decisions; the others work without scripts.
        connect = "connect-src 'self'; " if request.url.path.startswith("/reports/") else ""
        response.headers["Content-Security-Policy"] = _CSP.format(connect=connect)
        return response

    if access.token is None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))

    @app.exception_handler(DecisionError)
    def refuse(_request: Request, error: DecisionError) -> Response:
        return PlainTextResponse(str(error), 422)

    @app.exception_handler(StripError)
    def miss(_request: Request, _error: StripError) -> Response:
        return PlainTextResponse("the strip is not where it was inspected, or was changed", 404)

    @app.exception_handler(DatabaseError)
    def fail(_request: Request, _error: DatabaseError) -> Response:
        return PlainTextResponse("the database does not answer; try again", 503)

    return app


def _refusal(request: Request, access: Access) -> Response | None:
    """The answer to a request that must not reach a route."""
    if is_forged(request):
        return PlainTextResponse("this request does not come from a page of this server", 403)
    if request.method not in ("GET", "HEAD"):
        length = request.headers.get("content-length", "")
        if not length.isdigit():
            return PlainTextResponse("the header Content-Length is missing", 411)
        if int(length) > LARGEST_BODY:
            return PlainTextResponse(f"more than {LARGEST_BODY} bytes", 413)
    if request.url.path in (LOGIN, STYLE) or access.admits(request):
        return None
    if request.url.path.startswith("/api/"):
        return PlainTextResponse("a token is needed", 401, {"WWW-Authenticate": "Bearer"})
    return RedirectResponse(LOGIN, 303)
