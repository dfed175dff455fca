"""Who is asking: a bearer token of the issuer, its signature and claims checked (RFC 9068, OpenID Connect Core 1.0)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from overread.contracts.errors import Unavailable
from overread.review.refusals import NotEntitled, NotSignedIn, WrongSite
from overread.runtime.clock import Clock
from overread.runtime.signatures import ENTITLEMENT_SIGN

AUDIENCE = "overread"
ALGORITHMS = ("RS256", "ES256")
LONGEST_SUBJECT = 64
"""A certificate's common name is not longer (RFC 5280, appendix A: ub-common-name)."""

READERS = frozenset({"radiologist", "clinician"})
OPERATORS = frozenset({"ops"})
RECONCILERS = frozenset({"reconciler"})
"""They decide which order belongs to which study, and see both with the patient."""
INTEGRATORS = frozenset({"integrator"})
"""They look after links, mappings and messages, and see the patient in them."""
ORDER_PLACERS = frozenset({"order_placer"})
"""Machines that place orders, in FHIR or as plain JSON; they see nothing."""
REQUIRED = ("sub", "site_id", "auth_time", "exp", "iss", "aud")
LISTS = ("roles", "entitlements")
"""Who has none has no right; some providers (Keycloak) then leave the claim out."""

KEYS_LAST = timedelta(hours=1)
KEYS_ASKED_AT_MOST_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A signed-in user, as the token says."""

    subject: str
    site_id: str
    roles: frozenset[str]
    entitlements: frozenset[str]
    auth_time: datetime
    family_name: str
    given_name: str
    is_demo: bool = False
    session_ends_at: datetime | None = None

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], *, session_ends_at: datetime) -> "Identity":
        """Return the identity that `as_json` wrote, as that of a session."""
        return cls(
            subject=kept["subject"],
            site_id=kept["site_id"],
            roles=frozenset(kept["roles"]),
            entitlements=frozenset(kept["entitlements"]),
            auth_time=datetime.fromisoformat(kept["auth_time"]),
            family_name=kept["family_name"],
            given_name=kept["given_name"],
            is_demo=kept["is_demo"],
            session_ends_at=session_ends_at,
        )

    def as_json(self) -> dict[str, Any]:
        """Return what a session keeps of the identity."""
        return {
            "subject": self.subject,
            "site_id": self.site_id,
            "roles": sorted(self.roles),
            "entitlements": sorted(self.entitlements),
            "auth_time": self.auth_time.isoformat(),
            "family_name": self.family_name,
            "given_name": self.given_name,
            "is_demo": self.is_demo,
        }

    @property
    def reads(self) -> bool:
        """Say whether the user may see reports."""
        return bool(self.roles & READERS)

    @property
    def may_sign(self) -> bool:
        """Say whether the user is entitled to sign reports."""
        return self.reads and ENTITLEMENT_SIGN in self.entitlements

    @property
    def operates(self) -> bool:
        """Say whether the user looks after the system."""
        return bool(self.roles & OPERATORS)

    def must_read(self) -> None:
        """Raise `NotEntitled` unless the user may see reports."""
        self.must_be_one_of(READERS)

    def must_operate(self) -> None:
        """Raise `NotEntitled` unless the user looks after the system."""
        self.must_be_one_of(OPERATORS)

    def must_be_one_of(self, roles: frozenset[str]) -> None:
        """Raise `NotEntitled` unless the user has one of `roles`."""
        if not self.roles & roles:
            raise NotEntitled(f"this needs one of the roles {', '.join(sorted(roles))}")


class KeySource(Protocol):
    """Where the issuer's public keys come from."""

    async def keys(self, key_id: str | None) -> KeySet:
        """Return the keys, asking again when `key_id` is not among those known."""


