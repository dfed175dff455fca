"""How the HTTP front tells a service behind it who asks: a pass of one minute under a shared secret (RFC 7519, HS256).

The front has checked token or session; the service behind checks the pass on every request, and nothing else lets
anybody in. It never leaves the machine, or the private network of one installation.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jwt import JWTClaimsRegistry

from overread.runtime.clock import Clock
from overread.runtime.plain_words import said_of

PASS_HEADER = "x-overread-pass"  # noqa: S105 - a header's name
PASS_LIFE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks, as the front found: subject, site, and roles."""

    subject: str
    site_id: str
    roles: frozenset[str]


def issue(visitor: Visitor, *, audience: str, secret: bytes, now: datetime) -> str:
    """Return a pass for one service."""
    claims = {
        "sub": visitor.subject,
        "site_id": visitor.site_id,
        "roles": sorted(visitor.roles),
        "aud": audience,
        "exp": int((now + PASS_LIFE).timestamp()),
    }
    return jwt.encode({"alg": "HS256"}, claims, _key(secret), algorithms=["HS256"])


def visitor_of(token: str, *, audience: str, secret: bytes, now: datetime) -> Visitor | None:
    """Return whom the pass names, None when it is not valid here and now."""
    registry = JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=5,
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        sub={"essential": True},
        site_id={"essential": True},
    )
    try:
        claims = jwt.decode(token, _key(secret), algorithms=["HS256"]).claims
        registry.validate(claims)
    except (JoseError, ValueError):
        return None
    return Visitor(subject=claims["sub"], site_id=claims["site_id"], roles=frozenset(claims.get("roles", ())))


def visitor_with(
    roles: frozenset[str], *, audience: str, secret: bytes, site_id: str, clock: Clock
) -> Callable[[Request], Visitor]:
    """Return the dependency of each route behind the front: 401 without a pass, 403 for another site or role."""

    def visitor(request: Request) -> Visitor:
        token = request.headers.get(PASS_HEADER, "")
        found = visitor_of(token, audience=audience, secret=secret, now=clock())
        if found is None:
            raise HTTPException(401, "this service is reached through the HTTP front")
        if found.site_id != site_id or not found.roles & roles:
            raise HTTPException(403, f"this needs one of the roles {', '.join(sorted(roles))} at this site")
        return found

    return visitor


async def invalid(_: Request, error: Exception) -> JSONResponse:
    """Answer a request that has not the form it must have (RFC 9457): which part, never the value that was sent."""
    body = {
        "type": "urn:overread:problem:invalid-request",
        "title": "The request has not the form it must have.",
        "status": 422,
        "detail": said_of(error.errors() if isinstance(error, RequestValidationError) else []),
        "next_step": "Correct what is named and send it again.",
    }
    return JSONResponse(body, status_code=422, media_type="application/problem+json")


def _key(secret: bytes) -> OctKey:
    return OctKey.import_key(hashlib.sha256(b"overread front pass" + secret).digest())
