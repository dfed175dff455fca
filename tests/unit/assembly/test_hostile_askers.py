"""What no honest page sends to assembly is answered in words, before the database is asked; nothing is a fault of ours."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import asyncpg
import httpx
import pytest

from overread.assembly.messages import Messages
from overread.assembly.messages_api import VerdictAsked
from overread.assembly.reconciling import Desk
from overread.assembly.settings import AssemblySettings
from overread.assembly.web import build
from overread.contracts.errors import Malformed
from overread.runtime.passes import PASS_HEADER, Visitor, issue
from overread.runtime.plain_words import MOMENT
from overread.runtime.service import Service
from tests.builders.events import NOON

SECRET = b"a secret of front and assembly"
AN_ID = str(UUID(int=1))
A_PAIR = {"kind": "attach", "case_id": AN_ID, "order_id": AN_ID, "version": "1"}
BOTH = "lines.0: This must be a text, in quotes. reason: This is shorter than 3 characters."
A_DISMISSAL = {"kind": "order", "subject": AN_ID, "entry_reason": "", "reason": "known"}


@dataclass
class NoDatabase:
    """A service whose database refuses whatever reaches it, as PostgreSQL refuses U+0000."""

    settings: AssemblySettings = field(default_factory=AssemblySettings)
    asked: int = 0

    def clock(self) -> datetime:
        return NOON

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self.asked += 1
        raise asyncpg.CharacterNotInRepertoireError('invalid byte sequence for encoding "UTF8": 0x00')
        yield


async def answer(service: NoDatabase, path: str, body: object = None) -> httpx.Response:
    """Return what assembly answers somebody with every role."""
    roles = frozenset({"reconciler", "integrator", "ops"})
    visitor = Visitor(subject="test", site_id=service.settings.site_id, roles=roles)
    token = issue(visitor, audience="assembly", secret=SECRET, now=NOON)
    objects: Any = SimpleNamespace(put=None)
    kept = Messages(cast("Service", service), service.settings, objects, cast("Any", None))
    app = build(cast("Service", service), SECRET, messages=kept)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://service", headers={PASS_HEADER: token}
    ) as client:
        if body is None:
            return await client.get(path)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await client.post(path, content=content, headers={"content-type": "application/json"})


def a_cursor(*parts: str) -> str:
    """Return a place on the desk as a stranger would make it."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/desk/decisions", A_PAIR | {"reason": "a\x00b"}),
        ("/desk/decisions", A_PAIR | {"version": "a\x00b"}),
        ("/desk/dismissals", A_DISMISSAL | {"kind": "o\x00"}),
        ("/desk/dismissals", A_DISMISSAL | {"subject": "o\x00"}),
        ("/desk/dismissals", A_DISMISSAL | {"entry_reason": "o\x00"}),
        ("/desk/dismissals", A_DISMISSAL | {"reason": "o\x1b[2J"}),
        ("/desk/undo", {"decision_id": AN_ID, "reason": "o\x00"}),
        ("/desk/decisions?before=99999999999999999999999", None),
        ("/messages/search", {"control_id": "a\x00b"}),
        ("/messages/search", {"link_id": "a\x00b"}),
        ("/messages/search", {"since": "0001-01-01T00:00:00+14:00"}),
        ("/messages/search", {"until": "9999-12-31T23:59:59-14:00"}),
        ("/messages/search", {"before": f"0001-01-01T00:00:00+14:00 {AN_ID}"}),
        (f"/messages/{AN_ID}/fix", {"lines": ["MSH"], "reason": "a\x00bc"}),
    ],
)
async def test_value_that_no_database_keeps_is_refused_before_it_is_asked(path: str, body: object) -> None:
    """REQ-EXT-13: control characters, numbers beyond 64 bits, and moments outside the years that there are."""
    service = NoDatabase()

    answered = await answer(service, path, body)

    assert (answered.status_code, service.asked) == (422, 0)


@pytest.mark.parametrize(
    "cursor", [a_cursor("2026-01-01T00:00:00+00:00", "x\x00"), a_cursor("0001-01-01T00:00+14:00", "x")]
)
async def test_place_on_the_desk_that_a_stranger_made_is_refused(cursor: str) -> None:
    """REQ-EXT-13: what is inside a cursor is judged like everything else that comes."""
    desk = Desk(cast("Any", None), UTC, "test")

    with pytest.raises(Malformed):
        await desk.page("doubt", after=cursor, limit=1)


async def test_value_that_only_the_database_refuses_is_the_askers_fault() -> None:
    """REQ-EXT-13: where our own check is missing, the answer is still no 500, and holds no value."""
    answered = await answer(NoDatabase(), "/desk/counts")

    assert (answered.status_code, answered.headers["content-type"]) == (422, "application/problem+json")
    assert "0x00" not in answered.text


def test_message_that_is_one_long_document_may_be_mended() -> None:
    """REQ-MSG-08: OBX-5 may hold nearly all of the longest message that the listener takes."""
    asked = VerdictAsked(lines=["MSH|^~\\&", "OBX|1|ED|||" + "A" * 7_000_000])

    assert len(asked.lines) == 2


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/messages/search", {"limit": 9999}, "limit: This must be at most 200."),
        ("/messages/search", {"outcome": "lost"}, "outcome: This is none of 'used' or 'set_aside'."),
        ("/messages/search", {"since": "today"}, f"since: {MOMENT}"),
        ("/messages/search", {"control_id": "a\x00"}, "control_id: This holds a control character; take it out."),
        ("/messages/search", [], "body: This must be an object."),
        (f"/messages/{AN_ID}/fix", {"lines": [1], "reason": "so"}, BOTH),
        ("/desk/decisions", A_PAIR | {"NGUYEN" * 40: 1}, f"{'NGUYEN' * 10}NGUY: There is no field of this name here."),
        ("/desk/decisions?limit=x", None, "limit: This must be a whole number."),
        ("/desk/orders/1", None, "order_id: This is no UUID."),
        ("/mapping/file?version=99999999999", None, "version: This must be at most 2147483647."),
    ],
)
async def test_request_without_the_form_it_must_have_is_told_what_to_mend(path: str, body: object, detail: str) -> None:
    """REQ-EXT-04: a problem document in words of ours, with the next step, and never the value."""
    answered = await answer(NoDatabase(), path, body)

    problem = answered.json()
    assert (answered.status_code, answered.headers["content-type"]) == (422, "application/problem+json")
    assert (problem["type"], problem["detail"]) == ("urn:overread:problem:invalid-request", detail)
    assert problem["next_step"]


async def test_half_a_character_in_a_fields_name_is_refused() -> None:
    """REQ-EXT-13: a name that no answer could repeat is no fault of ours."""
    answered = await answer(NoDatabase(), "/desk/decisions", b'{"\\ud800": 1}')

    assert answered.status_code == 422
