"""Who may ask for what: tokens, sessions, and requests that other sites make.

On loopback no token is needed, but the Host header must be a loopback name: a web page that
rebinds its own name to 127.0.0.1 is turned away (see `app`). Anything else needs the token,
as `Authorization: Bearer`, or as a session that the login form starts. What changes something
must come from a page of this server: browsers say so in the header Origin.
"""

import hmac
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request

from inspection.review.errors import ServeError

COOKIE = "steel_session"
SESSION_SECONDS = 12 * 3600
LOOPBACK = ("127.0.0.1", "localhost")
SHORTEST_TOKEN = 16
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Access:
    """The token that opens the server; None: nobody is asked (loopback only)."""

    token: str | None

    def is_token(self, offered: str) -> bool:
        """Compare in constant time."""
        return self.token is not None and hmac.compare_digest(
            self.token.encode(), offered.encode("utf-8", "replace")
        )

    def new_session(self, now: float | None = None) -> str:
        """A cookie's value: when it was made, and a signature by the token."""
        issued = str(int(time.time() if now is None else now))
        return f"{issued}.{self._sign(issued)}"

    def is_session(self, cookie: str) -> bool:
        """Whether a cookie was made here, with this token, in the last 12 hours."""
        issued, _, signature = cookie.partition(".")
        if not hmac.compare_digest(
            self._sign(issued).encode(), signature.encode("utf-8", "replace")
        ):
            return False
        return 0 <= time.time() - int(issued) <= SESSION_SECONDS

    def _sign(self, text: str) -> str:
        key = (self.token or "").encode()
        return hmac.new(key, f"session {text}".encode("utf-8", "replace"), "sha256").hexdigest()

    def admits(self, request: Request) -> bool:
        """Whether the request shows the token or a session, or none is asked for."""
        return (
            self.token is None
            or (has_bearer(request) and self.is_token(_bearer(request)))
            or self.is_session(request.cookies.get(COOKIE, ""))
        )


def has_bearer(request: Request) -> bool:
    """Whether a program names the token itself, which no other site can make a browser do."""
    return request.headers.get("authorization", "").lower().startswith("bearer ")


def _bearer(request: Request) -> str:
    return request.headers["authorization"][len("bearer ") :].strip()


def is_forged(request: Request) -> bool:
    """Whether a changing request may come from another site's page.

    A browser sends Origin with every POST; without it only a bearer token is trusted.
    """
    if request.method in _SAFE:
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return not has_bearer(request)
    host = request.headers.get("host")
    try:
        return not host or urlsplit(origin).netloc != host
    except ValueError:
        return True


def read_token(path: Path) -> str:
    """Read a token file: one line. Raises ServeError if it cannot serve."""
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServeError(f"{path}: cannot be read; --token-file takes a text file") from error
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise ServeError(
            f"{path}: a token is one line of at least {SHORTEST_TOKEN} ASCII characters; make one "
            "with: openssl rand -hex 32"
        )
    return token


def access_for(host: str, token_file: Path | None) -> Access:
    """The access rule for an address. Raises ServeError without a token beyond loopback."""
    if token_file is not None:
        return Access(read_token(token_file))
    if host not in LOOPBACK:
        raise ServeError(f"--host {host} is reached from outside: name a --token-file")
    return Access(None)
