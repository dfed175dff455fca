"""The page signs in by the code flow and keeps a session: what a browser sees, and what an attacker does not get."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from overread.contracts.topics import AUDIT_RECORDED
from tests.builders.events import a_study_ready, an_inference_done, an_inference_planned
from tests.fakes.review import PASSWORD, READER, ReviewBench, a_review_bench

pytestmark = pytest.mark.stack

HERE = "http://127.0.0.1:8080"
OWN = {"X-Overread-Request": "1"}


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[ReviewBench]:
    """Return a review of its own site with one draft."""
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path) as opened:
        await opened.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
        yield opened


@asynccontextmanager
async def a_browser(bench: ReviewBench) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that keeps cookies and follows nothing by itself."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=bench.api), base_url=HERE) as client:
        yield client


async def signed_in(browser: httpx.AsyncClient, password: str = PASSWORD, **asked: str) -> httpx.Response:
    """Go the whole way and return what the callback answers."""
    begun = await browser.get("/auth/sign-in", params=asked)
    form = await browser.get(begun.headers["location"])
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form.text.replace("&amp;", "&")))
    answer = await browser.post("/issuer/authorize", data=fields | {"username": READER, "password": password})
    if answer.status_code != httpx.codes.SEE_OTHER:
        return answer
    return await browser.get(answer.headers["location"])


async def test_reader_signs_in_and_comes_back_to_the_case(bench: ReviewBench) -> None:
    """Authorization code with PKCE; the session then stands for a bearer token."""
    async with a_browser(bench) as browser:
        before = await browser.get("/api/v1/me")
        answer = await signed_in(browser, return_to="/case/1?tab=images")
        me = await browser.get("/api/v1/me")
        report = await browser.get(f"/api/v1/reports/{bench.report_id}")

    assert (before.status_code, answer.status_code) == (401, 303)
    assert answer.headers["location"] == "/case/1?tab=images"
    assert (me.json()["subject"], me.json()["may_sign"], me.json()["session_ends_at"] is not None) == (
        READER,
        True,
        True,
    )
    assert report.status_code == httpx.codes.OK


async def test_session_cookie_is_no_scripts_and_no_other_sites(bench: ReviewBench) -> None:
    """HttpOnly; SameSite=Strict for the session, Lax for what must survive the way back from the issuer."""
    async with a_browser(bench) as browser:
        begun = await browser.get("/auth/sign-in")
        answer = await signed_in(browser)

    on_the_way, session = begun.headers["set-cookie"], answer.headers.get_list("set-cookie")[-1]
    assert all(word in on_the_way for word in ("HttpOnly", "SameSite=lax", "Path=/auth"))
    assert all(word in session for word in ("HttpOnly", "SameSite=strict", "Path=/"))


async def test_browser_is_sent_with_pkce_and_the_asked_language(bench: ReviewBench) -> None:
    """RFC 7636, S256; a fresh sign-in asks the issuer to ask again (OpenID Connect Core 1.0, 3.1.2.1)."""
    async with a_browser(bench) as browser:
        begun = await browser.get("/auth/sign-in", params={"fresh": "1", "lang": "fr"})
        page = await browser.get(begun.headers["location"])

    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    assert (asked["code_challenge_method"], asked["prompt"], asked["max_age"]) == ("S256", "login", "0")
    assert "Mot de passe" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")


@pytest.mark.parametrize("return_to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", ""])
async def test_sign_in_leads_nowhere_else(bench: ReviewBench, return_to: str) -> None:
    """No open redirect (RFC 9700, 4.11)."""
    async with a_browser(bench) as browser:
        answer = await signed_in(browser, return_to=return_to)

    assert answer.headers["location"] == "/"


async def test_wrong_password_shows_the_form_again(bench: ReviewBench) -> None:
    """With the reason, and without a session."""
    async with a_browser(bench) as browser:
        answer = await signed_in(browser, password="wrong", lang="en")
        me = await browser.get("/api/v1/me")

    assert (answer.status_code, me.status_code) == (401, 401)
    assert "User name or password is wrong." in answer.text


async def test_change_under_a_session_must_come_from_the_page(bench: ReviewBench) -> None:
    """A form or script of another page carries neither our header nor our origin."""
    path = f"/api/v1/reports/{bench.report_id}/claim"
    async with a_browser(bench) as browser:
        await signed_in(browser)
        bare = await browser.post(path)
        foreign = await browser.post(path, headers=OWN | {"Origin": "http://127.0.0.1:3000"})
        cross = await browser.post(path, headers=OWN | {"Sec-Fetch-Site": "cross-site"})
        own = await browser.post(path, headers=OWN | {"Origin": HERE, "Sec-Fetch-Site": "same-origin"})

    assert [answer.status_code for answer in (bare, foreign, cross, own)] == [403, 403, 403, 200]
    assert bare.json()["type"] == "urn:overread:problem:cross-site"


async def test_session_ends_unused_and_at_last_in_any_case(bench: ReviewBench) -> None:
    """Idle limit and absolute limit."""
    async with a_browser(bench) as browser:
        await signed_in(browser)
        bench.clock.pass_by(seconds=bench.settings.session_idle_seconds - 60)
        used = await browser.get("/api/v1/me")
        bench.clock.pass_by(seconds=bench.settings.session_idle_seconds + 1)
        idle = await browser.get("/api/v1/me")

        await signed_in(browser)
        for _ in range(bench.settings.session_seconds // 1200):
            bench.clock.pass_by(seconds=1200)
            last = await browser.get("/api/v1/me")

    assert (used.status_code, idle.status_code, last.status_code) == (200, 401, 401)


async def test_signing_out_ends_the_session_for_every_copy_of_the_cookie(bench: ReviewBench) -> None:
    """The session is the server's: a stolen cookie is worth nothing after it."""
    async with a_browser(bench) as browser:
        await signed_in(browser)
        stolen = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
        before = await browser.get("/api/v1/me", headers=stolen)
        answer = await browser.post("/auth/sign-out", headers=OWN)
        after = await browser.get("/api/v1/me", headers=stolen)

    assert (before.status_code, answer.json(), after.status_code) == (200, {"go_to": "/"}, 401)


