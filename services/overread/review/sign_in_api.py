"""The page's own sign-in and sign-out, and who one is."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field

from overread.contracts.errors import Unavailable
from overread.review.access import Reader, TheDesk, TheSessions, must_be_of_the_page
from overread.review.embedded_issuer import EmbeddedIssuer
from overread.review.issuer_page import LANGUAGES
from overread.review.problems import RESPONSES
from overread.review.refusals import ReviewRefused, WrongSite
from overread.review.sessions import Sessions
from overread.review.settings import ReviewSettings
from overread.review.sign_in import RelyingParty, SignInExpired, SignInFailed

CALLBACK = "/auth/callback"
LONGEST_PATH = 500

router = APIRouter(prefix="/auth", tags=["sign-in"], include_in_schema=False)
me_router = APIRouter(prefix="/api/v1", tags=["sign-in"], responses=RESPONSES)

Language = Literal["vi", "en", "fr"]


class Me(BaseModel):
    """Who is signed in, and what that allows."""

    subject: str
    family_name: str
    given_name: str
    site_id: str
    roles: list[str]
    entitlements: list[str]
    is_demo: bool
    may_read: bool
    may_sign: bool
    operates: bool
    signed_in_at: datetime
    signing_until: datetime = Field(description="Up to then the sign-in is fresh enough to sign reports.")
    session_ends_at: datetime | None = Field(description="None with a bearer token.")
    language: Language = Field(description="The site's language.")


class SignInConfiguration(BaseModel):
    """What the page must know before anybody is signed in."""

    is_demo: bool
    issuer: Literal["embedded", "external"]
    languages: list[str]
    language: Language


class SignedOut(BaseModel):
    """Where the browser goes after signing out."""

    go_to: str


@me_router.get("/me")
async def me(desk: TheDesk, reader: Reader) -> Me:
    """Return who is signed in."""
    return Me(
        subject=reader.subject,
        family_name=reader.family_name,
        given_name=reader.given_name,
        site_id=reader.site_id,
        roles=sorted(reader.roles),
        entitlements=sorted(reader.entitlements),
        is_demo=reader.is_demo,
        may_read=reader.reads,
        may_sign=reader.may_sign,
        operates=reader.operates,
        signed_in_at=reader.auth_time,
        signing_until=reader.auth_time + desk.session_limit,
        session_ends_at=reader.session_ends_at,
        language=desk.settings.language,
    )


@router.get("/configuration")
async def configuration(request: Request, desk: TheDesk) -> SignInConfiguration:
    """Return what the sign-in button needs; nothing in it is secret."""
    issuer: EmbeddedIssuer | None = request.app.state.issuer
    is_demo = bool(issuer and await issuer.demo_users())
    return SignInConfiguration(
        is_demo=is_demo,
        issuer=desk.settings.issuer,
        languages=list(LANGUAGES),
        language=desk.settings.language,
    )


@router.get("/sign-in")
async def sign_in(
    request: Request,
    desk: TheDesk,
    *,
    return_to: Annotated[str, Query(max_length=LONGEST_PATH)] = "/",
    fresh: Annotated[bool, Query()] = False,
    lang: Annotated[str, Query(max_length=8)] = "",
) -> Response:
    """Send the browser to the issuer; with `fresh` it asks again, and signing is then possible."""
    try:
        begun = await _party(request).begin(
            redirect_uri=f"{_home(request, desk.settings)}{CALLBACK}",
            return_to=return_to,
            is_fresh=fresh,
            language=lang if lang in LANGUAGES else desk.settings.language,
        )
    except (Unavailable, SignInFailed):
        return _back("unavailable")
    answer = RedirectResponse(begun.go_to, status_code=302)
    _set(answer, request, _on_the_way(request), begun.cookie, same_site="lax", path="/auth", seconds=600)
    return answer


@router.get("/callback")
async def callback(
    request: Request,
    sessions: TheSessions,
    state: Annotated[str, Query(max_length=LONGEST_PATH)] = "",
    code: Annotated[str, Query(max_length=4_000)] = "",
) -> Response:
    """Take the issuer's answer: open a session, or say in the address why not."""
    try:
        finished = await _party(request).finish(
            cookie=request.cookies.get(_on_the_way(request), ""), state=state, code=code
        )
    except SignInExpired:
        return _forgotten(request, _back("expired"))
    except Unavailable:
        return _back("unavailable")
    except WrongSite:
        return _forgotten(request, _back("wrong-site"))
    except (SignInFailed, ReviewRefused):
        return _forgotten(request, _back("refused"))
    secret = await sessions.open(finished.identity, instead_of=request.cookies.get(sessions.cookie_name))
    answer = _forgotten(request, RedirectResponse(finished.return_to, status_code=303))
    seconds = sessions.settings.session_seconds
    _set(answer, request, sessions.cookie_name, secret, same_site="strict", path="/", seconds=seconds)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, sessions: TheSessions) -> Response:
    """End the session, and say where the issuer's own sign-out is."""
    must_be_of_the_page(request)
    secret = request.cookies.get(sessions.cookie_name)
    if secret:
        await sessions.end(secret)
    answer = JSONResponse(SignedOut(go_to=await _sign_out_address(request, sessions)).model_dump())
    answer.delete_cookie(sessions.cookie_name, path="/", httponly=True, samesite="strict")
    return answer


async def _sign_out_address(request: Request, sessions: Sessions) -> str:
    try:
        return await _party(request).sign_out_address(f"{_home(request, sessions.settings)}/")
    except (Unavailable, SignInFailed):
        return "/"


def _home(request: Request, settings: ReviewSettings) -> str:
    """Return where browsers reach the page; the Host header was checked before this."""
    return settings.public_url.rstrip("/") or f"{request.url.scheme}://{request.headers['host']}"


def _on_the_way(request: Request) -> str:
    sessions: Sessions = request.app.state.sessions
    return f"{sessions.cookie_name}_sign_in"


def _back(why: str) -> RedirectResponse:
    return RedirectResponse(f"/?sign_in={why}", status_code=303)


def _forgotten(request: Request, answer: RedirectResponse) -> RedirectResponse:
    answer.delete_cookie(_on_the_way(request), path="/auth", httponly=True, samesite="lax")
    return answer


def _set(
    answer: Response,
    request: Request,
    name: str,
    value: str,
    *,
    same_site: Literal["lax", "strict"],
    path: str,
    seconds: int,
) -> None:
    """Set a cookie that no script reads; `Secure` wherever the page is reached by TLS."""
    sessions: Sessions = request.app.state.sessions
    is_secure = _home(request, sessions.settings).startswith("https://")
    lasting = timedelta(seconds=seconds)
    answer.set_cookie(
        name,
        value,
        max_age=int(lasting.total_seconds()),
        path=path,
        secure=is_secure,
        httponly=True,
        samesite=same_site,
    )


def _party(request: Request) -> RelyingParty:
    party: RelyingParty = request.app.state.relying_party
    return party
