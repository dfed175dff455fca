"""The page signs in: the authorization code flow with PKCE, the same against the embedded and any other issuer.

OpenID Connect Core 1.0, 3.1; RFC 7636; RFC 9700. What a browser carries through it lies in a signed cookie.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jwt import JWTClaimsRegistry

from overread.contracts.errors import OverreadError, Unavailable
from overread.review.authorization_codes import challenge_of
from overread.review.identity import ALGORITHMS, Identity, KeySource, TokenVerifier, key_id_of
from overread.review.settings import ReviewSettings
from overread.runtime.clock import Clock

ON_THE_WAY = timedelta(minutes=10)
"""How long somebody may take to sign in."""

FRESH = timedelta(minutes=2)
ANSWER_SECONDS = 10.0
DISCOVERY = "/.well-known/openid-configuration"


class SignInFailed(OverreadError):
    """The issuer did not sign the user in, or its answer does not fit what was asked."""


class SignInExpired(SignInFailed):
    """The sign-in was begun too long ago, or in another browser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A sign-in on its way: where the browser goes, and what its cookie holds meanwhile."""

    go_to: str
    cookie: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A sign-in that succeeded, and where the browser was going."""

    identity: Identity
    return_to: str


class RelyingParty:
    """Our side of the flow. `client` opens connections to the issuer: in process for the embedded one."""

    def __init__(
        self,
        *,
        settings: ReviewSettings,
        verifier: TokenVerifier,
        source: KeySource,
        clock: Clock,
        client: Callable[[], httpx.AsyncClient],
    ) -> None:
        self._settings = settings
        self._verifier = verifier
        self._source = source
        self._clock = clock
        self._client = client
        password = settings.review_key_password.get_secret_value().encode()
        self._key = OctKey.import_key(hmac.digest(password, b"overread sign-in cookie", hashlib.sha256))

    async def begin(self, *, redirect_uri: str, return_to: str, is_fresh: bool, language: str) -> Begun:
        """Return where to send the browser; with `is_fresh` the issuer is to ask again who it is."""
        verifier, state, nonce = (secrets.token_urlsafe(48) for _ in range(3))
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            "ui_locales": language,
            **({"prompt": "login", "max_age": "0"} if is_fresh else {}),
        }
        kept = {
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "redirect_uri": redirect_uri,
            "return_to": safe_return(return_to),
            "is_fresh": is_fresh,
            "exp": int((self._clock() + ON_THE_WAY).timestamp()),
        }
        endpoint = await self._authorization_endpoint()
        separator = "&" if "?" in endpoint else "?"
        cookie = jwt.encode({"alg": "HS256"}, kept, self._key, algorithms=["HS256"])
        return Begun(go_to=f"{endpoint}{separator}{urlencode(asked)}", cookie=cookie)

    async def finish(self, *, cookie: str, state: str, code: str) -> Finished:
        """Return who signed in; raise `SignInFailed`, `ReviewRefused` (another site's user) or `Unavailable`."""
        kept = self._kept(cookie)
        if not code or not hmac.compare_digest(kept["state"].encode(), state.encode()):
            raise SignInExpired
        tokens = await self._redeem(code, kept)
        identity = await self._verifier.verify(str(tokens.get("access_token", "")))
        await self._check_id_token(str(tokens.get("id_token", "")), kept["nonce"], identity)
        if kept["is_fresh"] and self._clock() - identity.auth_time > FRESH:
            raise SignInFailed("the identity provider did not ask again who signs in")
        return Finished(identity=identity, return_to=kept["return_to"])

    async def sign_out_address(self, home: str) -> str:
        """Return where the browser signs out at the issuer; our own page where that is nothing but us."""
        if self._settings.issuer == "embedded":
            return "/"
        end = (await self._discovered()).get("end_session_endpoint")
        told = urlencode({"client_id": self._settings.oidc_client_id, "post_logout_redirect_uri": home})
        return f"{end}?{told}" if isinstance(end, str) else "/"

    def _kept(self, cookie: str) -> dict[str, Any]:
        try:
            kept = dict(jwt.decode(cookie, self._key, algorithms=["HS256"]).claims)
            JWTClaimsRegistry(now=int(self._clock().timestamp()), exp={"essential": True}).validate(kept)
        except (JoseError, ValueError) as error:
            raise SignInExpired from error
        return kept

    async def _redeem(self, code: str, kept: Mapping[str, Any]) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": kept["redirect_uri"],
            "client_id": self._settings.oidc_client_id,
            "code_verifier": kept["verifier"],
        }
        secret = self._settings.oidc_client_secret
        if secret is not None:
            form["client_secret"] = secret.get_secret_value()
        endpoint = str((await self._discovered())["token_endpoint"])
        return await self._json("POST", endpoint, data=form)

    async def _check_id_token(self, id_token: str, nonce: str, identity: Identity) -> None:
        """Check that the ID token answers this very request (OpenID Connect Core 1.0, 3.1.3.7)."""
        registry = JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=30,
            iss={"essential": True, "value": self._settings.issuer_url},
            aud={"essential": True, "value": self._settings.oidc_client_id},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True, "value": identity.subject},
            exp={"essential": True},
        )
        try:
            keys = await self._source.keys(key_id_of(id_token))
            decoded = jwt.decode(id_token, keys, algorithms=list(ALGORITHMS))
            registry.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise SignInFailed("the identity provider's ID token is not accepted") from error

    async def _authorization_endpoint(self) -> str:
        # The embedded issuer is wherever the browser has reached the page: its cookies and its form stay with one host.
        if self._settings.issuer == "embedded":
            return "/issuer/authorize"
        return str((await self._discovered())["authorization_endpoint"])

    async def _discovered(self) -> dict[str, Any]:
        found = await self._json("GET", f"{self._settings.issuer_url.rstrip('/')}{DISCOVERY}")
        if not {"authorization_endpoint", "token_endpoint"} <= found.keys():
            raise Unavailable("the identity provider's description lacks its endpoints")
        return found

    async def _json(self, method: str, url: str, **content: Any) -> dict[str, Any]:
        try:
            async with self._client() as client:
                answer = await client.request(method, url, timeout=ANSWER_SECONDS, **content)
                said = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("the identity provider does not answer") from error
        if answer.is_server_error or not isinstance(said, dict):
            raise Unavailable("the identity provider does not answer")
        if answer.is_error:
            raise SignInFailed("the identity provider refused the sign-in")
        return said


def safe_return(path: str) -> str:
    """Return `path` when it is a place of our own page, else the page's beginning: no open redirect (RFC 9700, 4.11)."""
    place = urlsplit(path)
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and not place.scheme and not place.netloc
    is_plain = all(character.isprintable() and character not in "\\ " for character in path)
    return path if is_ours and is_plain and len(path) <= 500 else "/"
