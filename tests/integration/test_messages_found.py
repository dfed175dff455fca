"""Messages found again: by control ID, accession number and patient; shown by role; mended and kept as a new message."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from overread.assembly.message_taking import DEAD_LETTERS_STAY, Forgetting
from overread.assembly.messages import Messages
from overread.assembly.web import build
from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.identifiers import corrected_event_id
from overread.contracts.topics import AUDIT_RECORDED, CORRECTIONS_REQUESTED, HL7_RECEIVED, ORDERS_CHANGED
from overread.runtime.dead_letter import SourceRecord
from tests.builders.events import NOON
from tests.builders.hl7 import an_omi, an_orm
from tests.fakes.assembly import AssemblyBench, an_assembly_bench
from tests.fakes.behind import serving
from tests.fakes.review import INTEGRATOR, OPERATOR, READER, RECONCILER, ReviewBench, a_review_bench

pytestmark = pytest.mark.stack

SECRET = "a secret of front and assembly"
NAME = "BÙI^VĂN THỬ"
UNCUT = {"PID-3": ""}
"""What makes an order that nobody can read: a patient without a number."""


@dataclass
class Index:
    """A review with assembly behind it, and the records of the topic as the broker would keep them."""

    assembly: AssemblyBench
    review: ReviewBench
    records: dict[tuple[int, int], SourceRecord] = field(default_factory=dict)

    async def record_at(self, partition: int, offset: int) -> SourceRecord | None:
        return self.records.get((partition, offset))

    async def hears(self, *raw: bytes, **changed: Any) -> list[Event[Any]]:
        """Consume messages as one batch, and keep their records."""
        events: list[Event[Any]] = [self.assembly.order(one, **(said_of(one) | changed)) for one in raw]
        read = [self.assembly.record(HL7_RECEIVED, event) for event in events]
        for one in read:
            self.records[one.partition, one.offset] = SourceRecord(
                topic=one.topic, partition=one.partition, offset=one.offset, key=b"his", value=one.value or b""
            )
        await self.assembly.service.consumptions[HL7_RECEIVED.name].on_records(read)
        return events

    async def replays(self, event: Event[Any]) -> None:
        """Take a message once more that was set aside."""
        [source] = [one for one in self.records.values() if codec.decode(one.value, HL7_RECEIVED.bodies).id == event.id]
        again = self.assembly.service.consumptions[HL7_RECEIVED.name].take_again
        await again(replace(source, replay_attempt=1), broker_milliseconds=0)

    async def asked(self, path: str, body: object = None, *, user: str = INTEGRATOR) -> httpx.Response:
        """Ask as somebody."""
        async with self.review.client(user) as client:
            return await (client.get(path) if body is None else client.post(path, json=body))

    async def found(self, user: str = INTEGRATOR, **wanted: Any) -> list[str]:
        """Return the control IDs of the messages that are found."""
        answer = await self.asked("/messages/search", wanted, user=user)
        assert answer.status_code == 200, answer.text
        return [item["message_control_id"] for item in answer.json()["items"]]

    async def audited(self) -> list[tuple[str, str, str]]:
        """Return who did what to which message."""
        return [(e.data.actor, e.data.action, e.data.object_id) for e in await self.assembly.told(AUDIT_RECORDED)]


def said_of(raw: bytes) -> dict[str, Any]:
    """Return what the intake says of a message beside its bytes."""
    header = raw.split(b"\r")[0].split(b"|")
    code, _, event = header[8].decode().partition("^")
    names = {"sending_application": header[2].decode(), "sending_facility": header[3].decode()}
    told = {"message_control_id": header[9].decode(), "message_type": code, "trigger_event": event.partition("^")[0]}
    return {**names, **told}


@pytest.fixture
async def index(stack: Any, tmp_path: Path) -> AsyncIterator[Index]:
    """Return an installation of the services that messages need."""
    socket = tmp_path / "assembly.sock"
    told = {"message_index_secret": SecretStr("a secret of the index")}
    async with (
        a_review_bench(
            stack.endpoints.dsn("review"), tmp_path, assembly_socket=socket, front_secret=SecretStr(SECRET)
        ) as review,
        an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path, site_id=review.site_id, **told) as assembly,
    ):
        opened = Index(assembly, review)
        settings: Any = assembly.service.settings
        messages = Messages(assembly.service, settings, assembly.objects, opened.record_at)
        async with serving(build(assembly.service, SECRET.encode(), messages=messages), socket):
            yield opened


async def test_message_is_found_by_each_number_that_people_know(index: Index) -> None:
    """REQ-MSG-01: control ID, accession, placer number and patient, alone and together; the newest first."""
    await index.hears(an_omi(control_id="M1", placer="P1^HIS", accession="A1", patient_id="TEST-1^^^HIS^PI"))
    await index.hears(an_omi(control_id="M2", placer="P2^HIS", accession="A2", patient_id="TEST-2^^^HIS^PI"))

    assert await index.found(control_id="M1") == ["M1"]
    assert await index.found(accession_number=" A2 ") == ["M2"]
    assert await index.found(order_number="P1") == ["M1"]
    assert await index.found(patient_id="test-2") == ["M2"]
    assert await index.found(patient_id="TEST-2", control_id="M1") == []
    assert set(await index.found(link_id="his", outcome="used")) == {"M1", "M2"}
    assert await index.found(link_id="ris") == []
    assert set(await index.found()) == {"M1", "M2"}


async def test_index_holds_no_number_of_a_patient_in_clear(index: Index) -> None:
    """REQ-MSG-02: digests under a secret, which nobody without it can try numbers against."""
    await index.hears(an_omi(patient_id="TEST-777^^^HIS^PI", put={"PID-5": NAME}))

    rows = await index.assembly.service.pool.fetch(
        "SELECT m::text AS row FROM messages AS m WHERE site_id = $1", index.assembly.site_id
    )
    assert len(rows) == 1
    assert "patient " in rows[0]["row"]
    assert not [said for said in ("TEST-777", "BÙI") if said in rows[0]["row"]]


async def test_batch_is_noted_at_once_and_a_message_heard_twice_is_one(index: Index) -> None:
    """REQ-MSG-01: a repeat changes nothing."""
    raw = [an_orm(control_id=f"B{number}", placer=f"B{number}^HIS") for number in range(20)]
    events = await index.hears(*raw)
    again = [index.assembly.record(HL7_RECEIVED, event) for event in events]
    await index.assembly.service.consumptions[HL7_RECEIVED.name].on_records(again)

    first = (await index.asked("/messages/search", {"limit": 15})).json()
    second = (await index.asked("/messages/search", {"limit": 15, "before": first["next"]})).json()
    ids = [item["event_id"] for page in (first, second) for item in page["items"]]
    assert (len(ids), len(set(ids)), second["next"]) == (20, 20, None)


async def test_message_is_shown_without_the_patient_and_with_it_to_an_integrator_on_record(index: Index) -> None:
    """REQ-MSG-03: an operator never sees a patient here; an integrator's look is recorded, and nobody else's is let in."""
    [event] = await index.hears(an_omi(control_id="M1", charset="utf-8", put={"PID-5": NAME}))

    masked = await index.asked(f"/messages/{event.id}", user=OPERATOR)
    refused = await index.asked(f"/messages/{event.id}/open", {}, user=OPERATOR)
    shown = await index.asked(f"/messages/{event.id}/open", {})

    segments = {segment["name"]: segment for segment in masked.json()["segments"]}
    assert "BÙI" not in masked.text
    assert [f["is_hidden"] for f in segments["PID"]["fields"] if f["place"] == "PID-5"] == [True]
    assert [f["values"] for f in segments["MSH"]["fields"] if f["place"] == "MSH-10"] == [["M1"]]
    assert [use["kind"] for use in masked.json()["used_for"]] == ["order"]
    assert (refused.status_code, shown.status_code) == (403, 200)
    assert "BÙI" in shown.text
    assert await index.audited() == [(INTEGRATOR, "view", str(event.id))]
    for user in (READER, RECONCILER):
        assert (await index.asked(f"/messages/{event.id}", user=user)).status_code == 403


async def test_search_for_a_patient_is_an_integrators_and_is_recorded_without_the_number(index: Index) -> None:
    """REQ-MSG-03: who looks for a patient is known, the patient is not written down."""
    refused = await index.asked("/messages/search", {"patient_id": "TEST-9"}, user=OPERATOR)
    await index.found(patient_id="TEST-9")

    [recorded] = await index.assembly.told(AUDIT_RECORDED)
    assert refused.status_code == 403
    assert (recorded.data.action, recorded.data.actor) == ("search", INTEGRATOR)
    assert "TEST-9" not in recorded.model_dump_json()


async def test_message_that_was_set_aside_is_found_with_its_reason(index: Index) -> None:
    """REQ-MSG-01: what could not be used is looked for in the same place."""
    await index.hears(an_omi(control_id="BAD", put=UNCUT))

    [item] = (await index.asked("/messages/search", {"outcome": "set_aside"})).json()["items"]
    assert (item["message_control_id"], item["outcome"]) == ("BAD", "set_aside")
    assert "PID-3" in item["reason"]


async def test_message_whose_bytes_were_missing_is_found_by_all_its_numbers_once_it_was_replayed(index: Index) -> None:
    """REQ-MSG-01: what was set aside is found by its control ID alone, and used after the replay it is like any other."""
    raw, key = an_omi(control_id="LARGE", accession="ACC-L"), f"{index.assembly.site_id}/hl7/large"
    [event] = await index.hears(raw, raw_base64=None, object_key=key)
    before = [await index.found(control_id="LARGE", outcome="set_aside"), await index.found(accession_number="ACC-L")]
    await index.assembly.objects.put(key, [raw])

    await index.replays(event)

    assert before == [["LARGE"], []]
    assert await index.found(accession_number="ACC-L", outcome="used") == ["LARGE"]


async def test_mended_message_stands_for_the_one_set_aside_once(index: Index) -> None:
    """REQ-MSG-04: asked for in one transaction with the mark and the audit; twice it is the same, another is refused."""
    [event] = await index.hears(an_omi(control_id="BAD", put=UNCUT))
    opened = (await index.asked(f"/messages/{event.id}/open", {})).json()
    mended = [line.replace("PID|1||", "PID|1||TEST-5^^^HIS^PI") for line in opened["lines"]]
    other = [line.replace("PID|1||", "PID|1||TEST-6^^^HIS^PI") for line in opened["lines"]]
    path, why = f"/messages/{event.id}/fix", {"reason": "PID-3 was lost on the way"}

    unchanged = await index.asked(path, {"lines": opened["lines"], **why})
    not_an_integrator = await index.asked(path, {"lines": mended, **why}, user=OPERATOR)
    answers = [await index.asked(path, {"lines": lines, **why}) for lines in (mended, mended, other)]

    requests = await index.assembly.told(CORRECTIONS_REQUESTED)
    ids = [answer.json().get("event_id") for answer in answers]
    assert [unchanged.status_code, not_an_integrator.status_code] == [409, 403]
    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert (len(requests), ids[0]) == (1, ids[1])
    assert requests[0].data.corrects == event.id
    assert b"TEST-5" in base64.b64decode(requests[0].data.raw_base64)
    assert (INTEGRATOR, "fix", str(event.id)) in await index.audited()
    [row] = (await index.asked("/messages/search", {"control_id": "BAD"})).json()["items"]
    assert row["answered_by"] == ids[0]


async def test_mended_message_is_used_and_says_what_it_stands_for(index: Index) -> None:
    """REQ-MSG-04: its order appears, and the bytes that came first are as they were."""
    [event] = await index.hears(an_omi(control_id="BAD", placer="P9^HIS", put=UNCUT))

    await index.hears(an_omi(control_id="BAD", placer="P9^HIS"), corrects=event.id)

    rows = (await index.asked("/messages/search", {"control_id": "BAD"})).json()["items"]
    assert {(row["outcome"], row["corrects"]) for row in rows} == {("set_aside", None), ("used", str(event.id))}
    assert [order.placer_order_number for order in await index.assembly.orders()] == ["P9"]


async def test_replay_of_what_was_mended_changes_nothing(index: Index) -> None:
    """REQ-MSG-07: what came wrong would be said again after what is right; it is no more used than before."""
    event, mended = await a_mended_message(index)
    told = len(await index.assembly.told(ORDERS_CHANGED))

    await index.replays(event)

    rows = (await index.asked("/messages/search", {"control_id": "BAD"})).json()["items"]
    assert [order.accession_number for order in await index.assembly.orders()] == ["ACC-RIGHT"]
    assert len(await index.assembly.told(ORDERS_CHANGED)) == told
    assert {(row["event_id"], row["outcome"], row["answered_by"]) for row in rows} == {
        (str(event.id), "set_aside", str(mended.id)),
        (str(mended.id), "used", None),
    }


async def test_message_in_a_batch_with_one_that_was_mended_is_used(index: Index) -> None:
    """REQ-MSG-07: only what was mended stands aside."""
    event, _ = await a_mended_message(index)
    await index.assembly.service.pool.execute("DELETE FROM inbox WHERE event_id = $1", event.id)  # it is read again
    other = index.assembly.order(an_omi(control_id="M2", placer="P2^HIS", accession="ACC-OTHER"))

    await index.assembly.hears(HL7_RECEIVED, event, other)

    orders = await index.assembly.orders()
    assert {order.accession_number for order in orders} == {"ACC-RIGHT", "ACC-OTHER"}


async def test_message_that_was_replayed_is_not_mended_as_well(index: Index) -> None:
    """REQ-MSG-07: whichever of the two is first, it is one of them."""
    event = await a_message_without_its_bytes(index, accession="ACC-WRONG")
    opened = (await index.asked(f"/messages/{event.id}/open", {})).json()

    await index.replays(event)
    lines = [line.replace("ACC-WRONG", "ACC-RIGHT") for line in opened["lines"]]
    answer = await index.asked(f"/messages/{event.id}/fix", {"lines": lines, "reason": "wrong accession"})

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:overread:problem:not-set-aside")


async def test_mended_message_is_known_as_long_as_a_letter_of_it_can_lie(index: Index) -> None:
    """REQ-MSG-07: one that failed again on its last day has a letter for as many days more."""
    event, _ = await a_mended_message(index)

    kept = []
    for passed in (DEAD_LETTERS_STAY, 2 * DEAD_LETTERS_STAY):
        index.assembly.clock.now = NOON + passed + timedelta(days=1)
        await Forgetting(index.assembly.service).forget()
        rows = await index.assembly.service.pool.fetch("SELECT 1 FROM messages WHERE event_id = $1", event.id)
        kept.append(len(rows))

    assert kept == [1, 0]


async def a_message_without_its_bytes(index: Index, *, accession: str) -> Event[Any]:
    """Return a message that was set aside because its bytes were missing; they have come meanwhile."""
    key = f"{index.assembly.site_id}/hl7/large"
    raw = an_omi(control_id="BAD", placer="P9^HIS", accession=accession)
    [event] = await index.hears(raw, raw_base64=None, object_key=key)
    await index.assembly.objects.put(key, [raw])
    return event


async def a_mended_message(index: Index) -> tuple[Event[Any], Event[Any]]:
    """Return a message with a wrong number that was set aside, and the one that stands for it and was used."""
    event = await a_message_without_its_bytes(index, accession="ACC-WRONG")
    opened = (await index.asked(f"/messages/{event.id}/open", {})).json()
    lines = [line.replace("ACC-WRONG", "ACC-RIGHT") for line in opened["lines"]]
    await index.asked(f"/messages/{event.id}/fix", {"lines": lines, "reason": "wrong accession"})
    [request] = await index.assembly.told(CORRECTIONS_REQUESTED)
    raw = base64.b64decode(request.data.raw_base64)
    mended = index.assembly.order(raw, **said_of(raw), corrects=event.id)
    mended = mended.model_copy(update={"id": corrected_event_id(event.site_id, event.id, request.data.digest)})
    await index.assembly.hears(HL7_RECEIVED, mended)
    return event, mended


async def test_message_that_was_used_is_not_mended(index: Index) -> None:
    """REQ-MSG-04: its sender corrects it by a new message; ours would be a second word that nobody sent."""
    [event] = await index.hears(an_omi())
    opened = (await index.asked(f"/messages/{event.id}/open", {})).json()
    changed = [line.replace("PID|1||", "PID|1||X^^^HIS^PI~") for line in opened["lines"]]

    answer = await index.asked(f"/messages/{event.id}/fix", {"lines": changed, "reason": "because"})

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:overread:problem:not-set-aside")
    assert await index.assembly.told(CORRECTIONS_REQUESTED) == []


async def test_verdict_says_where_and_what_to_change_in_the_readers_language(index: Index) -> None:
    """REQ-MSG-05: judged as the listener judges, before anything is sent."""
    [event] = await index.hears(an_omi(control_id="BAD", put=UNCUT))
    opened = (await index.asked(f"/messages/{event.id}/open", {})).json()
    mended = [line.replace("PID|1||", "PID|1||TEST-5^^^HIS^PI") for line in opened["lines"]]
    stranger = [line.replace("|HIS|", "|OTHER|", 1) for line in mended]

    bad, good, other = [
        (await index.asked(f"/messages/{event.id}/verdict", {"lines": lines, "language": "vi"})).json()
        for lines in (opened["lines"], mended, stranger)
    ]

    assert (bad["is_taken"], bad["place"], bad["condition"]) == (False, "PID-3", 101)
    assert "người bệnh" in bad["sentence"]
    assert (good["is_taken"], good["code"][1]) == (True, "A")
    assert (other["is_taken"], other["place"]) == (False, "MSH-3")


async def test_message_whose_record_is_gone_is_named_without_content_and_forgotten_in_time(index: Index) -> None:
    """REQ-MSG-06: the index keeps no longer than the topic, and what was set aside no longer than its dead letter."""
    [event] = await index.hears(an_omi(control_id="OLD"))
    await index.hears(an_omi(control_id="BAD", put=UNCUT))
    index.records.clear()
    shown = (await index.asked(f"/messages/{event.id}")).json()

    kept = []
    for retention in (HL7_RECEIVED.retention, DEAD_LETTERS_STAY):
        index.assembly.clock.now = NOON + retention + timedelta(days=1)
        await Forgetting(index.assembly.service).forget()
        kept.append(
            await index.assembly.service.pool.fetch(
                "SELECT message_control_id AS id FROM messages WHERE site_id = $1", index.assembly.site_id
            )
        )

    assert (shown["segments"], UUID(shown["message"]["event_id"])) == (None, event.id)
    assert [[row["id"] for row in rows] for rows in kept] == [["BAD"], []]
