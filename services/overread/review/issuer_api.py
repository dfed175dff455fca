"""The embedded issuer's routes: discovery, keys, the sign-in page, and tokens."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import unquote_plus, urlencode, urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse

from overread.review import audit, issuer_page
from overread.review.access import is_from_here
from overread.review.authorization_codes import AuthorizationRequest, CodeRefused, is_challenge
from overread.review.embedded_issuer import (
    PAGE_CLIENT,
    EmbeddedIssuer,
    Granted,
    SignedIn,
    SignInRefused,
    TooManyAttempts,
)
from overread.runtime.service import Service

CALLBACK = "/auth/callback"
LONGEST_FIELD = 2_000

_FIELDS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "ui_locales",
)
_CSP = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

router = APIRouter(prefix="/issuer", tags=["issuer"], include_in_schema=False)


@router.get("/.well-known/openid-configuration")
async def configuration(request: Request) -> dict[str, Any]:
    """Return where things are (OpenID Connect Discovery 1.0)."""
    return await _issuer(request).configuration()


@router.get("/jwks.json")
async def jwks(request: Request) -> dict[str, Any]:
    """Return the public keys (RFC 7517)."""
    return _issuer(request).jwks()


@router.get("/sign-in.css")
async def style() -> Response:
    """Return how the sign-in page looks."""
    return PlainTextResponse(issuer_page.STYLE, media_type="text/css")


@router.get("/authorize")
async def ask_to_sign_in(request: Request) -> Response:
    """Show the sign-in page to somebody whom our own page sent here (RFC 6749, 4.1.1). It always asks anew."""
    fields = _fields(request.query_params)
    if _authorization_request(request, fields) is None:
        return _page(request, fields, 400)
    return _page(request, fields, 200, await _sign_in_page(request, fields))


@router.post("/authorize")
async def authorize(request: Request) -> Response:
    """Sign the user in and send the browser back with a code (RFC 6749, 4.1.2)."""
    form = await request.form()
    fields = _fields({name: value for name, value in form.items() if isinstance(value, str)})
    asked = _authorization_request(request, fields)
    if asked is None or not is_from_here(request):
        return _page(request, fields, 400)
    username, password = _text(form.get("username")), _text(form.get("password"))
    try:
        signed_in = await _sign_in(request, username, password)
    except TooManyAttempts:
        return _page(request, fields, 429, await _sign_in_page(request, fields, "too_many"))
    except SignInRefused:
        return _page(request, fields, 401, await _sign_in_page(request, fields, "wrong"))
    code = _issuer(request).authorize(asked, signed_in)
    return RedirectResponse(f"{asked.redirect_uri}?{urlencode({'code': code, 'state': asked.state})}", status_code=303)


@router.post("/token")
async def token(
    request: Request,
    grant_type: Annotated[str, Form(max_length=64)] = "",
    username: Annotated[str, Form(max_length=64)] = "",
    password: Annotated[str, Form(max_length=256)] = "",
) -> JSONResponse:
    """Give a token for a code (RFC 6749, 4.1.3), or sign a user in by password (4.3.2), or a machine (4.4.2)."""
    if not is_from_here(request):
        return _error(403, "access_denied", "a page of another origin may not sign anybody in")
    if grant_type == "authorization_code":
        return await _redeem(request)
    if grant_type == "client_credentials":
        return await _client_token(request)
    if grant_type != "password" or not username:
        return _error(400, "unsupported_grant_type", "send grant_type=password, username and password as a form")
    try:
        signed_in = await _sign_in(request, username, password)
    except TooManyAttempts as refused:
        return _error(429, "invalid_grant", str(refused))
    except SignInRefused as refused:
        return _error(400, "invalid_grant", str(refused))
    return _answer(_issuer(request).grant_to(signed_in))


async def _client_token(request: Request) -> JSONResponse:
    """Answer a machine that sends its secret in the header or in the form (RFC 6749, 2.3.1 and 4.4)."""
    form = await request.form()
    client_id, secret = _basic(request) or (_text(form.get("client_id")), _text(form.get("client_secret")))
    try:
        return _answer(_issuer(request).grant_to(await _sign_in(request, client_id, secret, as_client=True)))
    except TooManyAttempts as refused:
        return _error(429, "invalid_client", str(refused))
    except SignInRefused:
        refusal = _error(401, "invalid_client", "the client's name or secret is wrong")
        refusal.headers["WWW-Authenticate"] = 'Basic realm="overread"'
        return refusal


def _basic(request: Request) -> tuple[str, str] | None:
    """Return name and secret of HTTP Basic (RFC 7617), each encoded as a form's value is; None without."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name)[:LONGEST_FIELD], unquote_plus(secret)[:LONGEST_FIELD]


