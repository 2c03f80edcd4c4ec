"""Sessions: a signed cookie that says who signed in, for 12 hours at most."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from inspection.review.identity import Identity
from severstal_prep.checked import checked

COOKIE = "steel_session"
SESSION_SECONDS = 12 * 3600


@dataclass(frozen=True)
class Session:
    """Who signed in. `proof` is what the session ends with, as a password that is changed."""

    id: str
    identity: Identity
    proof: str = ""


@dataclass
class Sessions:
    """Makes and reads cookies. The key lives as long as the server: a restart ends all sessions.

    So those that were ended before their time need to be remembered no longer than that.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    ended: dict[str, float] = field(default_factory=dict)

    def start(self, identity: Identity, proof: str = "") -> str:
        """The cookie's value of a new session."""
        made = {"id": secrets.token_urlsafe(16), "proof": proof}
        return str(self._signer().dumps(made | {"identity": vars(identity)}))

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie that was made here in the last 12 hours and not ended."""
        try:
            content: Any = self._signer().loads(cookie, max_age=SESSION_SECONDS)
        except (BadData, UnicodeError):
            return None
        session = checked(Session, content)
        return None if session.id in self.ended else session

    def end(self, cookie: str) -> None:
        """From now on a session counts no more, nor does a copy of its cookie."""
        session = self.read(cookie)
        if session is not None:
            now = time.time()
            self.ended = {one: until for one, until in self.ended.items() if until > now}
            self.ended[session.id] = now + SESSION_SECONDS

    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.key, salt="session")


def keep(
    answer: Response, request: Request, value: str, same_site: Literal["strict", "lax"] = "strict"
) -> None:
    """Set the cookie of a session; over https it is never sent without."""
    answer.set_cookie(
        COOKIE,
        value,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite=same_site,
        secure=request.url.scheme == "https",
    )
