"""Orders through the HTTP front: a machine gets a token, places orders, and may do nothing else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from overread.order_intake.settings import OrderIntakeSettings
from overread.order_intake.web import build
from overread.runtime.service import Service
from tests.fakes.behind import serving
from tests.fakes.order_intake import SECRET, OrderBroker, an_order_as_json, an_order_intake
from tests.fakes.review import PASSWORD, PLACER, READER, ReviewBench, SilentPublisher, a_review_bench

pytestmark = pytest.mark.stack


@dataclass
class Placed:
    """A review with order_intake behind it, whose broker is a fake."""

    bench: ReviewBench
    broker: OrderBroker

    async def token(self, **form: str) -> httpx.Response:
        """Ask the issuer for a token."""
        async with self.bench.client(None) as client:
            return await client.post("/issuer/token", data={"grant_type": "client_credentials", **form})

    async def post(self, body: Any, *, as_user: str = PLACER) -> httpx.Response:
        """Place orders."""
        async with self.bench.client(as_user) as client:
            return await client.post("/api/v1/orders", json=body)


@pytest.fixture
async def placed(stack: Any, tmp_path: Path) -> AsyncIterator[Placed]:
    """Return an installation of its own site."""
    socket, broker = tmp_path / "orders.sock", OrderBroker()
    async with a_review_bench(
        stack.endpoints.dsn("review"), tmp_path, order_intake_socket=socket, front_secret=SecretStr(SECRET)
    ) as bench:
        settings = OrderIntakeSettings(site_id=bench.site_id)
        service = Service("order_intake", settings, publisher=SilentPublisher(), clock=bench.clock)
        app = build(service, settings, SECRET.encode(), an_order_intake(broker, site_id=bench.site_id))
        async with serving(app, socket):
            yield Placed(bench, broker)


async def test_a_machine_gets_a_token_by_its_secret_and_places_an_order(placed: Placed) -> None:
    """REQ-NON-06: client credentials (RFC 6749, 4.4), by header or by form; the order's link is the client."""
    async with placed.bench.client(None) as client:
        granted = await client.post(
            "/issuer/token", data={"grant_type": "client_credentials"}, auth=httpx.BasicAuth(PLACER, PASSWORD)
        )
        token = granted.json()["access_token"]
        answer = await client.post(
            "/api/v1/orders", json=an_order_as_json(), headers={"Authorization": f"Bearer {token}"}
        )

    assert (await placed.token(client_id=PLACER, client_secret=PASSWORD)).status_code == 200
    assert answer.status_code == 202, answer.text
    assert [event.data.link_id for event in placed.broker.events] == [PLACER]


@pytest.mark.parametrize(
    "form",
    [
        {"client_id": PLACER, "client_secret": "wrong"},
        {"client_id": READER, "client_secret": PASSWORD},
        {"grant_type": "password", "username": PLACER, "password": PASSWORD},
    ],
)
async def test_a_machine_is_no_person_and_a_person_no_machine(placed: Placed, form: dict[str, str]) -> None:
    """REQ-NON-06: each signs in its own way alone."""
    answer = await placed.token(**form)

    assert answer.status_code in (400, 401)
    assert "access_token" not in answer.json()


async def test_only_who_has_the_role_places_orders_and_that_role_sees_nothing(placed: Placed) -> None:
    """REQ-NON-06: a reader places none, a machine reads none."""
    by_reader = await placed.post(an_order_as_json(), as_user=READER)
    async with placed.bench.client(PLACER) as client:
        seen = [(await client.get(path)).status_code for path in ("/api/v1/reports", "/api/v1/worklist", "/ops/flow")]

    assert by_reader.status_code == 403
    assert seen == [403, 403, 403]
    assert placed.broker.records == []


async def test_an_order_is_not_read_where_it_is_placed(placed: Placed) -> None:
    """REQ-NON-03: the address is there, and says by which method."""
    async with placed.bench.client(PLACER) as client:
        answer = await client.get("/api/v1/orders")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_many_orders_fit_in_one_body_and_too_many_bytes_do_not(placed: Placed) -> None:
    """REQ-NON-05: 2 MiB here, 128 KiB elsewhere."""
    orders = [an_order_as_json(message_id=f"HIS-{n}", clinical_information="x" * 2_000) for n in range(500)]

    kept = await placed.post(orders)
    too_long = await placed.post([*orders, an_order_as_json(clinical_information="x" * 2**20)])

    assert (kept.status_code, too_long.status_code) == (202, 413)
    assert len(placed.broker.records) == 500
