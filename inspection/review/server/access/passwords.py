"""Users with passwords, from a file that may change while the server runs."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from inspection.review.identity import Identity
from inspection.review.server.access.sessions import Session
from inspection.review.users import LONGEST_PASSWORD, User, is_password, read_users


@dataclass
class Users:
    """The users of a file, which is read again when it has changed."""

    path: Path
    _state: tuple[int, ...] = ()
    _users: dict[str, User] = field(default_factory=dict, repr=False)

    def known(self) -> dict[str, User]:
        """The users now. Raises UsersError if the file is gone, or damaged."""
        try:
            status = self.path.stat()
            state: tuple[int, ...] = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            state = ()
        if not state or state != self._state:
            self._users = read_users(self.path)
            self._state = state
        return self._users

    def check(self, name: str, password: str) -> tuple[Identity, str] | None:
        """Who has this name and password, and the proof for a session; None: nobody."""
        name = normalize("NFC", name.strip())
        user = self.known().get(name)
        if not is_password(user, password[: LONGEST_PASSWORD + 1]) or user is None:
            return None
        return Identity(name, user.role, "user"), _proof(user)

    def still(self, session: Session) -> Identity | None:
        """Who a session is of, in today's role; None once the user or the password is another."""
        user = self.known().get(session.identity.name)
        if user is None or _proof(user) != session.proof:
            return None
        return Identity(session.identity.name, user.role, "user")


def _proof(user: User) -> str:
    return hashlib.sha256(user.hash.encode()).hexdigest()[:16]
