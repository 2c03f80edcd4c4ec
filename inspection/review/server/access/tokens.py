"""The shared token of a single desk."""

import hmac
from pathlib import Path

from inspection.review.errors import ServeError

SHORTEST_TOKEN = 16


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


def is_same(token: str, offered: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(token.encode(), offered.encode("utf-8", "replace"))
