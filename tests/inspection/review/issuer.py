"""A small OpenID provider that a test runs: it signs real tokens, and checks the code and PKCE."""

import hashlib
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "steel review"
SECRET = "no secret, only a test's"  # noqa: S105


@dataclass
class Issuer:
    """What it says. `claims` are put over the right ones; `key` signs, `told` is published."""

    address: str
    key: Any
    told: Any
    claims: dict[str, Any] = field(default_factory=dict)
    calls_itself: str = ""
    grants: dict[str, dict[str, str]] = field(default_factory=dict)

    def authorize(self, location: str) -> str:
        """What the browser comes back with, when the person has signed in there."""
        asked = {name: value[0] for name, value in parse_qs(urlsplit(location).query).items()}
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert asked["code_challenge_method"] == "S256"
        code = f"code {len(self.grants)}"
        self.grants[code] = asked
        return code

    def token(self, form: dict[str, str]) -> dict[str, Any] | None:
        """The answer to a code, once; None if it or the verifier is wrong."""
        asked = self.grants.pop(form["code"], None)
        verifier = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = urlsafe_b64encode(verifier).decode().rstrip("=")
        if asked is None or challenge != asked["code_challenge"]:
            return None
        assert form["redirect_uri"] == asked["redirect_uri"]
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT, "sub": "4711", "iat": now, "exp": now + 300,
                  "nonce": asked["nonce"], "name": "Ада"} | self.claims  # fmt: skip
        said = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": self.told.kid}
        return {
            "access_token": "x",
            "token_type": "Bearer",
            "id_token": jwt.encode(header, said, self.key),
        }

    def answer(self, path: str, form: dict[str, str]) -> Any:
        """What is at a path; None: nothing."""
        if path == "/token":
            return self.token(form)
        pages = {
            "/.well-known/openid-configuration": {
                "issuer": self.calls_itself or self.address,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
                "jwks_uri": f"{self.address}/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            },
            "/jwks": {"keys": [self.told.as_dict(private=False)]},
        }
        return pages.get(path)


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """An issuer on a port of its own."""
    key = RSAKey.generate_key(2048, parameters={"kid": "one", "alg": "RS256", "use": "sig"})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.say(issuer.answer(self.path, {}))

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: value[0] for name, value in parse_qs(sent).items()}
            self.say(issuer.answer(self.path, form))

        def say(self, content: Any) -> None:
            wrong = {"error": "invalid_grant"}
            self.send_response(400 if content is None else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(wrong if content is None else content).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}", key, key)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
