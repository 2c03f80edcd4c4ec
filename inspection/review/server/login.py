"""Signing in, by password, token or at an OpenID provider, and signing out."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from inspection.review.server.access import RefusedError
from inspection.review.server.access.requests import address_of, own_path
from inspection.review.server.access.sessions import COOKIE, keep
from inspection.review.server.site import Site
from inspection.words import say

LOGIN = "/login"
NAME_COOKIE = "steel_reviewer"
_TO_ISSUER = "/login/oidc"
_NEXT = "next"

Next = Annotated[str, Query(alias=_NEXT)]


def to_login(request: Request) -> Response:
    """Lead somebody unknown to the form, and from there back to the page asked for."""
    path = request.url.path
    lost = request.method != "GET"
    if not lost and request.url.query:
        path += f"?{request.url.query}"
    elif lost:
        path = path.removesuffix("/decide")
    asked = {_NEXT: own_path(path)} | ({"lost": "1"} if lost else {})
    return RedirectResponse(f"{LOGIN}?{urlencode(asked)}", 303)


def login_routes(site: Site) -> APIRouter:
    """The routes by which people sign in and out."""
    router = APIRouter()
    access = site.access

    def form(request: Request, onward: str, status: int = 200, wrong: str = "") -> Response:
        return site.page(
            request,
            "login.html.j2",
            status,
            how=access.how,
            onward=own_path(onward),
            wrong=wrong,
            issuer=access.provider.settings.issuer if access.provider else "",
            to_issuer=_TO_ISSUER,
        )

    @router.get(LOGIN)
    def ask(request: Request, onward: Next = "/", lost: bool = False) -> Response:
        words = say("You were signed out: what you sent was not saved. Sign in, and send it again.")
        return form(request, onward, wrong=words if lost else "")

    @router.post(LOGIN)
    def sign_in(
        request: Request,
        name: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        token: Annotated[str, Form()] = "",
        onward: Annotated[str, Form(alias=_NEXT)] = "/",
    ) -> Response:
        if access.how not in ("token", "user"):
            return form(request, onward, 401)
        try:
            found = access.sign_in(address_of(request), name, password or token)
        except RefusedError as refused:
            return form(request, onward, refused.status, refused.words)
        if found is None:
            stranger = say(
                "This is not the token. It is in the file that the server was started with."
            )
            user = say("Name or password is wrong. Check the spelling, also of capital letters.")
            return form(request, onward, 401, stranger if access.how == "token" else user)
        answer = RedirectResponse(own_path(onward), 303)
        keep(answer, request, access.sessions.start(*found))
        return answer

    @router.post("/logout")
    def sign_out(request: Request) -> Response:
        access.sessions.end(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse(LOGIN, 303)
        for cookie in (COOKIE, NAME_COOKIE):
            answer.delete_cookie(cookie, httponly=True, samesite="strict")
        return answer

    if access.provider is not None:
        _add_issuer(router, site)
    return router


def _add_issuer(router: APIRouter, site: Site) -> None:
    provider, sessions = site.access.provider, site.access.sessions

    @router.get(_TO_ISSUER)
    async def leave(request: Request, onward: Next = "/") -> Response:
        request.session[_NEXT] = own_path(onward)
        return await provider.start(request)  # type: ignore[no-any-return]

    @router.get(f"{_TO_ISSUER}/back")
    async def come_back(request: Request) -> Response:
        identity = await provider.finish(request)
        answer = RedirectResponse(own_path(request.session.pop(_NEXT, "/")), 303)
        # The way back from the issuer is another site's doing, on which "strict" sends no cookie.
        keep(answer, request, sessions.start(identity), "lax")
        return answer
