"""The file of users who may sign in at the review server: names, roles, hashes of passwords.

    {"format": "steel-sise users 1",
     "users": {"A. Lovelace": {"role": "reviewer", "hash": "$argon2id$v=19$m=65536,…"}}}

JSON, or YAML where the file is called so. Passwords are hashed by Argon2id with the parameters of
RFC 9106 (64 MiB).
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from secrets import token_hex
from threading import Semaphore
from typing import Annotated, ClassVar, Literal

import yaml
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from inspection.review.decisions import Name
from inspection.review.errors import UsersError
from inspection.review.identity import Role
from severstal_prep import checked
from severstal_prep.files import replacing

FORMAT = "steel-sise users 1"
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1000
_HASHER = PasswordHasher()
_AT_ONCE = Semaphore(2)  # a hash takes 64 MiB


@cache
def _nobodys() -> str:
    return _HASHER.hash(token_hex())


def _sendable(name: str) -> str:
    if name != name.strip() or ":" in name:
        raise ValueError("a name has no colon, and no space at its ends")
    return name


def _hash(text: str) -> str:
    try:
        extract_parameters(text)
    except InvalidHashError as error:
        raise ValueError("no hash by Argon2") from error
    return text


UserName = Annotated[Name, AfterValidator(_sendable)]


@dataclass(frozen=True)
class User:
    """What a user may do, and the hash of the password."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    role: Role
    hash: Annotated[str, AfterValidator(_hash)]


class _UsersFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: Literal["steel-sise users 1"]
    users: dict[UserName, User]


def read_users(path: Path) -> dict[str, User]:
    """The users of a file, by their names. Raises UsersError, naming what is wrong."""
    try:
        content = checked.read_yaml(path)
        return _UsersFile.model_validate_json(json.dumps(content)).users
    except OSError as error:
        raise UsersError(
            f"{path}: cannot be read ({error.strerror}); "
            "make it with: defect-inspect review user add --users FILE NAME"
        ) from error
    except ValidationError as error:
        raise UsersError(f"{path}: {checked.first_problem(error)}; {_CURE}") from error
    except ValueError as error:
        raise UsersError(f"{path}: {error}; {_CURE}") from error


_CURE = "mend it, or write it with defect-inspect review user"


def change_users(path: Path, change: Callable[[dict[str, User]], None]) -> None:
    """Change the users of a file, or of a new one, which only its owner can read: all or nothing.

    Raises UsersError as `read_users` and `change` do.
    """
    with _alone(path.parent):
        users = read_users(path) if path.exists() else {}
        change(users)
        with replacing(path) as temporary:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                os.fchmod(descriptor, 0o600)
                if path.exists():
                    with suppress(PermissionError):  # the server's, also where root changes it
                        os.fchown(descriptor, path.stat().st_uid, path.stat().st_gid)
                stream.write(_as_text(path, users))


def _as_text(path: Path, users: Mapping[str, User]) -> str:
    content = {"format": FORMAT, "users": {name: asdict(users[name]) for name in sorted(users)}}
    if path.suffix in (".yaml", ".yml"):
        return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time changes files of a folder; raises UsersError if there is none."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UsersError(f"{folder}: {error.strerror}; name a file in a folder there is") from error
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check_name(name: str) -> None:
    """Raises UsersError unless it may be a user's name."""
    try:
        checked.checked(dict[UserName, int], {name: 1})
    except ValueError as error:
        raise UsersError(f"{name!a}: {str(error).rpartition(': ')[2]}") from error


def hashed(password: str) -> str:
    """The hash of a new password. Raises UsersError if it is too short or too long."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsersError(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; "
            "take a few words that nobody would guess"
        )
    return _HASHER.hash(password)


def is_password(user: User | None, password: str) -> bool:
    """Whether it is this user's password; takes as long where there is no such user."""
    with _AT_ONCE:
        try:
            right = _HASHER.verify(_nobodys() if user is None else user.hash, password)
        except (Argon2Error, UnicodeError):
            return False
    return right and user is not None
