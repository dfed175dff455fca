"""The small identity provider of one machine (OpenID Connect Core 1.0 and Discovery 1.0).

The page signs in by the authorization code flow with PKCE; a command sends a password and gets a token (RFC 6749, 4.3); a
machine sends its secret (client credentials, RFC 6749, 4.4).
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from overread.contracts.errors import OverreadError
from overread.review.authorization_codes import AuthorizationCodes, AuthorizationRequest, Authorized
from overread.review.identity import AUDIENCE
from overread.review.users import PasswordHash, User, Users, is_password, read_users
from overread.runtime.clock import Clock
from overread.runtime.synced_files import write_once

PAGE_CLIENT = "overread-page"
"""The only client of the code flow: our own page, a public client (RFC 6749, 2.1)."""

TOKEN_LIFE = timedelta(minutes=15)
KEY_FILE = "issuer-key.json"
FAILED_AT_MOST = 5
FAILED_WITHIN = timedelta(minutes=5)
NAMES_REMEMBERED = 10_000
HASHES_AT_ONCE = 2

_NOBODY = PasswordHash(salt="b3ZlcnJlYWQtbm9ib2R5Lg==", hash="A" * 43 + "=")
"""No password has this hash. Checked when the user is unknown, so that the time of the answer does not tell who exists."""


class SignInRefused(OverreadError):
    """User name or password is wrong."""


class TooManyAttempts(OverreadError):
    """Too many failed sign-ins for this user name: wait a few minutes."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A token, and whether it is the demo's."""

    access_token: str
    expires_in: int
    is_demo: bool
    id_token: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user who proved to be that user, and whether by the demo's leave."""

    user: User
    is_demo: bool


