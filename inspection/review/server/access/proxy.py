"""Names that a trusted proxy vouches for, in a header that it sets on every request."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from starlette.requests import Request

from inspection.review.errors import ServeError
from inspection.review.identity import Identity, Role
from inspection.review.server.access.names import as_name
from inspection.review.server.access.requests import RefusedError
from inspection.words import say

_PEER = "steel.peer"
Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class KeepPeer:
    """Keeps the address of the connection, before a proxy's word of its clients replaces it."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Go on with the address in the scope."""
        scope[_PEER] = (scope.get("client") or ("",))[0]
        await self.app(scope, receive, send)


@dataclass(frozen=True)
class Proxy:
    """Which header names the user (and which the role, "" if none does), believed only from these
    networks."""

    header: str
    trusted: tuple[IPv4Network | IPv6Network, ...]
    role_header: str = ""

    def identify(self, request: Request) -> Identity | None:
        """Who asks, by the proxy; None if it names nobody. Raises RefusedError if another does."""
        peer = request.scope.get(_PEER, "")
        named = request.headers.getlist(self.header)
        if not self._is_trusted(peer):
            if named:
                words = "{header} came from {address}, which is not a trusted proxy"
                raise RefusedError(403, words.format(header=self.header, address=peer or "?"))
            return None
        name = as_name(_text(named[0])) if len(named) == 1 else None
        return None if name is None else Identity(name, self._role(request), "proxy")

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.trusted)

    def _role(self, request: Request) -> Role:
        if not self.role_header:
            return "reviewer"
        said = request.headers.getlist(self.role_header)
        return "reviewer" if said == ["reviewer"] else "viewer"


def _text(header: str) -> str:
    """Headers are bytes, which Starlette takes for Latin-1; proxies send UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def networks(addresses: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses, or networks of them (10.0.0.0/8). Raises ServeError for anything else."""
    found = []
    for address in addresses:
        try:
            found.append(ip_network(address, strict=False))
        except ValueError as error:
            raise ServeError(
                f"--trusted-proxy {address}: no address; write one as 10.0.0.5, or 10.0.0.0/24"
            ) from error
    return tuple(found)


def nobody() -> str:
    """What those are told whom the proxy names not."""
    return say("You are not signed in at the proxy in front of this server. Open its address.")
