"""The server: guards around all routes, then pages, endpoints and reports' files."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from inspection.review.database import Database
from inspection.review.errors import DatabaseError, DecisionError, StripError
from inspection.review.server.access import LOOPBACK, Access, is_forged
from inspection.review.server.pages import ICON, LOGIN, STYLE, page_routes
from inspection.review.server.routes import api_routes, file_routes
from inspection.review.server.site import Site
from inspection.words import speaking

LARGEST_BODY = 16 * 2**20
_MOST_DIGITS = 20
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


def make_app(database: Database, access: Access, language: str = "en") -> FastAPI:
    """The application on a database. Without a token it answers to loopback names only."""
    app = FastAPI(
        title="steel-sise review",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    site = Site(database, access, language)
    for router in (page_routes(site), api_routes(site), file_routes(site)):
        app.include_router(router)

    @app.middleware("http")
    async def guard(request: Request, go_on: Next) -> Response:
        with speaking(site.language):
            response = _refusal(request, access) or await go_on(request)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        # A report's page reads states and sends decisions; the others work without scripts.
        connect = "connect-src 'self'; " if request.url.path.startswith("/reports/") else ""
        response.headers["Content-Security-Policy"] = _CSP.format(connect=connect)
        return response

    if access.token is None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))
    _add_refusals(app, site)
    return app


def _add_refusals(app: FastAPI, site: Site) -> None:
    """Programs are told in a line what is wrong, people on a page."""

    def say(request: Request, status: int, words: str) -> Response:
        # A line may name what was sent, which need not be text that can be sent back.
        words = words.encode("utf-8", "backslashreplace").decode()
        if request.url.path.startswith(("/api/", "/reports/", "/crops/")):
            return PlainTextResponse(words, status)
        return site.page("problem.html.j2", status, words=words)

    @app.exception_handler(HTTPException)
    def answer(request: Request, error: HTTPException) -> Response:
        return say(request, error.status_code, error.detail)

    @app.exception_handler(DecisionError)
    def refuse(request: Request, error: DecisionError) -> Response:
        return say(request, 422, str(error))

    @app.exception_handler(RequestValidationError)
    def reject(request: Request, error: RequestValidationError) -> Response:
        # The path to the field, without what was sent there.
        problems = (
            f"{'.'.join(map(str, problem['loc'][1:]))}: {problem['msg']}"
            for problem in error.errors()[:5]
        )
        return say(request, 422, "; ".join(problems))

    @app.exception_handler(StripError)
    def miss(request: Request, _error: StripError) -> Response:
        return say(request, 404, "the strip is not where it was inspected, or was changed")

    @app.exception_handler(DatabaseError)
    def fail(request: Request, _error: DatabaseError) -> Response:
        return say(request, 503, "the database does not answer; try again")


def _refusal(request: Request, access: Access) -> Response | None:
    """The answer to a request that must not reach a route."""
    if is_forged(request):
        return PlainTextResponse("this request does not come from a page of this server", 403)
    if request.method not in ("GET", "HEAD"):
        length = request.headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal()):
            return PlainTextResponse("the header Content-Length is missing", 411)
        if len(length) > _MOST_DIGITS or int(length) > LARGEST_BODY:
            return PlainTextResponse(f"more than {LARGEST_BODY} bytes", 413)
    if request.url.path in (LOGIN, STYLE, ICON) or access.admits(request):
        return None
    if request.url.path.startswith("/api/"):
        return PlainTextResponse("a token is needed", 401, {"WWW-Authenticate": "Bearer"})
    return RedirectResponse(LOGIN, 303)
