"""The server: guards around all routes, then pages, endpoints and reports' files."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from inspection.review.database import Database
from inspection.review.errors import DatabaseError, DecisionError, StripError, UsersError
from inspection.review.server.access import Access, RefusedError
from inspection.review.server.access.proxy import KeepPeer, nobody
from inspection.review.server.access.requests import authorization, is_forged, is_local
from inspection.review.server.login import LOGIN, login_routes, to_login
from inspection.review.server.pages import ICON, SCRIPT, STYLE, page_routes
from inspection.review.server.release import release_routes
from inspection.review.server.routes import api_routes, file_routes
from inspection.review.server.site import Site
from inspection.words import say, speaking

LARGEST_BODY = 16 * 2**20
_MOST_DIGITS = 20
_NOT_HERE = (
    "this server answers to 127.0.0.1 and localhost only, not to {host!a}; open it by one of these "
    "names, or start it with --token-file, --users or --oidc"
)
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


def make_app(
    database: Database, access: Access, language: str = "en", hand_over: Path | None = None
) -> FastAPI:
    """The application on a database. Without a token it answers to loopback names only; releases
    are written into the folder `hand_over`, too."""
    app = FastAPI(
        title="steel-sise review",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    site = Site(database, access, language, hand_over)
    for router in (
        login_routes(site),
        page_routes(site),
        api_routes(site),
        file_routes(site),
        release_routes(site),
    ):
        app.include_router(router)

    @app.middleware("http")
    async def guard(request: Request, go_on: Next) -> Response:
        with speaking(site.language):
            response = await _refusal(request, site) or await go_on(request)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        # A report's page reads states and sends decisions; the others work without scripts.
        connect = "connect-src 'self'; " if request.url.path.startswith("/reports/") else ""
        response.headers["Content-Security-Policy"] = _CSP.format(connect=connect)
        return response

    if access.provider is not None:
        # Between leaving for the issuer and coming back; then the session is our own.
        app.add_middleware(
            SessionMiddleware,
            secret_key=access.sessions.key.hex(),
            session_cookie="steel_sign_in",
            max_age=600,
            path=LOGIN,
            same_site="lax",
            https_only=access.provider.settings.address.startswith("https:"),
        )
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(access.proxies))
    app.add_middleware(KeepPeer)
    _add_refusals(app, site)
    return app


def _told(request: Request, site: Site, status: int, words: str) -> Response:
    """Programs are told in a line what is wrong, people on a page."""
    # A line may name what was sent, which need not be text that can be sent back.
    words = words.encode("utf-8", "backslashreplace").decode()
    path = request.url.path
    if path.startswith(("/api/", "/crops/")) or (
        path.startswith("/reports/") and not path.endswith(".html")
    ):
        return PlainTextResponse(words, status)
    return site.page(request, "problem.html.j2", status, words=words)


def _add_refusals(app: FastAPI, site: Site) -> None:

    def tell(request: Request, status: int, words: str) -> Response:
        return _told(request, site, status, words)

    @app.exception_handler(HTTPException)
    def answer(request: Request, error: HTTPException) -> Response:
        return tell(request, error.status_code, error.detail)

    @app.exception_handler(RefusedError)
    def turn_away(request: Request, error: RefusedError) -> Response:
        return tell(request, error.status, error.words)

    @app.exception_handler(UsersError)
    def cannot_tell(request: Request, error: UsersError) -> Response:
        return tell(request, 503, str(error))

    @app.exception_handler(DecisionError)
    def refuse(request: Request, error: DecisionError) -> Response:
        return tell(request, 422, str(error))

    @app.exception_handler(RequestValidationError)
    def reject(request: Request, error: RequestValidationError) -> Response:
        # The path to the field, without what was sent there.
        problems = (
            f"{'.'.join(map(str, problem['loc'][1:]))}: {problem['msg']}"
            for problem in error.errors()[:5]
        )
        return tell(request, 422, "; ".join(problems))

    @app.exception_handler(StripError)
    def miss(request: Request, _error: StripError) -> Response:
        words = say("The strip is not where it was inspected, or was changed.")
        return tell(request, 404, words)

    @app.exception_handler(DatabaseError)
    def fail(request: Request, error: DatabaseError) -> Response:
        words = say("The database does not answer: {reason}", reason=error.reason)
        return tell(request, 503, words)


async def _refusal(request: Request, site: Site) -> Response | None:
    """The answer to a request that must not reach a route; the state of one that may says who asks
    (`identity`)."""
    request.state.identity = None
    if not site.access.how and not is_local(request):
        host = request.headers.get("host", "")
        return PlainTextResponse(_NOT_HERE.format(host=host), 400)
    if is_forged(request):
        return PlainTextResponse("this request does not come from a page of this server", 403)
    if request.method not in ("GET", "HEAD"):
        length = request.headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal()):
            return PlainTextResponse("the header Content-Length is missing", 411)
        if len(length) > _MOST_DIGITS or int(length) > LARGEST_BODY:
            return PlainTextResponse(f"more than {LARGEST_BODY} bytes", 413)
    try:
        if authorization(request, "basic") is None:
            identity = site.access.identify(request)
        else:  # a password takes its time
            identity = await run_in_threadpool(site.access.identify, request)
    except RefusedError as refused:
        return PlainTextResponse(refused.words, refused.status)
    except UsersError as error:
        return PlainTextResponse(str(error), 503)
    request.state.identity = identity
    if request.url.path in (STYLE, SCRIPT, ICON) or request.url.path.startswith(LOGIN):
        return None
    if identity is None:
        return _unknown(request, site)
    if request.method in ("GET", "HEAD", "OPTIONS") or request.url.path == "/logout":
        return None
    if identity.role == "viewer":
        words = say("{name} may look, not decide: the role is viewer.", name=identity.name)
        return _told(request, site, 403, words)
    return None


def _unknown(request: Request, site: Site) -> Response:
    """The answer to somebody who must sign in first."""
    how = site.access.how
    if how == "proxy":
        return _told(request, site, 401, nobody())
    if not request.url.path.startswith("/api/"):
        return to_login(request)
    if how != "token":
        sent = authorization(request, "basic") is not None and how == "user"
        words = "wrong name or password" if sent else "nobody is signed in"
        by = "; programs send name and password as Authorization: Basic" if how == "user" else ""
        return PlainTextResponse(f"{words}: sign in at {LOGIN}{by}", 401)
    sent = authorization(request, "bearer") is not None
    words = "this is not the token" if sent else "a token is needed"
    cure = "send what --token-file holds as Authorization: Bearer"
    return PlainTextResponse(f"{words}; {cure}", 401, {"WWW-Authenticate": "Bearer"})
