"""The order intake without broker, disk and topic to read back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.events.order_statements import OrderForm, OrderReceived, OrderStatement
from overread.contracts.topics import ORDERS_RECEIVED
from overread.order_intake.intake import Answer, Intake
from overread.order_intake.settings import OrderIntakeSettings
from overread.order_intake.web import build
from overread.runtime.passes import PASS_HEADER, Visitor, issue
from overread.runtime.service import Service
from tests.builders.events import NOON, an_order_statement
from tests.fakes.hl7_intake import FakeBroker, FakeClock, FakeObjects

SECRET = "a secret of front and orders"
RAW = b'{"action":"new"}'


class OrderBroker(FakeBroker):
    """Takes records of orders."""

    @property
    def events(self) -> list[Event[Any]]:
        return [codec.decode(record.value, ORDERS_RECEIVED.bodies) for record in self.records]

    async def told(self, records: int) -> None:
        """Wait until so many records have come."""
        while len(self.records) < records:  # noqa: ASYNC110 - a turn of the loop, no time passes
            await asyncio.sleep(0)


def an_order_intake(
    broker: FakeBroker,
    *,
    objects: FakeObjects | None = None,
    clock: FakeClock | None = None,
    taken_before: Sequence[OrderReceived] = (),
    **told: Any,
) -> Intake:
    """Return an intake; `taken_before` is what the topic's tail holds, newest first."""

    async def recall(intake: Intake, link_id: str) -> None:
        for received in taken_before:
            if received.link_id == link_id:
                intake.recall(received)

    return Intake(
        OrderIntakeSettings.model_validate(told),
        broker.enqueue,
        objects or FakeObjects(),
        clock or FakeClock(NOON),
        recall,
    )


async def kept(intake: Intake, statement: OrderStatement | None = None, raw: bytes = RAW, **said: Any) -> Answer:
    """Let the intake keep a statement as the link `his` posts it."""
    told = {"form": OrderForm.JSON, "media_type": "application/json", "link_id": "his", "message_id": "TEST-1"} | said
    return await intake.keep(statement or an_order_statement(), raw, **told)


@asynccontextmanager
async def an_orders_client(
    intake: Intake, *, roles: frozenset[str] = frozenset({"order_placer"}), subject: str = "his"
) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the service as the front passes on what it may; without roles it has no pass."""
    settings = OrderIntakeSettings(fhir_identifier_systems={"https://his.test/mrn": "HIS"})
    service = Service("order_intake", settings, clock=lambda: NOON)
    app = build(service, settings, SECRET.encode(), intake)
    visitor = Visitor(subject=subject, site_id="site", roles=roles)
    shown = issue(visitor, audience="order_intake", secret=SECRET.encode(), now=NOON)
    headers = {PASS_HEADER: shown} if roles else {}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://service", headers=headers
    ) as client:
        yield client


def an_order_as_json(**changed: Any) -> dict[str, Any]:
    """Return an order as a HIS posts it; None is sent as null, the word `ABSENT` leaves the field out."""
    said: dict[str, Any] = {
        "message_id": "HIS-1",
        "action": "new",
        "stated_at": "2026-11-22T19:00:00+07:00",
        "placer": {"number": "TEST-PLACER-1", "namespace": "HIS"},
        "accession_number": "TEST-ACC-1",
        "service": {"identifier": "CTCHEST", "text": "CT ngực", "coding_system": "L"},
        "modality": "CT",
        "priority": "stat",
        "patient": {
            "identifiers": [{"id_number": "TEST-0001", "assigning_authority": "HIS", "identifier_type_code": "PI"}],
            "family_name": "THỬ NGHIỆM",
            "given_name": "NGUYỄN VĂN",
            "birth_date": "1970-01-01",
            "sex": "M",
        },
    }
    return {name: value for name, value in (said | changed).items() if value != "ABSENT"}