class IssuersKeys:
    """The keys of an external issuer, by OpenID Connect Discovery, kept for an hour."""

    def __init__(self, issuer: str, clock: Clock, client: Callable[[], httpx.AsyncClient] = httpx.AsyncClient) -> None:
        self._issuer = issuer
        self._clock = clock
        self._client = client
        self._known: KeySet | None = None
        self._asked_at = datetime(1970, 1, 1, tzinfo=UTC)

    async def keys(self, key_id: str | None) -> KeySet:
        """Return the keys; an unknown key ID asks again, but not more often than every 30 seconds."""
        age = self._clock() - self._asked_at
        is_unknown = self._known is None or key_id not in {key.kid for key in self._known.keys}
        if self._known is None or age > KEYS_LAST or (is_unknown and age > KEYS_ASKED_AT_MOST_EVERY):
            self._known = await self._fetch()
            self._asked_at = self._clock()
        return self._known

    async def _fetch(self) -> KeySet:
        try:
            async with self._client() as client:
                discovery = await _json(client, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                return KeySet.import_key_set(await _json(client, discovery["jwks_uri"]))  # type: ignore[arg-type]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise Unavailable("the identity provider does not answer") from error


class TokenVerifier:
    """Turns a bearer token into an identity, or says why not."""

    def __init__(self, *, issuer: str, site_id: str, source: KeySource, clock: Clock) -> None:
        self._issuer = issuer
        self._site_id = site_id
        self._source = source
        self._clock = clock

    async def verify(self, token: str) -> Identity:
        """Return who the token says is asking; raise `NotSignedIn` or `WrongSite`."""
        try:
            keys = await self._source.keys(key_id_of(token))
            claims = _as_of_a_person(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
            self._check(claims)
        except (JoseError, ValueError) as error:
            raise NotSignedIn(f"the access token is not accepted: {_reason(error)}") from error
        identity = _identity(claims)
        if identity.site_id != self._site_id:
            raise WrongSite
        return identity

    def _check(self, claims: Mapping[str, Any]) -> None:
        registry = JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=30,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": AUDIENCE},
            **{name: {"essential": True, "allow_blank": True} for name in REQUIRED if name not in {"iss", "aud"}},  # type: ignore[arg-type]
        )
        registry.validate(dict(claims))


def _as_of_a_person(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the claims of a machine that places orders and does nothing else as if it had signed in when it asked.

    By client credentials nobody signs in, and an issuer need not say when (RFC 9068, 2.2.1; RFC 6749, 4.4).
    """
    roles = claims.get("roles")
    is_machine = isinstance(roles, list) and roles and {str(role) for role in roles} <= ORDER_PLACERS
    return {"auth_time": claims.get("iat"), **claims} if is_machine else claims


def _identity(claims: Mapping[str, Any]) -> Identity:
    said = dict.fromkeys(LISTS, ()) | dict(claims)
    for name, kind in (("sub", str), ("site_id", str), *((name, list | tuple) for name in LISTS)):
        if not isinstance(said[name], kind):
            raise NotSignedIn(f"the access token's claim {name} has the wrong form")
    if not isinstance(claims["auth_time"], int | float) or not 1 <= len(claims["sub"]) <= LONGEST_SUBJECT:
        raise NotSignedIn("the access token does not say who signed in and when")
    return Identity(
        subject=claims["sub"],
        site_id=claims["site_id"],
        roles=frozenset(str(role) for role in said["roles"]),
        entitlements=frozenset(str(entitlement) for entitlement in said["entitlements"]),
        auth_time=datetime.fromtimestamp(claims["auth_time"], tz=UTC),
        family_name=str(claims.get("family_name") or claims.get("name") or claims["sub"]),
        given_name=str(claims.get("given_name") or ""),
        is_demo=claims.get("demo") is True,
    )


def key_id_of(token: str) -> str | None:
    """Return the key the token names, before anything in it is believed."""
    return jws.extract_compact(token.encode()).headers().get("kid")


def _reason(error: Exception) -> str:
    return getattr(error, "description", "") or getattr(error, "error", "") or "it can't be read"


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    response = await client.get(url, timeout=5.0)
    response.raise_for_status()
    answer = response.json()
    if not isinstance(answer, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the caller treats any wrong answer alike
    return answer
