"""The FHIR sender against a server in the same process: its answers end a message, put it off, or say that it is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest

from overread.contracts.errors import Unavailable
from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery.fhir_sender import FhirChannel, answer_of
from overread.delivery.sending import NotTaken, Sender, Taken
from overread.delivery.store import OutboundRow
from tests.builders.delivery import HASTE, Rows, a_fhir_destination, an_outbound_row

Answer = tuple[int, bytes] | None


def an_outcome(code: str, diagnostics: str = "") -> bytes:
    """Return an OperationOutcome."""
    issue = {"severity": "error", "code": code, "diagnostics": diagnostics}
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue]})


def a_bundle_row(number: int = 1) -> OutboundRow:
    """Return a stored bundle."""
    return an_outbound_row(number, form="fhir", message=b'{"resourceType":"Bundle","id":"%d"}' % number)


class Server:
    """A FHIR server that answers as it is told; None ends the connection instead."""

    def __init__(self, answer: Callable[[bytes, int], Answer]) -> None:
        self._answer = answer
        self.got: list[bytes] = []
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
                self.heads.append(head)
                self.got.append(await reader.readexactly(length))
                answer = self._answer(self.got[-1], len(self.got))
                if answer is None:
                    break
                status, body = answer
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        writer.close()


@contextlib.asynccontextmanager
async def a_listener(server: Server) -> AsyncIterator[str]:
    """Listen on loopback; yield the base URL."""
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/fhir"
    finally:
        listening.close()


async def send_all(rows: Rows, url: str, **destination: object) -> None:
    """Run a sender until every row has ended."""
    channel = FhirChannel(a_fhir_destination(url=url, **destination), HASTE)
    running = asyncio.create_task(Sender(channel, rows, HASTE, jitter=lambda: 1.0).run())
    try:
        await asyncio.wait_for(rows.done.wait(), timeout=5)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_bundle_is_posted_to_the_base_url_under_the_token_of_its_file(tmp_path: Path) -> None:
    """A transaction goes to the base; the token never stands in an address or a log (FHIR R4, 3.1.0.11)."""
    (tmp_path / "token").write_text("a-token\n")
    server, rows = Server(lambda *_: (200, b"{}")), Rows(a_bundle_row())

    async with a_listener(server) as url:
        await send_all(rows, url, bearer_token_file=tmp_path / "token")

    assert server.got == [a_bundle_row().message]
    assert server.heads[0].startswith("POST /fhir HTTP/1.1")
    assert "authorization: bearer a-token\r\n" in server.heads[0].lower()
    assert "content-type: application/fhir+json\r\n" in server.heads[0].lower()
    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]


@pytest.mark.parametrize("status", [400, 412, 422])
async def test_a_fault_of_its_content_ends_a_bundle(status: int) -> None:
    """The same bytes would be refused again; the code of the outcome is heard, its words stay in the row."""
    server = Server(lambda raw, _: (status, an_outcome("invalid", "TEST^PATIENT")) if b'"1"' in raw else (200, b"{}"))
    rows = Rows(a_bundle_row(1), a_bundle_row(2))

    async with a_listener(server) as url:
        await send_all(rows, url)

    assert rows.ended[0] == ("TEST-1", DeliveryOutcome.GIVEN_UP, f"HTTP {status} invalid")
    assert rows.receivers_words[0] == "TEST^PATIENT"
    assert rows.ended[1][1] is DeliveryOutcome.ACKNOWLEDGED


@pytest.mark.parametrize("answer", [(401, b""), (403, b""), (408, b""), (429, b""), (500, b""), (503, b""), (409, b"")])
async def test_a_server_that_is_not_ready_gets_the_same_bytes_again(answer: Answer) -> None:
    """No token, too many requests, out of order: none of it is a fault of the bundle."""
    server, rows = Server(lambda _, count: answer if count < 3 else (201, b"{}")), Rows(a_bundle_row())

    async with a_listener(server) as url:
        await send_all(rows, url)

    assert server.got == [a_bundle_row().message] * 3
    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]


async def test_a_lost_or_silent_connection_brings_the_same_bytes_again() -> None:
    """Nobody knows whether it was taken: its entries are conditional, so a repeat changes nothing."""
    server, rows = Server(lambda _, count: None if count < 3 else (200, b"{}")), Rows(a_bundle_row())

    async with a_listener(server) as url:
        await send_all(rows, url)

    assert server.got == [a_bundle_row().message] * 3
    assert all("no answer" in reason for reason in rows.postponed)


async def test_a_token_that_can_not_be_read_waits(tmp_path: Path) -> None:
    """Nothing leaves without the authorization that it should have."""
    server, rows = Server(lambda *_: (200, b"{}")), Rows(a_bundle_row())
    file = tmp_path / "token"

    async with a_listener(server) as url:
        sending = asyncio.create_task(send_all(rows, url, bearer_token_file=file))
        await asyncio.sleep(0.05)
        assert server.got == []
        file.write_text("late")
        await sending

    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]


@pytest.mark.parametrize("status", [200, 201])
def test_success_is_taken(status: int) -> None:
    """A transaction is all or nothing."""
    assert answer_of(status, b"") == Taken()


@pytest.mark.parametrize(("status", "body"), [(404, b"<html>"), (405, b""), (301, b""), (302, b"")])
def test_what_is_no_fhir_server_is_away(status: int, body: bytes) -> None:
    """A wrong address costs no message: an operator mends it, and all leaves."""
    with pytest.raises(Unavailable):
        answer_of(status, body)


def test_a_fhir_server_that_finds_nothing_refuses_the_content() -> None:
    """With an OperationOutcome 404 is its word about the bundle."""
    answer = answer_of(404, an_outcome("not-found"))

    assert isinstance(answer, NotTaken)
    assert answer.is_content_fault
    assert answer.why.reason == "HTTP 404 not-found"


@pytest.mark.parametrize("body", [b"[]", b'{"issue": 7}', b'{"issue": [{"code": "TEST^PATIENT"}]}', b"\xff"])
def test_what_is_no_outcome_says_nothing(body: bytes) -> None:
    """Codes that have not the form of one may be anybody's words."""
    answer = answer_of(400, body)

    assert isinstance(answer, NotTaken)
    assert answer.why.reason == "HTTP 400"