async def _redeem(request: Request) -> JSONResponse:
    form = await request.form()
    try:
        granted = _issuer(request).redeem(
            _text(form.get("code")),
            client_id=_text(form.get("client_id")),
            redirect_uri=_text(form.get("redirect_uri")),
            code_verifier=_text(form.get("code_verifier")),
        )
    except CodeRefused as refused:
        return _error(400, "invalid_grant", str(refused))
    return _answer(granted)


async def _sign_in(request: Request, username: str, password: str, *, as_client: bool = False) -> SignedIn:
    """Sign in, and record it whether or not it succeeds."""
    try:
        signed_in = await _issuer(request).sign_in(username, password, as_client=as_client)
    except TooManyAttempts:
        await _record(request, username, audit.REFUSED, "too many attempts")
        raise
    except SignInRefused:
        await _record(request, username, audit.REFUSED, "wrong name or password")
        raise
    await _record(request, username, audit.DONE, "demo, without a password" if signed_in.is_demo else "")
    return signed_in


def _fields(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given[name] for name in _FIELDS if given.get(name)}


def _text(value: object) -> str:
    return value[:LONGEST_FIELD] if isinstance(value, str) else ""


def _authorization_request(request: Request, fields: Mapping[str, str]) -> AuthorizationRequest | None:
    """Return what our own page asks for, None for anybody else's request: a code goes nowhere but to our callback."""
    place = urlsplit(fields.get("redirect_uri", ""))
    is_ours = (
        fields.get("client_id") == PAGE_CLIENT
        and fields.get("response_type") == "code"
        and fields.get("code_challenge_method") == "S256"
        and is_challenge(fields.get("code_challenge", ""))
        and place.netloc == request.headers.get("host")
        and (place.scheme in {"http", "https"}, place.path, place.query, place.fragment) == (True, CALLBACK, "", "")
        and all(len(value) <= LONGEST_FIELD for value in fields.values())
    )
    if not is_ours:
        return None
    return AuthorizationRequest(
        client_id=PAGE_CLIENT,
        redirect_uri=fields["redirect_uri"],
        state=fields.get("state", ""),
        nonce=fields.get("nonce", ""),
        code_challenge=fields["code_challenge"],
    )


async def _sign_in_page(request: Request, fields: Mapping[str, str], fault: str = "") -> str:
    return issuer_page.sign_in_page(
        fields,
        language=_language(request, fields),
        site_id=_site(request),
        demo_users=await _issuer(request).demo_users(),
        fault=fault,
    )


def _page(request: Request, fields: Mapping[str, str], status: int, content: str = "") -> HTMLResponse:
    shown = content or issuer_page.refusal_page(language=_language(request, fields), site_id=_site(request))
    headers = {"Content-Security-Policy": _CSP} | ({"Retry-After": "300"} if status == 429 else {})
    return HTMLResponse(shown, status_code=status, headers=headers)


def _language(request: Request, fields: Mapping[str, str]) -> str:
    accepted = request.headers.get("accept-language", "")
    return issuer_page.language_of(fields.get("ui_locales", ""), accepted, request.app.state.desk.settings.language)


def _site(request: Request) -> str:
    site: str = request.app.state.desk.settings.site_id
    return site


def _answer(granted: Granted) -> JSONResponse:
    body: dict[str, Any] = {
        "access_token": granted.access_token,
        "token_type": "Bearer",
        "expires_in": granted.expires_in,
    }
    body |= {"id_token": granted.id_token} if granted.id_token else {}
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
