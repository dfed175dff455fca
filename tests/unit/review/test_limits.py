"""What a body may be long depends on what it is for."""

import httpx
import pytest
from starlette.responses import Response

from overread.review.limits import Limits

A_MESSAGE = 8 * 1024 * 1024
"""What the listener takes at most."""


async def status_of(path: str, length: int) -> int:
    """Return what a body of `length` bytes to `path` is answered."""
    transport = httpx.ASGITransport(Limits(Response(status_code=204)))
    async with httpx.AsyncClient(transport=transport, base_url="http://front") as client:
        return (await client.post(path, content=bytes(length))).status_code


@pytest.mark.parametrize(
    ("path", "longest"),
    [
        ("/messages/1/verdict", A_MESSAGE + 100_000),
        ("/messages/1/fix", A_MESSAGE + 100_000),
        ("/mapping/import", 4 * 1024 * 1024),
        ("/api/v1/orders", 2 * 1024 * 1024),
        ("/fhir", 2 * 1024 * 1024),
        ("/desk/decisions", 128 * 1024),
        ("/messages", 128 * 1024),
        ("/api/v1/reports/1/sign", 128 * 1024),
    ],
)
async def test_body_as_long_as_its_use_needs_is_taken_and_a_longer_one_is_not(path: str, longest: int) -> None:
    """REQ-MSG-08: a message of any length that was taken can be mended; elsewhere little is enough."""
    assert await status_of(path, longest) == 204
    assert await status_of(path, 2 * longest) == 413
