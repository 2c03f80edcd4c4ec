"""Who may ask for what: nobody is asked, or a token, a password, a proxy or an OpenID provider
vouches for who it is.

On loopback nobody need be asked, but the Host header must be a loopback name (`requests.is_local`).
What changes something must come from a page of this server: browsers say so in the header Origin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request

from inspection.review.errors import ServeError
from inspection.review.identity import ANYBODY, How, Identity
from inspection.review.server.access.attempts import Attempts
from inspection.review.server.access.passwords import Users
from inspection.review.server.access.proxy import Proxy, networks
from inspection.review.server.access.requests import (
    LOOPBACK,
    RefusedError,
    address_of,
    authorization,
    name_and_password,
)
from inspection.review.server.access.sessions import COOKIE, Sessions
from inspection.review.server.access.tokens import is_same, read_token
from inspection.words import plural, say


@dataclass(frozen=True)
class Access:
    """What opens the server: at most one of these; none: nobody is asked (loopback only).

    `provider` is an `oidc.Provider`; `proxies` are the addresses whose X-Forwarded headers count.
    """

    token: str | None = None
    users: Users | None = None
    proxy: Proxy | None = None
    provider: Any = None
    proxies: tuple[str, ...] = LOOPBACK[:1]
    sessions: Sessions = field(default_factory=Sessions)
    attempts: Attempts = field(default_factory=Attempts)

    @property
    def how(self) -> How:
        """By what it knows people."""
        ways: dict[How, object] = {
            "token": self.token,
            "user": self.users,
            "proxy": self.proxy,
            "oidc": self.provider,
        }
        return next((how for how, way in ways.items() if way is not None), "")

    @property
    def has_sessions(self) -> bool:
        """Whether people sign in and out here."""
        return self.how in ("token", "user", "oidc")

    def identify(self, request: Request) -> Identity | None:
        """Who asks; None: somebody unknown, who must sign in. Raises RefusedError, UsersError."""
        if self.how == "":
            return ANYBODY
        if self.proxy is not None:
            return self.proxy.identify(request)
        return self._program(request) or self._person(request)

    def _person(self, request: Request) -> Identity | None:
        session = self.sessions.read(request.cookies.get(COOKIE, ""))
        if session is None or session.identity.how != self.how:
            return None
        return session.identity if self.users is None else self.users.still(session)

    def _program(self, request: Request) -> Identity | None:
        if self.token is not None:
            offered = authorization(request, "bearer")
            right = offered is not None and is_same(self.token, offered)
            return Identity(how="token") if right else None
        sent = name_and_password(request) if self.users is not None else None
        found = None if sent is None else self.sign_in(address_of(request), *sent)
        return None if found is None else found[0]

    def sign_in(self, address: str, name: str, password: str) -> tuple[Identity, str] | None:
        """Who has this name and password, or the token as password, with the session's proof;
        None: wrong. Raises RefusedError after too many attempts."""
        wait = self.attempts.begin(address, name)
        if wait > 0:
            raise RefusedError(429, _too_many(wait))
        if self.users is not None:
            found = self.users.check(name, password)
        else:
            right = self.token is not None and is_same(self.token, password)
            found = (Identity(how="token"), "") if right else None
        if found is not None:
            self.attempts.succeeded(address, name)
        return found


def _too_many(wait: float) -> str:
    minutes = plural(-int(-wait // 60), "{n} minute", "{n} minutes")
    return say("Too many attempts. Try again in {minutes}.", minutes=minutes)


def access_for(
    host: str,
    token_file: Path | None = None,
    users: Path | None = None,
    proxy_header: str = "",
    trusted: Sequence[str] = (),
    oidc: Path | None = None,
    proxy_role_header: str = "",
) -> Access:
    """The access rule for an address.

    Raises ServeError if it is open beyond loopback, or options do not go together; UsersError.
    """
    ways = {"--token-file": token_file, "--users": users, "--proxy-header": proxy_header,
            "--oidc": oidc}  # fmt: skip
    given = [option for option, value in ways.items() if value]
    if len(given) > 1:
        raise ServeError(f"{' and '.join(given)} do not go together; choose one")
    if not given and host not in LOOPBACK:
        raise ServeError(
            f"--host {host} is reached from outside: name a --token-file, --users or --oidc"
        )
    found = networks(trusted)
    proxies = (*LOOPBACK[:1], "::1", *map(str, found))
    if proxy_header and not found:
        raise ServeError("--proxy-header needs --trusted-proxy: the proxy's address")
    if proxy_role_header and not proxy_header:
        raise ServeError("--proxy-role-header goes with --proxy-header")
    proxy = Proxy(proxy_header, found, proxy_role_header) if proxy_header else None
    provider = None
    if oidc is not None:
        from inspection.review.server.access.oidc import provider as provider_of

        provider = provider_of(oidc)
    access = Access(
        None if token_file is None else read_token(token_file),
        None if users is None else Users(users),
        proxy,
        provider,
        proxies,
    )
    if access.users is not None and not access.users.known():
        raise ServeError(
            f"{users}: holds no users; add one: defect-inspect review user add --users {users} NAME"
        )
    return access


__all__ = ["LOOPBACK", "Access", "RefusedError", "access_for"]