class EmbeddedIssuer:
    """Signs in the users of a file. One process; its key is made at first start and stays in its own file."""

    def __init__(
        self, *, url: str, site_id: str, users_file: Path, key: ECKey, clock: Clock, is_demo_profile: bool = False
    ) -> None:
        self._url = url
        self._site_id = site_id
        self._users_file = users_file
        self._key = key
        self._clock = clock
        self._is_demo_profile = is_demo_profile
        self._failed: OrderedDict[str, list[datetime]] = OrderedDict()
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._codes = AuthorizationCodes()

    async def keys(self, key_id: str | None) -> KeySet:  # noqa: ARG002 - one key, whatever the token names
        """Return the public keys, in process."""
        return KeySet([self._key])

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JWK set (RFC 7517)."""
        return dict(KeySet([self._key]).as_dict(private=False))

    async def configuration(self) -> dict[str, Any]:
        """Return what OpenID Connect Discovery 1.0, section 3 asks for, as far as there is something to say.

        `overread_demo_profile` is true where users sign in without a password.
        """
        users = await asyncio.to_thread(read_users, self._users_file)
        return {
            "issuer": self._url,
            "authorization_endpoint": f"{self._url}/authorize",
            "token_endpoint": f"{self._url}/token",
            "jwks_uri": f"{self._url}/jwks.json",
            "grant_types_supported": ["authorization_code", "password", "client_credentials"],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "prompt_values_supported": ["login"],
            "ui_locales_supported": ["vi", "en", "fr"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "overread_demo_profile": self._is_demo(users),
        }

    async def sign_in(self, username: str, password: str, *, as_client: bool = False) -> SignedIn:
        """Return the user, or raise `SignInRefused` or `TooManyAttempts`; a machine never signs in as a person does."""
        now = self._clock()
        self._must_not_have_failed_often(username, now)
        users = await asyncio.to_thread(read_users, self._users_file)
        user = users.named(username)
        if user and user.is_client is not as_client:
            user = None
        self._count_as_failed(username, now)
        is_proven = await self._proves(users, user, password)
        if user is None or not is_proven:
            raise SignInRefused
        self._failed.pop(username, None)
        return SignedIn(user, self._is_demo(users))

    async def grant(self, username: str, password: str) -> Granted:
        """Return a token for the user, or raise `SignInRefused` or `TooManyAttempts`."""
        return self.grant_to(await self.sign_in(username, password))

    def grant_to(self, signed_in: SignedIn) -> Granted:
        """Return a token for a user who has just signed in."""
        return self._token(signed_in.user, self._clock(), is_demo=signed_in.is_demo)

    def authorize(self, request: AuthorizationRequest, signed_in: SignedIn) -> str:
        """Return the code by which the page fetches its tokens, once and within a minute."""
        return self._codes.give(
            Authorized(request=request, user=signed_in.user, is_demo=signed_in.is_demo, at=self._clock())
        )

    def redeem(self, code: str, *, client_id: str, redirect_uri: str, code_verifier: str) -> Granted:
        """Return access and ID token for `code`, or raise `CodeRefused`."""
        authorized = self._codes.take(
            code, client_id=client_id, redirect_uri=redirect_uri, code_verifier=code_verifier, now=self._clock()
        )
        granted = self._token(authorized.user, authorized.at, is_demo=authorized.is_demo)
        return replace(granted, id_token=self._id_token(authorized))

    async def demo_users(self) -> tuple[User, ...]:
        """Return whom the demo profile signs in without a password; nobody elsewhere."""
        users = await asyncio.to_thread(read_users, self._users_file)
        return tuple(user for user in users.users if not user.is_client) if self._is_demo(users) else ()

    async def knows(self, username: str) -> bool:
        """Say whether there is a user of this name."""
        return (await asyncio.to_thread(read_users, self._users_file)).named(username) is not None

    def _is_demo(self, users: Users) -> bool:
        return users.demo and self._is_demo_profile

    async def _proves(self, users: Users, user: User | None, password: str) -> bool:
        if user and not password and self._is_demo(users):
            return True
        async with self._hashing:
            is_right = await asyncio.to_thread(is_password, password, user.password if user else _NOBODY)
        return is_right and user is not None

    def _count_as_failed(self, username: str, now: datetime) -> None:
        """Count the attempt before it is judged, so that many at once are not judged for free."""
        self._failed.setdefault(username, []).append(now)
        self._failed.move_to_end(username)

    def _must_not_have_failed_often(self, username: str, now: datetime) -> None:
        while len(self._failed) > NAMES_REMEMBERED:
            self._failed.popitem(last=False)
        recent = [at for at in self._failed.get(username, []) if now - at < FAILED_WITHIN]
        if username in self._failed:
            self._failed[username] = recent
        if len(recent) >= FAILED_AT_MOST:
            raise TooManyAttempts

    def _token(self, user: User, now: datetime, *, is_demo: bool) -> Granted:
        issued_at = int(now.timestamp())
        life = int(TOKEN_LIFE.total_seconds())
        claims: dict[str, Any] = {
            "iss": self._url,
            "aud": AUDIENCE,
            "sub": user.username,
            "iat": issued_at,
            "exp": issued_at + life,
            "auth_time": issued_at,
            "site_id": self._site_id,
            "roles": list(user.roles),
            "entitlements": list(user.entitlements),
            "family_name": user.family_name,
            "given_name": user.given_name,
            **({"demo": True} if is_demo else {}),
        }
        return Granted(self._signed(claims, "at+jwt"), life, is_demo)

    def _id_token(self, authorized: Authorized) -> str:
        """Return who signed in, for the page alone (OpenID Connect Core 1.0, 2)."""
        at = int(authorized.at.timestamp())
        claims = {
            "iss": self._url,
            "sub": authorized.user.username,
            "aud": authorized.request.client_id,
            "nonce": authorized.request.nonce,
            "iat": at,
            "auth_time": at,
            "exp": at + int(TOKEN_LIFE.total_seconds()),
        }
        return self._signed(claims, "JWT")

    def _signed(self, claims: dict[str, Any], kind: str) -> str:
        header = {"alg": "ES256", "kid": self._key.kid, "typ": kind}
        return jwt.encode(header, claims, self._key, algorithms=["ES256"])


def issuer_key(secrets_dir: Path) -> ECKey:
    """Return the issuer's key; the first caller makes it, in a file that its owner alone can read."""
    path = secrets_dir / KEY_FILE
    if not path.exists():
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, private=True, auto_kid=True)
        write_once(path, key.as_pem(private=True))
    return _with_name(ECKey.import_key(path.read_bytes(), {"use": "sig", "alg": "ES256"}))


def request_token(base_url: str, username: str, password: str) -> str:
    """Sign in at a running Overread and return the access token; raise `SignInRefused` with the issuer's words."""
    return _requested(base_url, {"grant_type": "password", "username": username, "password": password})


def request_client_token(base_url: str, client_id: str, client_secret: str) -> str:
    """Return the access token of a machine; raise `SignInRefused` with the issuer's words."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    return _requested(base_url, form)


def _requested(base_url: str, form: dict[str, str]) -> str:
    answer = httpx.post(f"{base_url.rstrip('/')}/issuer/token", data=form, timeout=15.0, trust_env=False)
    if answer.status_code != httpx.codes.OK:
        raise SignInRefused(str(answer.json().get("error_description", "the sign-in was refused")))
    return str(answer.json()["access_token"])


def _with_name(key: ECKey) -> ECKey:
    key.ensure_kid()
    return key
