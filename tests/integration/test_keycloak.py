"""Sign-in elsewhere: the page and the API with a real Keycloak and the realm that we ship for it."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import httpx
import pytest

from overread.review.authorization_codes import challenge_of
from tests.builders.events import a_study_ready, an_inference_done, an_inference_planned
from tests.fakes.keycloak import Keycloak, running_keycloak
from tests.fakes.review import MovedClock, ReviewBench, a_review_bench

pytestmark = [pytest.mark.stack, pytest.mark.jdk]

HERE = "http://127.0.0.1:8080"
REDIRECT = f"{HERE}/auth/callback"
OWN = {"X-Overread-Request": "1"}
RADIOLOGIST, RESIDENT, OPERATOR = "dr.binh", "resident", "engineer"


@pytest.fixture(scope="module")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """Yield one Keycloak with three people; everybody is of the site that a test names."""
    with running_keycloak(tmp_path_factory.mktemp("keycloak")) as running:
        running.add_user(RADIOLOGIST, "Radiologists", "May sign")
        running.add_user(RESIDENT, "Clinicians")
        running.add_user(OPERATOR, "Operators")
        yield running


@pytest.fixture
async def bench(stack: Any, keycloak: Keycloak, tmp_path: Path) -> AsyncIterator[ReviewBench]:
    """Return a review whose people sign in at Keycloak, with one draft."""
    clock = MovedClock(datetime.now(UTC))
    dsn = stack.endpoints.dsn("review")
    async with a_review_bench(dsn, tmp_path, clock=clock, issuer="external", oidc_issuer=keycloak.issuer) as opened:
        keycloak.set_site(opened.site_id)
        await opened.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
        yield opened


@asynccontextmanager
async def a_browser(bench: ReviewBench) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that keeps cookies and follows nothing by itself."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=bench.api), base_url=HERE) as client:
        yield client


async def signed_in(browser: httpx.AsyncClient, keycloak: Keycloak, username: str, **asked: str) -> httpx.Response:
    """Go the whole way and return what the callback answers."""
    begun = await browser.get("/auth/sign-in", params=asked)
    back = keycloak.sign_in(begun.headers["location"], username)
    return await browser.get(back.headers["location"])


def a_token(keycloak: Keycloak, username: str) -> str:
    """Return the access token that a client of its own gets for `username`."""
    verifier = secrets.token_urlsafe(48)
    asked = {"client_id": "overread-page", "redirect_uri": REDIRECT}
    challenge = {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    query = urlencode({"response_type": "code", "scope": "openid profile", "state": "1", **asked, **challenge})
    back = keycloak.sign_in(f"{keycloak.issuer}/protocol/openid-connect/auth?{query}", username)
    (code,) = parse_qs(urlsplit(back.headers["location"]).query)["code"]
    return keycloak.access_token(code, asked | {"code_verifier": verifier})


async def test_radiologist_signs_in_and_signs_a_report(bench: ReviewBench, keycloak: Keycloak) -> None:
    """The code flow with PKCE, a session, and a signature by who Keycloak says that it is."""
    path = f"/api/v1/reports/{bench.report_id}"
    async with a_browser(bench) as browser:
        answer = await signed_in(browser, keycloak, RADIOLOGIST, return_to="/case/1")
        me = (await browser.get("/api/v1/me")).json()
        claimed = await browser.post(f"{path}/claim", headers=OWN)
        body = {"digest": claimed.json()["digest"], "verdict": "accepted"}
        signed = await browser.post(f"{path}/sign", json=body, headers=OWN)
        shown = (await browser.get(path)).json()

    assert (answer.status_code, answer.headers["location"]) == (303, "/case/1")
    assert (me["family_name"], me["given_name"], me["roles"], me["may_sign"]) == (
        "TRẦN THỊ",
        "BÌNH",
        ["radiologist"],
        True,
    )
    assert (signed.status_code, (await bench.states())[-1]) == (200, "signed")
    assert shown["signature"]["subject"] == me["subject"]


async def test_who_has_no_right_gets_none(bench: ReviewBench, keycloak: Keycloak) -> None:
    """A resident reads and signs nothing; an operator reads nothing; Keycloak leaves out what would be empty."""
    path = f"/api/v1/reports/{bench.report_id}"
    async with a_browser(bench) as browser:
        await signed_in(browser, keycloak, RESIDENT)
        seen = await browser.get(path)
        await browser.post(f"{path}/claim", headers=OWN)
        body = {"digest": seen.json()["digest"], "verdict": "accepted"}
        signed = await browser.post(f"{path}/sign", json=body, headers=OWN)
    async with a_browser(bench) as browser:
        await signed_in(browser, keycloak, OPERATOR)
        hidden = await browser.get(path)
        status = await browser.get("/ops/status")

    assert (seen.status_code, signed.status_code, hidden.status_code, status.status_code) == (200, 403, 403, 200)
    assert "signed" not in await bench.states()


async def test_fresh_sign_in_asks_again(bench: ReviewBench, keycloak: Keycloak) -> None:
    """Signing needs a sign-in of the last minutes: the provider is told to ask again, and its time is believed."""
    async with a_browser(bench) as browser:
        await signed_in(browser, keycloak, RADIOLOGIST)
        before = (await browser.get("/api/v1/me")).json()["signed_in_at"]
        answer = await signed_in(browser, keycloak, RADIOLOGIST, fresh="1")
        after = (await browser.get("/api/v1/me")).json()["signed_in_at"]

    assert answer.status_code == httpx.codes.SEE_OTHER
    assert after >= before


async def test_bearer_token_of_keycloak_opens_the_api(bench: ReviewBench, keycloak: Keycloak) -> None:
    """A client of the site's own; a token that was touched, or of another site, opens nothing."""
    token = a_token(keycloak, RADIOLOGIST)
    head, body, seal = token.split(".")
    touched = f"{head}.{body}.{'A' * len(seal)}"
    async with a_browser(bench) as client:
        right = await client.get("/api/v1/reports", headers={"Authorization": f"Bearer {token}"})
        wrong = await client.get("/api/v1/reports", headers={"Authorization": f"Bearer {touched}"})
        keycloak.set_site(f"site-{uuid4().hex[:12]}")
        bearer = {"Authorization": f"Bearer {a_token(keycloak, RADIOLOGIST)}"}
        foreign = await client.get("/api/v1/reports", headers=bearer)

    assert (right.status_code, wrong.status_code) == (200, 401)
    assert foreign.status_code == httpx.codes.FORBIDDEN


async def test_user_of_another_site_is_sent_back_with_the_reason(bench: ReviewBench, keycloak: Keycloak) -> None:
    """One provider may serve many hospitals."""
    keycloak.set_site("another-site")

    async with a_browser(bench) as browser:
        answer = await signed_in(browser, keycloak, RADIOLOGIST)
        me = await browser.get("/api/v1/me")

    assert (answer.headers["location"], me.status_code) == ("/?sign_in=wrong-site", 401)


async def test_signing_out_leads_to_keycloaks_own(bench: ReviewBench, keycloak: Keycloak) -> None:
    """RP-initiated logout 1.0: else the next person at the desk is signed in already."""
    async with a_browser(bench) as browser:
        await signed_in(browser, keycloak, RADIOLOGIST)
        answer = await browser.post("/auth/sign-out", headers=OWN)
        me = await browser.get("/api/v1/me")
    go_to = answer.json()["go_to"]
    async with httpx.AsyncClient(timeout=30) as elsewhere:
        left = await elsewhere.get(go_to)

    assert go_to.startswith(f"{keycloak.issuer}/protocol/openid-connect/logout?")
    assert (left.status_code, left.headers["location"], me.status_code) == (302, f"{HERE}/", 401)
