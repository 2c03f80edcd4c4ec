"""Signing in at an OpenID provider: code flow with state, nonce and PKCE, by Authlib."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from pydantic import ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from inspection.review.errors import ServeError
from inspection.review.identity import Identity, Role
from inspection.review.server.access.names import as_name
from inspection.review.server.access.requests import LOOPBACK, RefusedError
from inspection.words import say
from severstal_prep import checked

try:
    import httpx2 as httpx  # which Authlib takes where it is installed
except ImportError:
    import httpx  # type: ignore[no-redef]

BACK = "/login/oidc/back"
_LEEWAY_SECONDS = 60
_CURE = "docs/review.md says what the file holds"


@dataclass(frozen=True)
class Roles:
    """Values of a claim that make a reviewer or a viewer; who has none of them is turned away."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    claim: str
    reviewer: tuple[str, ...]
    viewer: tuple[str, ...] = ()

    def of(self, claims: Any) -> Role | None:
        """The role that claims give; the claim holds a text or a list."""
        said = claims.get(self.claim)
        values = {str(one) for one in (said if isinstance(said, list) else [said])}
        if values & set(self.reviewer):
            return "reviewer"
        return "viewer" if values & set(self.viewer) else None


@dataclass(frozen=True)
class Settings:
    """The file of `--oidc`. `secret_file` lies beside it unless it is absolute; `address` is that
    of this server for browsers, as the issuer knows it: "" takes each request's own."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    issuer: str
    client_id: str
    secret_file: str
    name_claim: str
    scope: str = "openid profile email"
    address: str = ""
    roles: Roles | None = None


@dataclass(frozen=True)
class Provider:
    """An issuer, and what we are to it."""

    settings: Settings
    client: Any

    async def start(self, request: Request) -> Response:
        """Send the browser to the issuer. Raises RefusedError if that does not answer."""
        try:
            told = (await self.client.load_server_metadata()).get("issuer")
            if told != self.settings.issuer:
                raise RefusedError(502, f"{self.settings.issuer} calls itself {told!a}")
            base = self.settings.address or str(request.base_url)
            answer: Response = await self.client.authorize_redirect(
                request, base.rstrip("/") + BACK
            )
        except (httpx.HTTPError, ValueError, RuntimeError) as error:
            raise self._unreachable(error) from error
        return answer

    async def finish(self, request: Request) -> Identity:
        """Who came back from the issuer. Raises RefusedError for all that is not sure."""
        must = {
            "iss": {"essential": True, "value": self.settings.issuer},
            "aud": {"essential": True, "value": self.settings.client_id},
            "exp": {"essential": True},
            "sub": {"essential": True},
        }
        try:
            token = await self.client.authorize_access_token(
                request, claims_options=must, leeway=_LEEWAY_SECONDS
            )
        except (AuthlibBaseError, JoseError) as error:
            reason = " ".join(str(error).split())
            words = say("The sign-in did not succeed ({reason}). Try again.", reason=reason)
            raise RefusedError(401, words) from error
        except (httpx.HTTPError, ValueError, RuntimeError, KeyError) as error:
            raise self._unreachable(error) from error
        return self._identity(token.get("userinfo") or {})

    def _identity(self, claims: Any) -> Identity:
        name = as_name(claims.get(self.settings.name_claim))
        if name is None:
            claim = self.settings.name_claim
            words = say("The issuer gave no name ({claim}). Ask whoever runs it.", claim=claim)
            raise RefusedError(401, words)
        role = self.settings.roles.of(claims) if self.settings.roles else "reviewer"
        if role is None:
            words = say("{name} has no role here. Ask whoever runs this server.", name=name)
            raise RefusedError(403, words)
        return Identity(name, role, "oidc")

    def _unreachable(self, error: Exception) -> RefusedError:
        words = say("{issuer} does not answer ({reason}). Try again later.",
                    issuer=self.settings.issuer, reason=type(error).__name__)  # fmt: skip
        return RefusedError(502, words)


def provider(path: Path) -> Provider:
    """What a file describes. Raises ServeError, naming file, field and cure."""
    try:
        settings = checked.checked(Settings, checked.read_yaml(path))
        secret = (path.parent / settings.secret_file).read_text("utf-8").strip()
    except OSError as error:
        raise ServeError(f"{error.filename}: cannot be read ({error.strerror}); {_CURE}") from error
    except ValueError as error:
        raise ServeError(f"{path}: {error}; {_CURE}") from error
    for field in ("issuer", "address"):
        _check_secure(path, field, getattr(settings, field))
    client = OAuth().register(
        "steel",
        client_id=settings.client_id,
        client_secret=secret,
        server_metadata_url=f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": settings.scope, "code_challenge_method": "S256"},
    )
    return Provider(settings, client)


def _check_secure(path: Path, field: str, address: str) -> None:
    parts = urlsplit(address)
    if address and parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ServeError(f"{path}: {field}: must begin with https://, not {address!a}")
