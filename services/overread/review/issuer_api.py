"""The embedded issuer's three routes."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse

from overread.review import audit
from overread.review.embedded_issuer import EmbeddedIssuer, Granted, SignInRefused, TooManyAttempts
from overread.runtime.service import Service

router = APIRouter(prefix="/issuer", tags=["issuer"], include_in_schema=False)


@router.get("/.well-known/openid-configuration")
async def configuration(request: Request) -> dict[str, Any]:
    """Return where things are (OpenID Connect Discovery 1.0)."""
    return await _issuer(request).configuration()


@router.get("/jwks.json")
async def jwks(request: Request) -> dict[str, Any]:
    """Return the public keys (RFC 7517)."""
    return _issuer(request).jwks()


@router.post("/token")
async def token(
    request: Request,
    grant_type: Annotated[str, Form(max_length=64)] = "",
    username: Annotated[str, Form(max_length=64)] = "",
    password: Annotated[str, Form(max_length=256)] = "",
) -> JSONResponse:
    """Sign a user in (RFC 6749, 4.3.2 and 5)."""
    if not _is_from_here(request):
        return _error(403, "access_denied", "a page of another origin may not sign anybody in")
    if grant_type != "password" or not username:
        return _error(400, "unsupported_grant_type", "send grant_type=password, username and password as a form")
    try:
        granted = await _issuer(request).grant(username, password)
    except TooManyAttempts as refused:
        await _record(request, username, audit.REFUSED, "too many attempts")
        return _error(429, "invalid_grant", str(refused))
    except SignInRefused as refused:
        await _record(request, username, audit.REFUSED, "wrong name or password")
        return _error(400, "invalid_grant", str(refused))
    await _record(request, username, audit.DONE, "demo, without a password" if granted.is_demo else "")
    return _answer(granted)


def _is_from_here(request: Request) -> bool:
    """Say whether no foreign page sent this: one could lock users out by wrong passwords (Fetch Metadata; RFC 6454, 7)."""
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _answer(granted: Granted) -> JSONResponse:
    body = {"access_token": granted.access_token, "token_type": "Bearer", "expires_in": granted.expires_in}
    return JSONResponse(body | ({"demo": True} if granted.is_demo else {}))


def _error(status: int, error: str, description: str) -> JSONResponse:
    headers = {"Retry-After": "300"} if status == 429 else {}
    return JSONResponse({"error": error, "error_description": description}, status_code=status, headers=headers)


async def _record(request: Request, username: str, outcome: str, detail: str) -> None:
    """Record the sign-in; an unknown name is not kept, for it may be a password typed into the wrong field."""
    service: Service = request.app.state.desk.service
    actor = username if await _issuer(request).knows(username) else "unknown"
    async with service.transaction() as tx:
        audit.record(
            tx, actor=actor, action="sign-in", object_type="session", object_id="", outcome=outcome, detail=detail
        )


def _issuer(request: Request) -> EmbeddedIssuer:
    issuer: EmbeddedIssuer = request.app.state.issuer
    return issuer
