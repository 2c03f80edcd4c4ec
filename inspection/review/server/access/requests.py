"""What a request says of where it comes from."""

import base64
import binascii
from urllib.parse import urlsplit

from starlette.requests import Request

LOOPBACK = ("127.0.0.1", "localhost")
_SAFE = ("GET", "HEAD", "OPTIONS")


class RefusedError(Exception):
    """A request that is turned away: status, and one line for whoever sent it."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def authorization(request: Request, scheme: str) -> str | None:
    """What the header Authorization says by this scheme, as "bearer"; None if it does not.

    Only a program names it itself: no other site can make a browser do so.
    """
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == scheme else None


def name_and_password(request: Request) -> tuple[str, str] | None:
    """Those that a program sends (Basic); None if it sends none, or something else."""
    try:
        sent = base64.b64decode(authorization(request, "basic") or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    name, colon, password = sent.partition(":")
    return (name, password) if colon else None


def address_of(request: Request) -> str:
    """The address that a request comes from, as a trusted proxy says, or the connection."""
    return request.client.host if request.client else ""


def is_forged(request: Request) -> bool:
    """Whether a changing request may come from another site's page.

    A browser sends Origin with every POST; without it only what a program names is trusted.
    """
    if request.method in _SAFE:
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return all(authorization(request, scheme) is None for scheme in ("bearer", "basic"))
    host = request.headers.get("host")
    try:
        return not host or urlsplit(origin).netloc != host
    except ValueError:
        return True


def is_local(request: Request) -> bool:
    """Whether it was sent to a name of this machine. A web page that rebinds its own name to
    127.0.0.1 is told by it."""
    return request.headers.get("host", "").rpartition(":")[0] in LOOPBACK or (
        request.headers.get("host") in LOOPBACK
    )


def own_path(place: str) -> str:
    """A place on this server that a page may lead to; "/" for anything else."""
    try:
        parts = urlsplit(place)
    except ValueError:
        return "/"
    outside = parts.scheme or parts.netloc or place[:2] in ("//", "/\\") or "\\" in place
    return place if place.startswith("/") and not outside and place.isprintable() else "/"
