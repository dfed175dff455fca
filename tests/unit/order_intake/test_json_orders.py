"""POST /api/v1/orders without front and broker: each answer, each refusal, and what is kept."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from overread.contracts.errors import Unavailable
from overread.contracts.events.order_statements import Clearable
from overread.order_intake import json_orders
from overread.order_intake.checks import NotAnOrder
from tests.fakes.order_intake import OrderBroker, an_order_as_json, an_order_intake, an_orders_client

PATH = "/api/v1/orders"
AS_JSON = {"content-type": "application/json"}


async def posted(broker: OrderBroker, *bodies: Any, headers: dict[str, str] | None = None, **told: Any) -> list[Any]:
    """Return the answers to bodies that are posted one after another to one intake."""
    intake = an_order_intake(broker, **told)
    async with an_orders_client(intake) as client:
        return [
            await client.post(
                PATH,
                content=body if isinstance(body, bytes) else json.dumps(body).encode(),
                headers=AS_JSON | (headers or {}),
            )
            for body in bodies
        ]


def pointers(answer: httpx.Response) -> list[str]:
    """Return where the faults are."""
    return [fault["pointer"] for fault in answer.json()["errors"]]


async def test_a_posted_order_is_kept_and_answered_202_and_its_repeat_200_with_the_same_words() -> None:
    """REQ-NON-05: kept, and on its way; a repeat gets the first answer again."""
    broker = OrderBroker()

    first, again = await posted(broker, an_order_as_json(), an_order_as_json())

    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() | {"status": 200} == again.json()
    assert first.json()["message_id"] == "HIS-1"
    assert [event.data.link_id for event in broker.events] == ["his"]


async def test_the_idempotency_key_stands_in_for_a_message_id() -> None:
    """REQ-NON-05: who has no id of their own sends a key, with or without the quotes of a structured field."""
    broker = OrderBroker()
    intake = an_order_intake(broker)
    body = json.dumps(an_order_as_json(message_id="ABSENT")).encode()
    async with an_orders_client(intake) as client:
        answers = [
            await client.post(PATH, content=body, headers=AS_JSON | {"idempotency-key": key}) for key in ('"k1"', "k1")
        ]

    assert [answer.status_code for answer in answers] == [202, 200]


async def test_an_order_without_any_id_is_refused() -> None:
    """REQ-NON-05: no repeat could be told, so nothing is guessed."""
    (answer,) = await posted(OrderBroker(), an_order_as_json(message_id="ABSENT"))

    assert (answer.status_code, pointers(answer)) == (422, ["#/message_id"])


async def test_the_same_id_with_another_body_is_409_and_written_otherwise_it_is_a_repeat() -> None:
    """REQ-NON-05: meaning counts, not blanks or the order of names."""
    said = an_order_as_json()
    otherwise = json.dumps(dict(reversed(said.items())), indent=4).encode()

    answers = await posted(OrderBroker(), said, otherwise, an_order_as_json(modality="MR"))

    assert [answer.status_code for answer in answers] == [202, 200, 409]


async def test_null_asks_to_delete_and_absent_says_nothing() -> None:
    """As two double quotes in HL7 v2."""
    broker = OrderBroker()

    await posted(broker, an_order_as_json(accession_number=None, modality=None))

    statement = broker.events[0].data.statement
    assert statement.cleared == (Clearable.ACCESSION_NUMBER,)
    assert (statement.accession_number, statement.modality) == (None, None)


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"action": "create"}, "#/action"),
        ({"action": "ABSENT"}, "#/action"),
        ({"placer": "ABSENT"}, "#/placer"),
        ({"placer": {"number": ""}}, "#/placer/number"),
        ({"stated_at": "2026-11-22T19:00:00"}, "#/stated_at"),
        ({"patient": {"identifiers": []}}, "#/patient/identifiers"),
        ({"patient": {"identifiers": [{"id_number": " "}]}}, "#/patient/identifiers/0/id_number"),
        ({"patient": {"identifiers": [{"id_number": "1", "asigner": "X"}]}}, "#/patient/identifiers/0/asigner"),
        ({"acession_number": "A1"}, "#/acession_number"),
        ({"study_instance_uid": "no uid"}, "#/study_instance_uid"),
        ({"cleared": ["priority"]}, "#/cleared"),
        ({"service": "ABSENT"}, "#/service"),
        ({"message_id": "a\0b"}, "#/message_id"),
        ({"clinical_information": "Ho\0"}, "#/clinical_information"),
        ({"placer": {"number": "A1", "namespace": "H\x1bS"}}, "#/placer/namespace"),
        ({"patient": {"identifiers": [{"id_number": "1\x7f"}]}}, "#/patient/identifiers/0/id_number"),
    ],
)
async def test_each_fault_is_named_by_its_place_in_plain_words(changed: dict[str, Any], pointer: str) -> None:
    """REQ-NON-03: problem+json (RFC 9457), a JSON pointer for each fault, never the value."""
    broker = OrderBroker()

    (answer,) = await posted(broker, an_order_as_json(**changed))

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointers(answer) == [pointer]
    assert "TEST-0001" not in answer.text
    assert broker.records == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1,]",
        b'{"action": NaN}',
        b'{"action":"new","action":"cancel"}',
        b"\xff{}",
        b'"new"',
        b"[" * 99_999,
        b'{"action": %s}' % (b"9" * 5_000),
        b'{"\\ud800": 1}',
        b'{"a": ["\\uDC00"]}',
    ],
)
async def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    """REQ-NON-03: also a name that stands twice, which two readers would read in two ways."""
    broker = OrderBroker()

    (answer,) = await posted(broker, body)

    assert answer.status_code == 422
    assert broker.records == []


@pytest.mark.parametrize(
    "changed",
    [
        {f"a{number}": 0 for number in range(20_000)},
        {"patient": {f"a{number}": 0 for number in range(20_000)}},
        {"patient": {"identifiers": [{}] * 20_000}},
        {"patient": {"identifiers": [{"a": 0}] * 100}},
    ],
)
async def test_a_body_of_faults_is_not_answered_with_a_longer_one(changed: dict[str, Any]) -> None:
    """REQ-NON-12: at most 50 are told, and which fields there are once."""
    (answer,) = await posted(OrderBroker(), an_order_as_json(**changed))

    assert answer.status_code == 422
    assert 1 <= len(answer.json()["errors"]) <= 50
    assert len(answer.content) < 10_000


def test_a_name_that_stands_twice_among_many_is_found_in_one_look_at_each() -> None:
    """REQ-NON-12: a body of 2 MiB that holds up all others for minutes would be all that it takes to stop the intake."""
    looked_at: list[int] = []

    class Name(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            looked_at.append(1)
            return str.__eq__(self, str(other))

        __hash__ = str.__hash__

    pairs = [(Name(f"a{number}"), 0) for number in range(1_000)] + [(Name("a7"), 0)]

    with pytest.raises(NotAnOrder, match="twice"):
        json_orders.object_of(pairs)

    assert len(looked_at) < 2 * len(pairs)


async def test_a_text_that_is_not_unicode_is_refused() -> None:
    """A lone surrogate has no UTF-8 form."""
    (answer,) = await posted(OrderBroker(), b'{"message_id":"1","clinical_information":"\\ud800"}')

    assert answer.status_code == 422


async def test_texts_may_have_lines_and_tabs() -> None:
    """REQ-NON-03: what lays a text out is no fault of it."""
    broker = OrderBroker()

    (answer,) = await posted(broker, an_order_as_json(clinical_information="Ho\r\n\tkéo dài\fmột tuần"))

    assert answer.status_code == 202


async def test_a_key_with_a_control_character_is_refused() -> None:
    """REQ-NON-03: an id from a header is judged as one from the body."""
    headers = {"idempotency-key": "k\x01k"}

    (answer,) = await posted(OrderBroker(), an_order_as_json(message_id="ABSENT"), headers=headers)

    assert (answer.status_code, pointers(answer)) == (422, ["#/message_id"])


async def test_another_media_type_is_refused() -> None:
    """REQ-NON-05: 415 says what is taken."""
    (answer,) = await posted(OrderBroker(), an_order_as_json(), headers={"content-type": "text/plain"})

    assert answer.status_code == 415


async def test_each_order_of_an_array_has_its_own_answer_and_keeps_its_place() -> None:
    """REQ-NON-05: 207 where some were refused; the others are kept, in their order."""
    broker = OrderBroker()
    orders = [an_order_as_json(message_id=f"HIS-{number}") for number in range(3)]
    orders[1]["action"] = "create"

    (answer,) = await posted(broker, orders)

    assert answer.status_code == 207
    assert [one["status"] for one in answer.json()["orders"]] == [202, 422, 202]
    assert [event.data.message_id for event in broker.events] == ["HIS-0", "HIS-2"]


async def test_an_array_that_is_sent_again_is_answered_200_as_a_whole() -> None:
    """REQ-NON-05: an Idempotency-Key names each of its orders by its place."""
    broker = OrderBroker()
    orders = [an_order_as_json(message_id="ABSENT", stated_at=f"2026-11-22T19:0{n}:00+07:00") for n in range(2)]

    first, again = await posted(broker, orders, orders, headers={"idempotency-key": "k"})

    assert (first.status_code, again.status_code) == (202, 200)
    assert [event.data.message_id for event in broker.events] == ["k/0", "k/1"]


async def test_an_array_of_too_many_is_413_and_nothing_of_it_is_kept() -> None:
    """REQ-NON-05: a bound that is said."""
    broker = OrderBroker()

    (answer,) = await posted(broker, [{}] * 501)

    assert answer.status_code == 413
    assert broker.records == []


async def test_what_the_broker_cannot_keep_is_503_and_may_be_sent_again() -> None:
    """REQ-NON-01: no 2xx without it being kept."""
    broker = OrderBroker()
    broker.is_away = True
    intake = an_order_intake(broker)
    async with an_orders_client(intake) as client:
        refused = await client.post(PATH, json=an_order_as_json())
        broker.is_away = False
        kept = await client.post(PATH, json=an_order_as_json())

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert kept.status_code == 202


async def test_more_than_can_wait_is_429() -> None:
    """REQ-NON-05: the intake never buffers without bound."""
    broker = OrderBroker(holds=True)
    orders = [an_order_as_json(message_id=f"HIS-{number}") for number in range(3)]
    intake = an_order_intake(broker, order_most_waiting=2)
    async with an_orders_client(intake) as client:
        posting = asyncio.ensure_future(client.post(PATH, json=orders))
        await broker.told(2)
        broker.keep(0)
        broker.keep(1)
        answer = await posting

    assert [one["status"] for one in answer.json()["orders"]] == [202, 202, 429]


@pytest.mark.parametrize("roles", [frozenset(), frozenset({"radiologist"})])
async def test_nobody_else_places_orders(roles: frozenset[str]) -> None:
    """REQ-NON-06: a pass of the front with the role, or nothing."""
    broker = OrderBroker()
    async with an_orders_client(an_order_intake(broker), roles=roles) as client:
        answer = await client.post(PATH, json=an_order_as_json())

    assert answer.status_code == (403 if roles else 401)
    assert broker.records == []


async def test_a_broker_away_for_all_of_an_array_is_503() -> None:
    """So that a sender which looks at the status alone sends it again."""
    intake = an_order_intake(OrderBroker())
    intake.refuse_all(Unavailable("the disk is full"))
    async with an_orders_client(intake) as client:
        answer = await client.post(PATH, json=[an_order_as_json()])

    assert answer.status_code == 503
