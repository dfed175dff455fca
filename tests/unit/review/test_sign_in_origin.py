"""Wrong passwords lock a user out for a while: no page of another origin may send them."""

from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from overread.review import issuer_api
from tests.fakes.review import PASSWORD, READER, MovedClock
from tests.fakes.units_of_work import FakeUnitsOfWork
from tests.unit.review.test_embedded_issuer import an_issuer

HERE = "http://127.0.0.1:8080"


async def signed_in(folder: Path, password: str = PASSWORD, **headers: str) -> int:
    """Return the status that the sign-in answers to a request with these headers."""
    app = FastAPI()
    app.include_router(issuer_api.router)
    app.state.issuer = an_issuer(folder, MovedClock())
    app.state.desk = SimpleNamespace(service=FakeUnitsOfWork())
    form = {"grant_type": "password", "username": READER, "password": password}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HERE) as client:
        return (await client.post("/issuer/token", data=form, headers=named)).status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://elsewhere.test"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
async def test_page_of_another_origin_signs_nobody_in(tmp_path: Path, headers: dict[str, str]) -> None:
    """Not even with the right password: what the page may not send can lock nobody out."""
    assert await signed_in(tmp_path, **headers) == httpx.codes.FORBIDDEN


@pytest.mark.parametrize("headers", [{}, {"origin": HERE}, {"origin": HERE, "sec_fetch_site": "same-origin"}])
async def test_own_page_and_commands_sign_in(tmp_path: Path, headers: dict[str, str]) -> None:
    """A command sends neither header; our own page sends both."""
    assert await signed_in(tmp_path, **headers) == httpx.codes.OK
