"""Who asks, and how that is known."""

from dataclasses import dataclass
from typing import Literal, get_args

How = Literal["", "token", "user", "proxy", "oidc"]
"""How the server knew who decided: not at all, by the shared token, by a password of its own
users, by a proxy's word, by an OpenID provider's."""

Role = Literal["reviewer", "viewer"]
"""A reviewer decides; a viewer reads."""
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Identity:
    """Who is signed in: `name` "" where nobody is asked, or only the token is known."""

    name: str = ""
    role: Role = "reviewer"
    how: How = ""


ANYBODY = Identity()
