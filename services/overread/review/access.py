"""Who asks, for every route: a bearer token, or the session of the page (whose changes must come from the page)."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from overread.review.desk import Desk
from overread.review.identity import Identity, TokenVerifier
from overread.review.refusals import CrossSite, NotSignedIn
from overread.review.sessions import Sessions

OWN_REQUEST = "x-overread-request"
"""A header that a foreign page can't send without asking first, which nothing here answers (Fetch, CORS protocol)."""

SAFE_METHODS = frozenset({"GET", "HEAD"})

_bearer = HTTPBearer(auto_error=False, description="An access token of the site's OpenID Connect issuer.")


def desk_of(request: Request) -> Desk:
    """Return the desk that the app was built with."""
    desk: Desk = request.app.state.desk
    return desk


def sessions_of(request: Request) -> Sessions:
    """Return the sessions that the app was built with."""
    sessions: Sessions = request.app.state.sessions
    return sessions


async def signed_in(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Identity:
    """Return who is asking, or raise `NotSignedIn` or `CrossSite`."""
    if credentials is not None:
        verifier: TokenVerifier = request.app.state.verifier
        return await verifier.verify(credentials.credentials)
    sessions = sessions_of(request)
    secret = request.cookies.get(sessions.cookie_name)
    if not secret:
        raise NotSignedIn
    must_be_of_the_page(request)
    return await sessions.identity(secret)


def must_be_of_the_page(request: Request) -> None:
    """Raise `CrossSite` for a change that our own page did not send."""
    if request.method in SAFE_METHODS:
        return
    if request.headers.get(OWN_REQUEST) != "1" or not is_from_here(request):
        raise CrossSite


def is_from_here(request: Request) -> bool:
    """Say whether no foreign page sent this (Fetch Metadata; RFC 6454, 7)."""
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


TheDesk = Annotated[Desk, Depends(desk_of)]
TheSessions = Annotated[Sessions, Depends(sessions_of)]
Reader = Annotated[Identity, Depends(signed_in)]
