"""The embedded issuer's users: a JSON file of names, rights and scrypt hashes; no password is ever in it."""

import base64
import hashlib
import hmac
import json
import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from overread.contracts.errors import OverreadError
from overread.runtime.synced_files import write_private

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 5
"""Cost of one guess: 16 MiB, five times (OWASP's smallest recommended setting of that memory)."""

MINIMUM_PASSWORD = 10


class UsersFileUnreadable(OverreadError):
    """The users file is missing or can't be read: name it in OVERREAD_USERS_FILE, and add a user to it."""


class UserRefused(OverreadError):
    """The user can't be added like this."""


class PasswordHash(BaseModel):
    """What is kept of a password (RFC 7914)."""

    model_config = ConfigDict(frozen=True)

    salt: str
    hash: str
    n: int = Field(default=SCRYPT_N, ge=2**14, le=2**20)
    r: int = Field(default=SCRYPT_R, ge=8, le=32)
    p: int = Field(default=SCRYPT_P, ge=1, le=16)


class User(BaseModel):
    """Somebody who may sign in; a client is a machine, which signs in by client credentials and in no other way."""

    model_config = ConfigDict(frozen=True)

    username: str = Field(min_length=1, max_length=64, pattern=r"^[\w.@-]+$")
    family_name: str
    given_name: str = ""
    roles: tuple[str, ...] = ()
    entitlements: tuple[str, ...] = ()
    password: PasswordHash
    is_client: bool = False


class Users(BaseModel):
    """The whole file. `demo` lets the demo profile, and only that, sign users in without a password."""

    model_config = ConfigDict(frozen=True)

    demo: bool = False
    users: tuple[User, ...] = ()

    def named(self, username: str) -> User | None:
        """Return the user called `username`."""
        return next((user for user in self.users if user.username == username), None)


def hash_password(password: str, *, salt: bytes) -> PasswordHash:
    """Return what is kept of `password`."""
    digest = _scrypt(password, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
    return PasswordHash(salt=base64.b64encode(salt).decode(), hash=base64.b64encode(digest).decode())


def is_password(password: str, kept: PasswordHash) -> bool:
    """Say whether `password` is the one; as slow for a wrong one as for the right one."""
    digest = _scrypt(password, base64.b64decode(kept.salt), kept.n, kept.r, kept.p)
    return hmac.compare_digest(digest, base64.b64decode(kept.hash))


def with_user(users: Users, user: User) -> Users:
    """Return `users` with `user`, in the place of an earlier one of the same name."""
    others = tuple(other for other in users.users if other.username != user.username)
    return users.model_copy(update={"users": (*others, user)})


def read_users(path: Path) -> Users:
    """Return the users in the file, or raise `UsersFileUnreadable`."""
    try:
        return Users.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsersFileUnreadable(f"the users file {path} can't be read: add a user to it first") from error


def write_users(path: Path, users: Users) -> None:
    """Put `users` at `path` whole or not at all, for good: who lost a right does not get it back by a power cut."""
    write_private(path, json.dumps(users.model_dump(), ensure_ascii=False, indent=2))


def add_user(
    path: Path,
    username: str,
    *,
    password: str,
    family_name: str,
    given_name: str = "",
    roles: tuple[str, ...] = ("radiologist",),
    entitlements: tuple[str, ...] = ("sign",),
    demo: bool = False,
    is_client: bool = False,
) -> None:
    """Add a user to the file at `path`, or change the one of that name; `demo` marks the whole file, for good."""
    if is_client and entitlements:
        raise UserRefused("a machine is entitled to nothing: only a person can sign")
    if len(password) < MINIMUM_PASSWORD:
        raise UserRefused(f"a password has at least {MINIMUM_PASSWORD} characters")
    users = read_users(path) if path.exists() else Users()
    try:
        user = User(
            username=username,
            family_name=family_name,
            given_name=given_name,
            roles=roles,
            entitlements=entitlements,
            password=hash_password(password, salt=secrets.token_bytes(16)),
            is_client=is_client,
        )
    except ValidationError as error:
        raise UserRefused("a user name has letters, digits, '.', '_', '@' and '-' only, at most 64") from error
    write_users(path, with_user(users, user).model_copy(update={"demo": users.demo or demo}))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)
