"""One-use codes of the embedded issuer (RFC 6749, 4.1) bound to who asked for them by PKCE (RFC 7636, S256 only)."""

import base64
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from overread.contracts.errors import OverreadError
from overread.review.users import User

CODE_LIFE = timedelta(seconds=60)
CODES_REMEMBERED = 1_000

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class CodeRefused(OverreadError):
    """The authorization code is unknown, used, too old, or was made for another client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What a client asks for at the authorization endpoint."""

    client_id: str
    redirect_uri: str
    state: str
    nonce: str
    code_challenge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """Who signed in for which request, and whether as a demo user."""

    request: AuthorizationRequest
    user: User
    is_demo: bool
    at: datetime


class AuthorizationCodes:
    """The codes that were given out and not used yet. One process; a code that a restart loses is asked for again."""

    def __init__(self) -> None:
        self._given: OrderedDict[str, Authorized] = OrderedDict()

    def give(self, authorized: Authorized) -> str:
        """Return a new code."""
        code = secrets.token_urlsafe(32)
        self._given[code] = authorized
        while len(self._given) > CODES_REMEMBERED:
            self._given.popitem(last=False)
        return code

    def take(self, code: str, *, client_id: str, redirect_uri: str, code_verifier: str, now: datetime) -> Authorized:
        """Return what `code` stands for, once; raise `CodeRefused` when it is not this client's."""
        authorized = self._given.pop(code, None)
        if authorized is None or now - authorized.at > CODE_LIFE:
            raise CodeRefused
        request = authorized.request
        if (request.client_id, request.redirect_uri) != (client_id, redirect_uri):
            raise CodeRefused
        if not is_verifier_of(request.code_challenge, code_verifier):
            raise CodeRefused
        return authorized


def challenge_of(code_verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_challenge(text: str) -> bool:
    """Say whether `text` can be an S256 challenge."""
    return bool(_CHALLENGE.fullmatch(text))


def is_verifier_of(challenge: str, code_verifier: str) -> bool:
    """Say whether `code_verifier` is the one behind `challenge`."""
    return bool(_VERIFIER.fullmatch(code_verifier)) and hmac.compare_digest(challenge_of(code_verifier), challenge)