async def test_old_sign_in_is_renewed_and_then_signs(bench: ReviewBench) -> None:
    """Signing asks for a fresh sign-in; the session that follows is another one."""
    async with a_browser(bench) as browser:
        await signed_in(browser)
        first = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
        digest = (await browser.post(f"/api/v1/reports/{bench.report_id}/claim", headers=OWN)).json()["digest"]
        bench.clock.pass_by(seconds=bench.settings.signing_session_seconds + 1)
        body = {"digest": digest, "verdict": "accepted"}
        old = await browser.post(f"/api/v1/reports/{bench.report_id}/sign", json=body, headers=OWN)
        await signed_in(browser, fresh="1")
        fresh = await browser.post(f"/api/v1/reports/{bench.report_id}/sign", json=body, headers=OWN)
        browser.cookies.clear()
        gone = await browser.get("/api/v1/me", headers=first)

    assert (old.status_code, old.json()["type"]) == (401, "urn:overread:problem:session-too-old")
    assert (fresh.status_code, fresh.json()["state"]) == (200, "signed")
    assert gone.status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "http://evil.example/auth/callback"},
        {"redirect_uri": f"{HERE}/elsewhere"},
        {"client_id": "another"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"response_type": "token"},
    ],
)
async def test_issuer_gives_codes_to_our_page_alone(bench: ReviewBench, changed: dict[str, str]) -> None:
    """A code goes nowhere but to our callback, and never without a challenge."""
    async with a_browser(bench) as browser:
        begun = await browser.get("/auth/sign-in")
        asked = {n: v[0] for n, v in parse_qs(urlsplit(begun.headers["location"]).query).items()} | changed
        page = await browser.get("/issuer/authorize", params=asked)
        answer = await browser.post("/issuer/authorize", data=asked | {"username": READER, "password": PASSWORD})

    assert (page.status_code, answer.status_code) == (400, 400)


async def test_code_works_once_for_the_browser_that_asked(bench: ReviewBench) -> None:
    """A stolen code lacks the verifier; a stolen address lacks the cookie; a used one is used."""
    async with a_browser(bench) as browser, a_browser(bench) as thief:
        begun = await browser.get("/auth/sign-in")
        asked = {n: v[0] for n, v in parse_qs(urlsplit(begun.headers["location"]).query).items()}
        answer = await browser.post("/issuer/authorize", data=asked | {"username": READER, "password": PASSWORD})
        place = answer.headers["location"]
        stolen = await thief.get(place)
        form = {"grant_type": "authorization_code", "code": parse_qs(urlsplit(place).query)["code"][0]}
        told = {"client_id": "overread-page", "redirect_uri": f"{HERE}/auth/callback", "code_verifier": "x" * 43}
        guessed = await thief.post("/issuer/token", data=form | told)
        used = await browser.get(place)

    assert stolen.headers["location"] == "/?sign_in=expired"
    assert (guessed.status_code, guessed.json()["error"]) == (400, "invalid_grant")
    assert used.headers["location"] == "/?sign_in=refused"


async def test_demo_profile_offers_its_users(stack: Any, tmp_path: Path) -> None:
    """No password is asked there, and everything says so."""
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path, demo_profile=True) as bench:
        file = tmp_path / "users.json"
        file.write_text(file.read_text().replace('"demo": false', '"demo": true'))
        async with a_browser(bench) as browser:
            told = (await browser.get("/auth/configuration")).json()
            begun = await browser.get("/auth/sign-in")
            page = await browser.get(begun.headers["location"])
            await signed_in(browser, password="")
            me = (await browser.get("/api/v1/me")).json()

    assert (told["is_demo"], me["is_demo"]) == (True, True)
    assert f'<button name="username" value="{READER}">' in page.text


async def test_sign_in_and_sign_out_are_recorded(bench: ReviewBench) -> None:
    """Who came and went."""
    async with a_browser(bench) as browser:
        await signed_in(browser)
        await browser.post("/auth/sign-out", headers=OWN)

    recorded = [event.data for event in await bench.published(AUDIT_RECORDED)]
    acts = [(one.actor, one.action) for one in recorded if one.object_type == "session"]
    assert acts == [(READER, "sign-in"), (READER, "session-open"), (READER, "sign-out")]
