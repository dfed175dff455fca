"""Delivery on a real PostgreSQL: gate, queue and sender, with a peer that listens on loopback."""

import argparse
import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from overread.cli import deliveries
from overread.contracts import codec, topics
from overread.contracts.envelope import Event
from overread.contracts.errors import OverreadError, Unavailable
from overread.contracts.events.audit import Recorded
from overread.contracts.events.cases import Case, CaseWithdrawn, PatientCorrected, StudyReady, StudySuperseded
from overread.contracts.events.deliveries import DeliveryDone, DeliveryOutcome, GateDecided, GateVerdict
from overread.contracts.events.orders import PatientIdentifier
from overread.contracts.events.reports import ReportChanged, ReportDocument, ReportSigned, SeenCase, Withdrawal
from overread.contracts.identifiers import case_id_for, deterministic_id
from overread.contracts.report_life import ReportState
from overread.delivery import case_store, gate, operator_store, sending_store, store
from overread.delivery.app import make_service
from overread.delivery.breaker import Breaker
from overread.delivery.destinations import Destination
from overread.delivery.dispatch import Dispatch, GateKeeper
from overread.delivery.dispatch_store import RightToSend, sole_dispatcher
from overread.delivery.handlers import Handlers
from overread.delivery.large_messages import LARGEST_IN_A_ROW, MessageChanged, put_aside
from overread.delivery.rendering import messages_for
from overread.delivery.sending_store import Ending
from overread.delivery.sequence import Status
from overread.delivery.settings import DeliverySettings
from overread.delivery.stored_outbox import Endings, StoredOutbox
from overread.delivery.study_images import StudyImages
from overread.delivery.ways import ways
from overread.embedded.endpoints import Endpoints
from overread.embedded.stack_thread import StackThread
from overread.protocols import mllp
from overread.protocols.hl7 import mdm
from overread.protocols.hl7.oru_content import TakenBack
from overread.protocols.hl7.oru_reading import read_back
from overread.protocols.insurance import xml4
from overread.runtime import signatures
from overread.runtime.consume import Delivered
from overread.runtime.database import migrations_of
from overread.runtime.dead_letter import SourceRecord
from overread.runtime.object_store import MARK, LocalObjectStore
from overread.runtime.service import Service
from tests.builders.delivery import PASSWORD, a_destination, a_dicom_destination, a_telling, an_outbound_row
from tests.builders.events import (
    NOON,
    STUDY,
    TRACEPARENT,
    a_case,
    a_patient,
    a_report_document,
    a_service_request,
    a_signed_document,
    a_study,
    an_event,
)
from tests.builders.insurance import INSURED, ORDER, a_folder
from tests.fakes.objects import an_object_store
from tests.fakes.units_of_work import a_record

pytestmark = pytest.mark.stack

NEWEST_MESSAGE = "SELECT message FROM outbound WHERE site_id = $1 ORDER BY position DESC LIMIT 1"


class Desk:
    """Delivery as one site uses it: its own site ID, so that no test sees another's rows."""

    def __init__(self, service: Service, settings: DeliverySettings) -> None:
        self.service = service
        self.settings = settings
        self.site = settings.site_id
        self.case_id = case_id_for(self.site, STUDY)
        self.report_id = deterministic_id("report", str(self.case_id))
        self.ca = signatures.make_site_ca(self.site, now=NOON, password=PASSWORD)
        self.clinician = signatures.certify_clinician(self.ca, "dr.test", self.site, now=NOON, password=PASSWORD)
        self.destinations: tuple[Destination, ...] = (a_destination(site_id=self.site),)
        self.objects: LocalObjectStore | None = None
        self._first: Event[ReportSigned] | None = None
        self.handlers = Handlers(settings, self.destinations)

    @property
    def names(self) -> dict[str, Any]:
        return {"site_id": self.site, "case_id": self.case_id, "report_id": self.report_id}

    def case(self, **changed: Any) -> Case:
        return a_case(**{"case_id": self.case_id} | changed)

    async def hear_case(self, *cases: Case, withdrawn: bool = False, offset: int = 0) -> None:
        bodies = [
            CaseWithdrawn(case_id=c.case_id, case=c, reason="x") if withdrawn else StudyReady(case_id=c.case_id, case=c)
            for c in cases
        ]
        await self.hear([self.event(body) for body in bodies], offset=offset)

    async def hear(self, events: Sequence[Event[Any]], *, offset: int = 0) -> None:
        await self._handle(self.handlers.cases_changed, events, offset=offset)

    async def hear_superseded(self, revision: int = 1, **changed: Any) -> None:
        body = StudySuperseded(case_id=self.case_id, case=self.case(**changed), superseded_revision=revision)
        await self.hear([self.event(body)])

    async def hear_draft(self, state: ReportState = ReportState.DRAFTED, **changed: Any) -> None:
        document = a_report_document(**self.names | changed)
        raw = codec.document_bytes(document)
        body = ReportChanged(
            case_id=self.case_id,
            report_id=self.report_id,
            report_revision=document.report_revision,
            revision=1,
            state=state,
            reason="order cancelled",
            digest=codec.sha256(raw),
            document_base64=base64.b64encode(raw).decode() if state is ReportState.DRAFTED else "",
        )
        await self._handle(self.handlers.reports_changed, [self.event(body)])

    def signed(self, document: ReportDocument | None = None, **changed: Any) -> Event[ReportSigned]:
        content = document or a_signed_document(**self.names | changed)
        return self.signed_as(codec.document_bytes(content), content)

    def signed_as(self, raw: bytes, content: ReportDocument) -> Event[ReportSigned]:
        """Return the document as it was signed in these bytes."""
        assert content.signed_at is not None
        signature = signatures.sign(raw, self.clinician, password=PASSWORD)
        body = ReportSigned(
            case_id=content.case_id,
            report_id=content.report_id,
            report_revision=content.report_revision,
            document_base64=base64.b64encode(raw).decode(),
            digest=codec.sha256(raw),
            signature_base64=base64.b64encode(signature).decode(),
            certificate_pem=self.clinician.certificate_pem.decode(),
            signed_at=content.signed_at,
        )
        event = self.event(body, own_key=codec.sha256(signature))
        self._first = self._first or event
        return event

    def sent_again(self, repeat: int, **changed: Any) -> Event[ReportSigned]:
        """Return the signed report as review sends it another time: the same bytes and signature, an id of its own."""
        first = self._first or self.signed()
        body = first.data.model_copy(update=changed)
        return self.event(body, own_key=f"{repeat}/{body.submission}")

    async def hear_signed(self, event: Event[ReportSigned]) -> None:
        await self._handle(self.handlers.reports_signed, [event])

    def event(self, body: Any, own_key: str = "1") -> Event[Any]:
        return an_event(body, site_id=self.site, own_key=own_key)

    async def _handle(self, handler: Callable[..., Any], events: Sequence[Event[Any]], *, offset: int = 0) -> None:
        async with self.service.transaction() as tx:
            await handler([Delivered(event, 0, 3, offset) for event in events], tx)

    async def judge(self) -> bool:
        return await GateKeeper(self.service, self.settings, self.destinations).judge_pending()

    async def published(self) -> list[GateDecided | DeliveryDone]:
        rows = await self.service.pool.fetch("SELECT value FROM outbox WHERE topic = 'deliveries.done' ORDER BY id")
        events = [codec.decode(row["value"], topics.DELIVERIES_DONE.bodies) for row in rows]
        return [event.data for event in events if event.site_id == self.site]  # type: ignore[misc]

    async def sent(self) -> list[tuple[int, str, str]]:
        rows = await self.service.pool.fetch(
            "SELECT report_revision, status, state FROM outbound WHERE site_id = $1 ORDER BY position", self.site
        )
        return [tuple(row) for row in rows]

    def outbox(self) -> StoredOutbox:
        # A pool is as good as the connection that holds the lock, where nobody competes for it.
        connection: Any = self.service.pool
        return StoredOutbox(self.service, self.destinations[0], RightToSend(connection), self.objects)


@pytest.fixture
async def desk(stack: StackThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """Yield delivery on its own tables, without a broker: the end of `cases.changed` counts as read."""
    settings = DeliverySettings(
        site_id=f"t{uuid4().hex[:12]}",
        database_dsn=SecretStr(stack.endpoints.dsn("delivery")),
        site_ca_root=tmp_path / "root.pem",
        acknowledgment_seconds=1.0,
        first_retry_seconds=0.01,
    )
    service = make_service(settings)

    async def has_read_to_the_end(*_question: object) -> bool:
        return True

    monkeypatch.setattr(service, "has_read_to_the_end", has_read_to_the_end)
    async with AsyncExitStack() as opened:
        await service._start_database(opened)
        await service.pool.execute("DELETE FROM release_requests WHERE state = 'pending'")
        await service.pool.execute("DELETE FROM case_letters")
        ready = Desk(service, settings)
        (tmp_path / "root.pem").write_bytes(ready.ca.certificate_pem)
        yield ready


async def test_the_newest_case_is_kept_whatever_the_order(desk: Desk) -> None:
    """A replayed older event never hides a newer one."""
    await desk.hear_case(desk.case(revision=3, identity_version=2), desk.case(revision=2))
    await desk.hear_case(desk.case(revision=1))

    async with desk.service.transaction() as tx:
        kept = await case_store.case_of(tx.connection, desk.site, desk.case_id)

    assert kept == case_store.KnownCase(desk.case(revision=3, identity_version=2), 0)
    assert await case_store.partition_of(desk.service.pool, desk.site, desk.case_id) == 3


async def test_a_signed_report_is_released_once_however_often_it_comes(desk: Desk) -> None:
    """`reports_signed` twice has one effect: one decision, one final message."""
    event = desk.signed()
    await desk.hear_case(desk.case())

    await desk.hear_signed(event)
    assert not await desk.judge()
    await desk.hear_signed(event)
    await desk.judge()

    assert await desk.sent() == [(1, "F", "waiting")]
    assert [(d.verdict, d.reason) for d in await desk.published() if isinstance(d, GateDecided)] == [
        (GateVerdict.RELEASED, "")
    ]


async def test_a_held_report_is_judged_again_only_when_it_is_signed_again(desk: Desk) -> None:
    """Re-confirmation is a new signed document; the old one stays held."""
    await desk.hear_case(desk.case(identity_version=2))
    await desk.hear_signed(desk.signed())
    await desk.judge()
    held = await desk.published()
    await desk.judge()
    assert await desk.published() == held

    await desk.hear_signed(desk.signed(report_revision=2, identity_version=2))
    await desk.judge()

    verdicts = [d.verdict for d in await desk.published() if isinstance(d, GateDecided)]
    assert verdicts == [GateVerdict.HELD, GateVerdict.RELEASED]
    assert await desk.sent() == [(2, "F", "waiting")]


async def test_a_held_report_leaves_on_a_clinicians_word(desk: Desk) -> None:
    """The same signed bytes with the clinician who lets them go are judged anew; heard again they change nothing."""
    await desk.hear_case(desk.case(identity_version=2))
    await desk.hear_signed(desk.signed())
    await desk.judge()
    assert await desk.sent() == []

    for repeat in range(2):
        await desk.hear_signed(desk.sent_again(repeat, submission=2, released_by="dr.test", released_case_revision=1))
        await desk.judge()

    decided = [(d.verdict, d.submission) for d in await desk.published() if isinstance(d, GateDecided)]
    assert decided == [(GateVerdict.HELD, 1), (GateVerdict.RELEASED, 2)]
    assert await desk.sent() == [(1, "F", "waiting")]


async def test_a_clinicians_word_does_not_let_out_a_report_of_a_withdrawn_case(desk: Desk) -> None:
    """Held a second time, and said so; a third word is judged like the second."""
    await desk.hear_case(desk.case(is_withdrawn=True), withdrawn=True)

    for submission in (1, 2, 3):
        await desk.hear_signed(desk.sent_again(0, submission=submission, released_by="dr.test" * (submission > 1)))
        await desk.judge()

    decided = [(d.verdict, d.submission) for d in await desk.published() if isinstance(d, GateDecided)]
    assert decided == [(GateVerdict.HELD, 1), (GateVerdict.HELD, 2), (GateVerdict.HELD, 3)]
    assert await desk.sent() == []


async def test_a_clinicians_word_does_not_answer_for_what_came_after_it(desk: Desk) -> None:
    """Released for a changed text; before the gate looks, the patient is merged into another."""
    await desk.hear_case(desk.case(identity_version=2, revision=2))
    await desk.hear_signed(desk.signed())
    await desk.judge()
    released = desk.sent_again(0, submission=2, released_by="dr.test", released_case_revision=2)
    other = a_patient(identifiers=(PatientIdentifier(id_number="TEST-0002", assigning_authority="HIS"),))
    await desk.hear_case(desk.case(identity_version=3, revision=3, patient=other))

    await desk.hear_signed(released)
    await desk.judge()

    decided = [(d.verdict, d.submission) for d in await desk.published() if isinstance(d, GateDecided)]
    assert (decided, await desk.sent()) == ([(GateVerdict.HELD, 1), (GateVerdict.HELD, 2)], [])


async def test_a_clinicians_word_outlives_a_laboratorys_value(desk: Desk) -> None:
    """Released for a changed text; before the gate looks, a value of the patient's is told, and changes no report."""
    moved = desk.case(identity_version=2, revision=2)
    await desk.hear_case(moved)
    await desk.hear_signed(desk.signed())
    await desk.judge()
    word = {"released_by": "dr.test", "released_case_revision": 2, "released_case": SeenCase.of(moved, 0)}
    await desk.hear_case(desk.case(identity_version=2, revision=3))

    await desk.hear_signed(desk.sent_again(0, submission=2, **word))
    await desk.judge()

    decided = [(d.verdict, d.submission) for d in await desk.published() if isinstance(d, GateDecided)]
    assert decided == [(GateVerdict.HELD, 1), (GateVerdict.RELEASED, 2)]


async def test_a_report_is_held_while_newer_images_of_its_study_arrive(desk: Desk) -> None:
    """The snapshot keeps the old study until the next is complete; a later event that says no more changes nothing."""
    await desk.hear_case(desk.case())
    await desk.hear_superseded(revision=1)
    await desk.hear_superseded(revision=1)

    await desk.hear_signed(desk.signed())
    await desk.judge()

    [decided] = await desk.published()
    assert isinstance(decided, GateDecided)
    assert (decided.verdict, "newer images" in decided.reason) == (GateVerdict.HELD, True)


async def test_a_report_waits_while_an_event_of_its_case_is_set_aside(desk: Desk) -> None:
    """Its offset counts as read, and what it says is not known here; taken again, it counts."""
    await desk.hear_case(desk.case())
    await desk.hear_signed(desk.signed())
    async with desk.service.transaction() as tx:
        await desk.handlers.case_set_aside(_a_letter(_key(desk)), tx)

    waits = await desk.judge()
    unsent = await desk.sent()
    await desk.hear_case(desk.case(revision=2, identity_version=2), offset=LETTER_OFFSET)
    await desk.service.pool.execute("UPDATE release_requests SET next_attempt_at = 'epoch'")
    await desk.judge()

    assert (waits, unsent) == (True, [])
    assert [d.verdict for d in await desk.published() if isinstance(d, GateDecided)] == [GateVerdict.HELD]


async def test_an_event_that_this_version_does_not_know_keeps_its_case_waiting(desk: Desk) -> None:
    """Delivery is older than assembly: the record is set aside, its offset moves on, and the gate knows of it."""
    event = desk.event(StudyReady(case_id=desk.case_id, case=desk.case()))
    unknown = codec.encode(event).replace(b"StudyReady.v1", b"CaseEmbargoed.v1")
    record = a_record(unknown, topic=topics.CASES_CHANGED, partition=3, offset=LETTER_OFFSET, key=_key(desk))
    await desk.hear_case(desk.case())

    await desk.service.consumptions[topics.CASES_CHANGED.name].on_records([record])
    await desk.hear_signed(desk.signed())

    assert (await desk.judge(), await desk.sent()) == (True, [])


def _key(desk: Desk) -> bytes:
    return topics.CASES_CHANGED.key_of(desk.event(StudyReady(case_id=desk.case_id, case=desk.case())))


async def test_a_report_waits_for_a_letter_whose_case_nobody_can_tell(desk: Desk) -> None:
    """Any case of the partition may be meant, and no other."""
    await desk.hear_case(desk.case())
    async with desk.service.transaction() as tx:
        await desk.handlers.case_set_aside(_a_letter(b"no case"), tx)
        of_the_partition = await case_store.has_letter(tx.connection, desk.site, desk.case_id)
        await tx.connection.execute("UPDATE cases SET partition = 4 WHERE site_id = $1", desk.site)
        of_another = await case_store.has_letter(tx.connection, desk.site, desk.case_id)

    assert (of_the_partition, of_another) == (True, False)


async def test_a_letter_is_answered_by_the_next_complete_study_and_by_nothing_less(desk: Desk) -> None:
    """Each event tells the whole case, but none of them whether its images are out of date."""
    await desk.hear_case(desk.case())
    async with desk.service.transaction() as tx:
        await desk.handlers.case_set_aside(_a_letter(_key(desk)), tx)
    corrected = PatientCorrected(case_id=desk.case_id, case=desk.case(revision=2))
    await desk.hear([desk.event(corrected)], offset=LETTER_OFFSET + 1)
    async with desk.service.transaction() as tx:
        still_open = await case_store.has_letter(tx.connection, desk.site, desk.case_id)

    await desk.hear_case(desk.case(revision=3, study=a_study(study_revision=2)), offset=LETTER_OFFSET + 2)

    async with desk.service.transaction() as tx:
        is_open = await case_store.has_letter(tx.connection, desk.site, desk.case_id)
    assert (still_open, is_open) == (True, False)


LETTER_OFFSET = 7


def _a_letter(key: bytes) -> SourceRecord:
    """Return what lay on the desk's partition of `cases.changed`."""
    return SourceRecord(topic="cases.changed", partition=3, offset=LETTER_OFFSET, key=key, value=b"nobody reads this")


async def test_a_report_whose_images_are_away_keeps_no_other_waiting(desk: Desk, tmp_path: Path) -> None:
    """One unreadable image, or a full disk, is that report's own; afterwards it is judged like any other."""
    folder = tmp_path / "objects"
    folder.write_bytes(b"no folder")
    other = deterministic_id("report", "other", desk.site)
    await desk.hear_case(desk.case())
    await desk.hear_signed(desk.signed())
    await desk.hear_signed(desk.signed(report_id=other))

    def judge(request: gate.ReleaseRequest, known: gate.Circumstances) -> gate.Released | gate.Held | gate.Wait:
        verdict = gate.check(request, known)
        if request.report_id != desk.report_id or not isinstance(verdict, gate.Released):
            return verdict
        content = b"x" * (LARGEST_IN_A_ROW + 1)
        [message] = verdict.messages
        return gate.Released((replace(message, message=content, message_digest=codec.sha256(content)),))

    objects = LocalObjectStore(folder)
    keeper = GateKeeper(desk.service, desk.settings, desk.destinations, judge=judge, objects=objects)
    await keeper.judge_pending()
    meanwhile = await _released(desk)
    waits_itself = await keeper.judge_pending()
    folder.unlink()
    an_object_store(folder)
    await desk.service.pool.execute("UPDATE release_requests SET next_attempt_at = 'epoch'")
    await keeper.judge_pending()

    assert (meanwhile, waits_itself, await _released(desk)) == ([other], False, [other, desk.report_id])


async def _released(desk: Desk) -> list[UUID]:
    return [d.report_id for d in await desk.published() if isinstance(d, GateDecided)]


async def test_a_report_that_is_final_elsewhere_opens_no_gate(desk: Desk) -> None:
    """`reports.changed` is no signature, and others than review may write it: what it says lets nothing out."""
    await desk.hear_case(desk.case(identity_version=2))
    await desk.hear_signed(desk.signed())
    await desk.judge()

    await desk.hear_draft(ReportState.FINAL)
    await desk.judge()

    assert await desk.sent() == []


async def test_a_signed_report_sent_again_is_decided_once(desk: Desk) -> None:
    """A resubmission has an id of its own; waiting, released or held, the request it repeats is the same one."""
    await desk.hear_case(desk.case())

    await desk.hear_signed(desk.signed())
    await desk.hear_signed(desk.sent_again(1))
    await desk.judge()
    await desk.hear_signed(desk.sent_again(2))
    await desk.judge()

    assert [d.verdict for d in await desk.published() if isinstance(d, GateDecided)] == [GateVerdict.RELEASED]
    assert await desk.sent() == [(1, "F", "waiting")]


async def test_a_forged_submission_takes_nobodys_place(desk: Desk) -> None:
    """The true signed report is another request than one under a signature of somebody else."""
    true = desk.signed()
    signature = base64.b64encode(b"forged").decode()
    forged = true.model_copy(
        update={"id": uuid4(), "data": true.data.model_copy(update={"signature_base64": signature})}
    )
    await desk.hear_case(desk.case())

    for event in (forged, true):
        await desk.hear_signed(event)
        await desk.judge()

    verdicts = [d.verdict for d in await desk.published() if isinstance(d, GateDecided)]
    assert verdicts == [GateVerdict.HELD, GateVerdict.RELEASED]


async def test_a_defect_at_one_report_holds_it_and_the_next_is_judged(desk: Desk) -> None:
    """A bug of ours that one report meets stops no other; a person hears of it."""
    other = deterministic_id("report", "other", desk.site)
    await desk.hear_case(desk.case())
    await desk.hear_signed(desk.signed(report_id=other))
    await desk.hear_signed(desk.signed())

    def judge(request: gate.ReleaseRequest, known: gate.Circumstances) -> gate.Released | gate.Held | gate.Wait:
        if request.report_id == other:
            raise ValueError("nobody foresaw this")
        return gate.check(request, known)

    await GateKeeper(desk.service, desk.settings, desk.destinations, judge=judge).judge_pending()

    decided = {d.report_id: (d.verdict, d.reason) for d in await desk.published() if isinstance(d, GateDecided)}
    assert decided == {
        other: (GateVerdict.HELD, "the gate met a defect of its own (ValueError)"),
        desk.report_id: (GateVerdict.RELEASED, ""),
    }


async def test_a_report_waits_for_the_root(desk: Desk) -> None:
    """Without a root nothing is judged: neither released nor held."""
    assert desk.settings.site_ca_root is not None
    desk.settings.site_ca_root.unlink()
    await desk.hear_case(desk.case())
    await desk.hear_signed(desk.signed())

    assert await desk.judge()

    assert await desk.published() == []


async def test_a_draft_leaves_unverified_and_a_withdrawal_takes_it_back(desk: Desk) -> None:
    """R, then X, once each however often they are heard; a late draft brings nothing back."""
    await desk.hear_draft()
    await desk.hear_draft()
    await desk.hear_draft(ReportState.WITHDRAWN)
    await desk.hear_draft(ReportState.WITHDRAWN)
    await desk.hear_draft()

    assert await desk.sent() == [(1, "R", "waiting"), (1, "X", "waiting")]


async def test_nothing_unread_follows_a_final(desk: Desk) -> None:
    """Neither a late draft nor a withdrawal without a signature changes what a clinician signed."""
    await desk.hear_case(desk.case())
    await desk.hear_draft()
    await desk.hear_signed(desk.signed())
    await desk.judge()
    await desk.hear_draft()
    await desk.hear_draft(report_revision=2)
    await desk.hear_draft(ReportState.WITHDRAWN)

    assert [(revision, status) for revision, status, _ in await desk.sent()] == [(1, "R"), (1, "F")]


async def test_the_next_signed_revision_is_a_correction(desk: Desk) -> None:
    """C after F, through the database."""
    await desk.hear_case(desk.case())
    for revision in (1, 2):
        await desk.hear_signed(desk.signed(report_revision=revision))
        await desk.judge()

    assert [(revision, status) for revision, status, _ in await desk.sent()] == [(1, "F"), (2, "C")]


async def test_the_database_refuses_a_final_that_no_gate_released(desk: Desk) -> None:
    """The fourth guard does not rest on code alone: an F row needs the released request of exactly its document."""
    row = an_outbound_row()

    with pytest.raises(asyncpg.RaiseError, match="needs a released report"):
        await _insert(desk, row, Status.FINAL)


async def test_the_database_refuses_a_withdrawal_that_no_gate_released(desk: Desk) -> None:
    """Taking a final back needs a signature too."""
    with pytest.raises(asyncpg.RaiseError, match="needs a released report"):
        await _insert(desk, an_outbound_row(), Status.WITHDRAWN)


async def test_a_signed_withdrawal_takes_back_what_was_released(desk: Desk) -> None:
    """The next submission of the same revision: W follows F, once, whatever became of the case; nothing follows it."""
    await desk.hear_case(desk.case())
    await desk.hear_signed(desk.signed())
    await desk.judge()
    await desk.hear_case(desk.case(revision=2, identity_version=2))
    withdrawing = desk.signed(withdrawal=Withdrawal(reason="wrong patient", is_wrong_patient=True), findings=())

    for _ in range(2):
        await desk.hear_signed(withdrawing)
        await desk.judge()
    await desk.hear_draft(report_revision=2)

    assert [(revision, status) for revision, status, _ in await desk.sent()] == [(1, "F"), (1, "W")]
    verdicts = [d.verdict for d in await desk.published() if isinstance(d, GateDecided)]
    assert verdicts == [GateVerdict.RELEASED, GateVerdict.RELEASED]
    said = read_back(await desk.service.pool.fetchval(NEWEST_MESSAGE, desk.site))
    assert (said.taken_back, [o.identifier.identifier for o in said.retracted]) == (
        TakenBack.WRONG_PATIENT,
        ["OR-LUNG-VOLUME"],
    )


async def test_a_withdrawal_before_any_release_is_held(desk: Desk) -> None:
    """There is nothing to take back: a clinician hears of it."""
    await desk.hear_case(desk.case())
    await desk.hear_signed(desk.signed(withdrawal=Withdrawal(reason="x")))
    await desk.judge()

    assert [d.verdict for d in await desk.published() if isinstance(d, GateDecided)] == [GateVerdict.HELD]
    assert await desk.sent() == []


async def test_a_destination_that_can_not_be_told_keeps_nothing_from_the_others(desk: Desk) -> None:
    """Images that are not at hand are said of the archive, as an outcome of its own; the EMR has its result."""
    desk.handlers = Handlers(desk.settings, (a_dicom_destination(site_id=desk.site), *desk.destinations))

    await desk.hear_draft()

    assert await desk.sent() == [(1, "R", "waiting")]
    [untold] = [done for done in await desk.published() if isinstance(done, DeliveryDone)]
    assert (untold.destination, untold.outcome) == ("pacs", DeliveryOutcome.GIVEN_UP)
    assert "images" in untold.reason


async def test_one_unreadable_object_is_its_archives_outcome_and_a_store_that_is_away_is_waited_for(
    desk: Desk, tmp_path: Path
) -> None:
    """REQ-OUT-29: the EMR has its result, and the topic goes on; a store that does not answer keeps the draft waiting."""
    folder, key = tmp_path / "objects", f"{desk.site}/studies/1/manifests/1"
    objects = an_object_store(folder)
    (folder / key).mkdir(parents=True)  # reading it fails as a bad sector does: this one file, for ever
    both = (a_dicom_destination(site_id=desk.site), *desk.destinations)
    desk.handlers = Handlers(desk.settings, both, images=StudyImages(objects), objects=objects)

    await desk.hear_draft(manifest_key=key)
    told, [untold] = await desk.sent(), [done for done in await desk.published() if isinstance(done, DeliveryDone)]
    (folder / MARK).unlink()

    with pytest.raises(Unavailable):
        await desk.hear_draft(manifest_key=key, report_revision=2)
    assert told == await desk.sent() == [(1, "R", "waiting")]
    assert (untold.destination, untold.outcome) == ("pacs", DeliveryOutcome.GIVEN_UP)
    assert untold.reason == "the images of the report are not at hand"


async def test_a_large_message_is_a_stored_object_and_leaves_as_it_was_rendered(desk: Desk, tmp_path: Path) -> None:
    """The row names it by its digest; bytes that are others are not sent."""
    objects = an_object_store(tmp_path / "objects")
    content = b"x" * (LARGEST_IN_A_ROW + 1)
    [message] = messages_for(a_telling(a_report_document(**desk.names), desk.destinations[0], status=Status.UNVERIFIED))
    large = replace(message, message=content, message_digest=codec.sha256(content))

    async with desk.service.transaction() as tx:
        [kept] = await put_aside(objects, desk.site, [large])
        cause = store.StoredCause(id=uuid4(), site_id=desk.site, traceparent=TRACEPARENT)
        await store.enqueue(tx.connection, [kept], cause, tx.clock())
    desk.objects = objects
    outbox = desk.outbox()
    row = await outbox.next_row()

    assert row is not None
    assert (row.message, row.message_key) == (b"", f"{desk.site}/outbound/{large.message_digest}")
    assert (await outbox.with_message(row)).message == content
    (tmp_path / "objects" / row.message_key).write_bytes(b"changed")
    with pytest.raises(MessageChanged):
        await outbox.with_message(row)


async def _insert(desk: Desk, row: store.OutboundRow, status: Status, case: str = "a", report: str = "") -> None:
    await desk.service.pool.execute(
        "INSERT INTO outbound (site_id, delivery_id, destination, form, case_id, report_id, report_revision, status,"
        " message, message_digest, message_control_id, document, caused_by, traceparent, next_attempt_at, created_at)"
        " VALUES ($1, $2, 'emr', 'oru', $3, $10, 1, $4, $5, $6, $7, '', $2, $8, $9, $9)",
        desk.site,
        row.delivery_id,
        deterministic_id("case", desk.site, case),
        status.value,
        row.message,
        row.message_digest,
        row.message_control_id,
        TRACEPARENT,
        NOON,
        deterministic_id("case", desk.site, report or case),
    )


async def test_the_database_refuses_to_change_or_forget_a_message(desk: Desk) -> None:
    """A message is rendered once."""
    await desk.hear_draft()

    with pytest.raises(asyncpg.RaiseError, match="rendered once"):
        await desk.service.pool.execute("UPDATE outbound SET message = 'x' WHERE site_id = $1", desk.site)
    with pytest.raises(asyncpg.RaiseError, match="never deleted"):
        await desk.service.pool.execute("DELETE FROM outbound WHERE site_id = $1", desk.site)


async def test_messages_of_one_case_leave_in_order_and_others_pass_by(desk: Desk) -> None:
    """FIFO per (destination, case): a postponed message holds back its own case only."""
    first, second, other = (an_outbound_row(number) for number in (1, 2, 3))
    await _insert(desk, first, Status.UNVERIFIED)
    await _insert(desk, second, Status.CANCELLED)
    await _insert(desk, other, Status.UNVERIFIED, case="b")
    outbox = desk.outbox()
    due = await outbox.next_row()
    assert due is not None
    assert due.message == first.message

    await outbox.mark_sending(due)
    await outbox.postpone(due, timedelta(hours=1), store.Why(reason="no acknowledgment"))
    passing = await outbox.next_row()

    assert passing is not None
    assert passing.message == other.message


async def test_a_message_being_sent_when_the_process_died_is_sent_again(desk: Desk) -> None:
    """After a crash the row is still open, with the same bytes."""
    await _insert(desk, an_outbound_row(), Status.UNVERIFIED)
    before = await desk.outbox().next_row()
    assert before is not None
    await desk.outbox().mark_sending(before)

    after = await desk.outbox().next_row()

    assert after is not None
    assert (after.message, after.attempts) == (before.message, 1)


async def test_a_refused_message_can_be_retried_until_a_newer_one_exists(desk: Desk) -> None:
    """An operator's retry never lets an older result follow a newer."""
    row = an_outbound_row()
    await _insert(desk, row, Status.UNVERIFIED)
    await _give_up(desk)

    assert await _retry(desk, row)
    assert not await _retry(desk, row)
    await _give_up(desk)
    await _insert(desk, an_outbound_row(2), Status.CANCELLED)
    assert not await _retry(desk, row)

    outcomes = [done.outcome for done in await desk.published() if isinstance(done, DeliveryDone)]
    assert outcomes == [DeliveryOutcome.GIVEN_UP, DeliveryOutcome.GIVEN_UP]


async def _withdrawn_after_a_refusal(desk: Desk) -> store.OutboundRow:
    """Return the refused final of a report that a clinician then withdrew: the destination had nothing to hear of it."""
    await desk.hear_case(desk.case())
    await desk.hear_signed(desk.signed())
    await desk.judge()
    row = await desk.outbox().next_row()
    assert row is not None
    await _give_up(desk)
    await desk.hear_signed(desk.signed(withdrawal=Withdrawal(reason="wrong side"), findings=()))
    await desk.judge()
    return row


async def test_a_refused_final_is_not_retried_once_its_report_was_withdrawn(desk: Desk) -> None:
    """No W went to a destination that refused F, and yet the withdrawal stands for it."""
    row = await _withdrawn_after_a_refusal(desk)

    was_retried = await _retry(desk, row)

    assert (was_retried, await desk.sent()) == (False, [(1, "F", "given_up")])


async def test_an_upgrade_knows_what_was_withdrawn_before_it(desk: Desk) -> None:
    """What clinicians took back before it was kept is read out of the documents that the gate had released."""
    row = await _withdrawn_after_a_refusal(desk)
    await desk.service.pool.execute("DELETE FROM taken_back")
    [migration] = [sql for name, sql in migrations_of("overread.delivery") if "taken_back" in name]
    fill = migration[migration.index("INSERT INTO taken_back") :].split(";")[0]

    await desk.service.pool.execute(fill)

    assert not await _retry(desk, row)


async def test_a_refused_draft_is_not_retried_once_it_was_withdrawn(desk: Desk) -> None:
    """The same without a signature: no X went there."""
    await desk.hear_draft()
    row = await desk.outbox().next_row()
    assert row is not None
    await _give_up(desk)
    await desk.hear_draft(ReportState.WITHDRAWN)

    was_retried = await _retry(desk, row)

    assert (was_retried, await desk.sent()) == (False, [(1, "R", "given_up")])


async def test_a_refused_final_is_retried_after_a_later_draft_was_withdrawn(desk: Desk) -> None:
    """What nobody signed takes back nothing that a clinician signed."""
    await desk.hear_case(desk.case())
    await desk.hear_signed(desk.signed())
    await desk.judge()
    row = await desk.outbox().next_row()
    assert row is not None
    await _give_up(desk)
    await desk.hear_draft(ReportState.WITHDRAWN, report_revision=2)

    assert await _retry(desk, row)


async def test_a_draft_that_comes_after_its_withdrawal_is_not_sent(desk: Desk) -> None:
    """Set aside on its way and replayed: nobody had anything to hear of the withdrawal, and yet it was first."""
    await desk.hear_draft(ReportState.WITHDRAWN)
    await desk.hear_draft()

    assert await desk.sent() == []


async def test_the_database_revives_no_message_past_a_later_word(desk: Desk) -> None:
    """Whoever asks: what a withdrawal stands for stays where it ended, and nothing that was taken is sent again."""
    row = await _withdrawn_after_a_refusal(desk)
    await _insert(desk, an_outbound_row(2), Status.UNVERIFIED, case="b")
    taken = await desk.outbox().next_row()
    assert taken is not None
    await desk.outbox().mark_sending(taken)
    await desk.outbox().end(taken, DeliveryOutcome.ACKNOWLEDGED, store.Why())

    with pytest.raises(asyncpg.RaiseError, match="a later word"):
        await _set_state(desk, row, "waiting")
    with pytest.raises(asyncpg.RaiseError, match="that has ended is not sent"):
        await _set_state(desk, row, "sending")
    with pytest.raises(asyncpg.RaiseError, match="that has ended is not sent"):
        await _set_state(desk, taken, "waiting")


async def _set_state(desk: Desk, row: store.OutboundRow, state: str) -> None:
    await desk.service.pool.execute("UPDATE outbound SET state = $2 WHERE delivery_id = $1", row.delivery_id, state)


async def test_a_message_that_another_process_ended_is_not_marked_again(desk: Desk) -> None:
    """Who lost the right to send and notices late finds that the row is no longer its to send."""
    await _insert(desk, an_outbound_row(), Status.UNVERIFIED)
    held = await desk.outbox().next_row()
    assert held is not None
    await desk.outbox().mark_sending(held)
    await desk.outbox().end(held, DeliveryOutcome.ACKNOWLEDGED, store.Why())

    is_marked = await desk.outbox().mark_sending(held)

    assert (is_marked, [state for *_, state in await desk.sent()]) == (False, ["acknowledged"])


async def test_nothing_leaves_by_a_right_whose_connection_is_lost(desk: Desk) -> None:
    """The server ended the session, and with it the lock: marking asks the same connection, and so finds out first."""
    await _insert(desk, an_outbound_row(), Status.UNVERIFIED)
    row = await desk.outbox().next_row()
    assert row is not None

    async def mark_after_the_session_ended() -> None:
        async with sole_dispatcher(desk.service.pool, lambda: None) as right:
            session = await right._connection.fetchval("SELECT pg_backend_pid()")
            await desk.service.pool.execute("SELECT pg_terminate_backend($1)", session)
            await right.mark_sending(row)

    with pytest.raises(Unavailable):
        await mark_after_the_session_ended()

    assert [state for *_, state in await desk.sent()] == ["waiting"]


async def test_a_postponed_message_is_listed_and_leaves_at_once_when_retried(desk: Desk) -> None:
    """An operator who mended the receiver need not wait for the next try."""
    row = an_outbound_row()
    await _insert(desk, row, Status.UNVERIFIED)
    due = await desk.outbox().next_row()
    assert due is not None
    await desk.outbox().mark_sending(due)
    await desk.outbox().postpone(due, timedelta(hours=1), store.Why(reason="AR 207", receiver_text="busy"))
    hidden = await desk.outbox().next_row()

    async with desk.service.transaction() as tx:
        [listed] = await operator_store.not_taken(tx.connection, desk.site)
        was_retried = await operator_store.retry(tx.connection, desk.site, row.delivery_id, desk.service.clock())

    assert (hidden, was_retried, listed["reason"], listed["attempts"]) == (None, True, "AR 207", 1)
    assert await desk.outbox().next_row() is not None


async def _held(desk: Desk, status: Status = Status.UNVERIFIED) -> store.OutboundRow:
    """Return a message that was refused and that its destination's table holds."""
    await _insert(desk, an_outbound_row(), status)
    outbox = desk.outbox()
    row = await outbox.next_row()
    assert row is not None
    await outbox.mark_sending(row)
    await outbox.hold(row, store.Why(reason="AE 204", receiver_text="unknown order"))
    return row


async def test_every_form_of_a_report_is_kept_once_and_taken_back_in_each(desk: Desk) -> None:
    """REQ-OUT-22, REQ-OUT-23: F as result, document and order status; a withdrawal in the same three; each once."""
    desk.destinations = (a_destination(site_id=desk.site, forms=["oru", "mdm", "order_status"]),)
    await desk.hear_case(desk.case())
    await desk.hear_signed(desk.signed())
    await desk.judge()
    withdrawing = desk.signed(withdrawal=Withdrawal(reason="wrong patient", is_wrong_patient=True), findings=())

    for _ in range(2):
        await desk.hear_signed(withdrawing)
        await desk.judge()

    rows = await desk.service.pool.fetch(
        "SELECT form, status, message FROM outbound WHERE site_id = $1 ORDER BY position", desk.site
    )
    assert [(row["form"], row["status"]) for row in rows] == [
        *(("oru", "F"), ("mdm", "F"), ("order_status", "F")),
        *(("oru", "W"), ("mdm", "W"), ("order_status", "W")),
    ]
    first, second = (mdm.read_back(rows[index]["message"]) for index in (1, 4))
    assert (first.replaces, second.replaces) == (None, first.document_number)


async def test_an_operator_previews_a_report_that_delivery_has_seen(
    desk: Desk, stack: StackThread, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """REQ-OUT-24: by the document that was signed, also while the report is held; nothing is stored or sent."""
    await desk.hear_signed(desk.signed())
    listed = tmp_path / "destinations.toml"
    listed.write_text('[[destination]]\nname = "ris"\nkind = "hl7"\nurl = "mllp://127.0.0.1:2580"\n', encoding="utf-8")
    endpoints = replace(stack.endpoints, site_id=desk.site)
    monkeypatch.setattr(Endpoints, "of", lambda _folder: endpoints)
    parser = argparse.ArgumentParser()
    deliveries.add_to(parser.add_subparsers())
    words = ["deliveries", "preview", "ris", "--report", str(desk.report_id), "--destinations", str(listed)]
    told = parser.parse_args(words)

    await asyncio.to_thread(told.run, told)

    shown = capsys.readouterr().out
    assert ("|F|" in shown, await desk.sent()) == (True, [])
    unknown = parser.parse_args([*words[:4], str(uuid4()), *words[5:]])
    with pytest.raises(OverreadError, match="has seen no report"):
        await asyncio.to_thread(unknown.run, unknown)


async def test_a_held_message_waits_for_a_person_and_no_other_case_does(desk: Desk) -> None:
    """REQ-OUT-17: neither it nor what is behind it in its case is due, whatever time passes."""
    row = await _held(desk)
    await _insert(desk, an_outbound_row(2), Status.UNVERIFIED, case="b")

    other = await desk.outbox().next_row()
    async with desk.service.transaction() as tx:
        listed = await operator_store.not_taken(tx.connection, desk.site)
        was_retried = await operator_store.retry(tx.connection, desk.site, row.delivery_id, desk.service.clock())
    again = await desk.outbox().next_row()

    assert other is not None
    assert (other.message_control_id, [each["state"] for each in listed]) == ("TEST-2", ["held", "waiting"])
    assert again is not None
    assert (was_retried, again.message_control_id, again.message) == (True, "TEST-1", row.message)


async def test_a_held_draft_makes_way_for_a_later_word_on_its_report(desk: Desk) -> None:
    """REQ-OUT-17: it is tried once more, and its refusal ends it then: no final waits behind a draft."""
    row = await _held(desk)
    await _insert(desk, an_outbound_row(2), Status.CANCELLED)

    due = await desk.outbox().next_row()

    assert due is not None
    assert due.delivery_id == row.delivery_id
    assert await desk.outbox().is_overtaken(due)


async def test_an_operator_gives_up_what_is_held_and_nothing_else(
    desk: Desk, stack: StackThread, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-OUT-17: it ends visibly for every service and in the audit; what waits otherwise is not an operator's to end."""
    row = await _held(desk)
    await _insert(desk, an_outbound_row(2), Status.CANCELLED)
    waiting = await desk.service.pool.fetchval(
        "SELECT delivery_id FROM outbound WHERE site_id = $1 AND status = 'X'", desk.site
    )
    endpoints = replace(stack.endpoints, site_id=desk.site)
    monkeypatch.setattr(Endpoints, "of", lambda _folder: endpoints)
    told = argparse.Namespace(data=Path(), delivery_id=[row.delivery_id])

    await asyncio.to_thread(deliveries.run_give_up, told)
    for refused in (row.delivery_id, waiting):
        with pytest.raises(OverreadError, match=str(refused)):
            await asyncio.to_thread(deliveries.run_give_up, argparse.Namespace(data=Path(), delivery_id=[refused]))

    [done] = await desk.published()
    recorded = await desk.service.pool.fetch("SELECT value FROM outbox WHERE topic = 'audit.recorded' ORDER BY id")
    acts = [codec.decode(r["value"], topics.AUDIT_RECORDED.bodies).data for r in recorded]
    mine = [(a.action, a.outcome) for a in acts if isinstance(a, Recorded) and a.object_id == str(row.delivery_id)]
    assert (done.reason, await desk.sent()) == (
        "given up by an operator",
        [(1, "R", "given_up"), (1, "X", "waiting")],
    )
    assert mine == [("give_up", "done"), ("give_up", "refused")]
    assert capsys.readouterr().out.splitlines() == [f"{row.delivery_id}  is given up"]


async def test_a_held_draft_that_met_no_answer_is_held_as_before(desk: Desk) -> None:
    """REQ-OUT-17: it was tried once more since a later word waits behind it; an operator may still end it."""
    row = await _held(desk)
    await _insert(desk, an_outbound_row(2), Status.CANCELLED)
    outbox = desk.outbox()

    await outbox.mark_sending(row)
    await outbox.postpone(row, timedelta(seconds=30), store.Why(reason="no acknowledgment: TimeoutError"))

    async with desk.service.transaction() as tx:
        ended = await operator_store.give_up(tx.connection, desk.site, row.delivery_id, NOON)
    assert ended is not None
    assert await desk.sent() == [(1, "R", "given_up"), (1, "X", "waiting")]


async def test_delivery_answers_how_the_way_to_each_destination_is(desk: Desk) -> None:
    """REQ-OUT-28: on its own socket, in the order of the list; what was never tried says so, what was removed is gone."""
    await _held(desk)
    await desk.outbox().keep_state(Breaker(failures_to_open=1).failed("no connection", NOON))
    untried = a_dicom_destination(site_id=desk.site)

    listed = await ways(desk.service, (untried, *desk.destinations))
    without = await ways(desk.service, (untried,))

    said = [(way.destination, way.kind, way.address, way.state, way.open, way.held) for way in listed]
    assert said == [("pacs", "dicom", "127.0.0.1:2582", "", 0, 0), ("emr", "hl7", "127.0.0.1:2580", "open", 1, 1)]
    assert [way.destination for way in without] == ["pacs"]
    assert [way.oldest is not None for way in listed] == [False, True]


async def test_an_operator_sees_how_the_way_to_a_destination_is(
    desk: Desk, stack: StackThread, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-OUT-18: `overread deliveries destinations` says since when it is left alone, why, and what waits."""
    await _held(desk)
    breaker = Breaker(failures_to_open=1).failed("no connection: ConnectionRefusedError", NOON)
    await desk.outbox().keep_state(breaker)
    endpoints = replace(stack.endpoints, site_id=desk.site)
    monkeypatch.setattr(Endpoints, "of", lambda _folder: endpoints)

    await asyncio.to_thread(deliveries.run_destinations, argparse.Namespace(data=Path()))

    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("emr  open  since ")
    assert line.endswith("open 1  held 1  failures 1  no connection: ConnectionRefusedError")


async def test_a_row_read_ahead_is_asked_for_anew_before_it_leaves(desk: Desk) -> None:
    """REQ-OUT-19: an operator revived an earlier one of its case meanwhile: that one leaves first, and then this one."""
    first, second = an_outbound_row(1), an_outbound_row(2)
    await _insert(desk, first, Status.UNVERIFIED)
    await _give_up(desk)
    await _insert(desk, second, Status.UNVERIFIED, report="b")
    outbox = desk.outbox()
    ahead = await outbox.next_row()
    assert ahead is not None

    was_revived = await _retry(desk, first)
    may_leave = await outbox.mark_sending(ahead)
    now_first = await outbox.next_row()

    assert now_first is not None
    assert (was_revived, may_leave, now_first.message_control_id) == (True, False, "TEST-1")


async def test_sixteen_senders_mark_and_end_together_and_each_row_once(desk: Desk) -> None:
    """REQ-OUT-19: what several destinations do in one moment is one statement, and each has its own answer."""
    for number in range(1, 17):
        await _insert(desk, an_outbound_row(number), Status.UNVERIFIED, case=str(number))
    connection: Any = desk.service.pool
    right, endings = RightToSend(connection), Endings(desk.service)
    due = await sending_store.due_rows(desk.service.pool, desk.site, "emr", desk.service.clock(), 100)

    marked = await asyncio.gather(*(right.mark_sending(row) for row in due))
    last = Ending(row=due[-1], outcome=DeliveryOutcome.ACKNOWLEDGED, why=store.Why())
    every = [Ending(row=row, outcome=DeliveryOutcome.ACKNOWLEDGED, why=store.Why()) for row in due]
    ended = await asyncio.gather(*(endings.end(ending) for ending in every))
    again = await endings.end(last)

    assert (marked, ended, again) == ([True] * 16, [True] * 16, False)
    said = [done.delivery_id for done in await desk.published() if isinstance(done, DeliveryDone)]
    assert sorted(said) == sorted(row.delivery_id for row in due)


async def test_no_message_is_read_as_due_while_its_end_is_under_way(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-OUT-19: what is acknowledged goes on ending beside the next case's message, and is never sent once more for it."""
    for number, case in ((1, "a"), (2, "b"), (3, "a")):
        await _insert(desk, an_outbound_row(number), Status.UNVERIFIED, case=case, report=str(number))
    connection: Any = desk.service.pool
    endings, may_end = Endings(desk.service, asyncio.create_task), asyncio.Event()
    end = endings.end

    async def later(ending: Ending) -> bool:
        await may_end.wait()
        return await end(ending)

    monkeypatch.setattr(endings, "end", later)
    outbox = StoredOutbox(desk.service, desk.destinations[0], RightToSend(connection), endings=endings)
    first = await outbox.next_row()
    assert first is not None
    await outbox.mark_sending(first)
    await outbox.end(first, DeliveryOutcome.ACKNOWLEDGED, store.Why())
    second = await outbox.next_row()
    assert second is not None
    await outbox.mark_sending(second)
    await outbox.postpone(second, timedelta(hours=1), store.Why(reason="no acknowledgment"))

    following = asyncio.create_task(outbox.next_row())
    await asyncio.sleep(0.1)
    waits = not following.done()
    may_end.set()
    third = await following

    assert third is not None
    read = [row.message_control_id for row in (first, second, third)]
    assert (read, waits) == (["TEST-1", "TEST-2", "TEST-3"], True)


async def test_one_dead_destination_of_sixteen_keeps_nothing_from_the_others(desk: Desk) -> None:
    """REQ-OUT-18, REQ-OUT-19: fifteen get all that is theirs, each once and in the order of its case; one gets nothing."""
    got: dict[str, list[str]] = {}
    async with AsyncExitStack() as opened:
        ports = [await opened.enter_async_context(_taking_all(got, f"emr-{number}")) for number in range(16)]
        async with _taking_all({}, "nobody") as dead:
            pass
        ports[7] = dead
        destinations = tuple(
            a_destination(site_id=desk.site, name=f"emr-{number}", url=f"mllp://127.0.0.1:{port}", failures_to_open=2)
            for number, port in enumerate(ports)
        )
        await _insert_two_of_each_case(desk, destinations, cases=20)
        dispatch = asyncio.create_task(Dispatch(desk.service, desk.settings, destinations).run())
        async with asyncio.timeout(30):
            while sum(state != "acknowledged" for *_, state in await desk.sent()) > 40:  # noqa: ASYNC110 - the database says when
                await asyncio.sleep(0.05)
        dispatch.cancel()
        await asyncio.gather(dispatch, return_exceptions=True)

    states = await desk.service.pool.fetch(
        "SELECT destination, state FROM outbound WHERE site_id = $1 GROUP BY destination, state", desk.site
    )
    way = await desk.service.pool.fetchval(
        "SELECT state FROM destination_states WHERE site_id = $1 AND destination = 'emr-7'", desk.site
    )
    assert {(row["destination"], row["state"]) for row in states} == {
        (f"emr-{number}", "waiting" if number == 7 else "acknowledged") for number in range(16)
    }
    assert way in {"open", "half_open"}
    assert len(got) == 15
    for control_ids in got.values():
        assert sorted(control_ids) == sorted(f"C{case}-{turn}" for case in range(20) for turn in (1, 2))
        assert all(control_ids.index(f"C{case}-1") < control_ids.index(f"C{case}-2") for case in range(20))


@contextlib.asynccontextmanager
async def _taking_all(got: dict[str, list[str]], name: str) -> AsyncIterator[int]:
    """Listen on loopback and take every message; yield the port."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                control_id = (await reader.readuntil(b"\x1c\r")).split(b"|")[9]
                got.setdefault(name, []).append(control_id.decode())
                writer.write(mllp.encode(b"MSH|^~\\&|EMR||||20261122||ACK|A|P|2.5.1\rMSA|AA|" + control_id + b"\r"))
        writer.close()

    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _insert_two_of_each_case(desk: Desk, destinations: Sequence[Destination], *, cases: int) -> None:
    def saying(control_id: str) -> bytes:
        return an_outbound_row().message.replace(b"TEST-1", control_id.encode())

    rows = [
        (desk.site, uuid4(), destination.name, deterministic_id("case", str(case)), uuid4(), f"C{case}-{turn}")
        for turn in (1, 2)
        for case in range(cases)
        for destination in destinations
    ]
    await desk.service.pool.executemany(
        "INSERT INTO outbound (site_id, delivery_id, destination, form, case_id, report_id, report_revision, status,"
        " message, message_digest, message_control_id, document, caused_by, traceparent, next_attempt_at, created_at)"
        " VALUES ($1, $2, $3, 'oru', $4, $5, 1, 'R', $7, $10, $6, '', $2, $8, $9, $9)",
        [(*row, saying(row[-1]), TRACEPARENT, NOON, codec.sha256(saying(row[-1]))) for row in rows],
    )


async def test_an_operator_lists_and_retries_what_was_given_up(
    desk: Desk, stack: StackThread, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`overread deliveries`: by delivery's own role, with an audit record, and without the receiver's words."""
    row = an_outbound_row()
    await _insert(desk, row, Status.UNVERIFIED)
    await _give_up(desk)
    endpoints = replace(stack.endpoints, site_id=desk.site)
    monkeypatch.setattr(Endpoints, "of", lambda _folder: endpoints)
    told = argparse.Namespace(data=Path(), words=False, delivery_id=[row.delivery_id])

    await asyncio.to_thread(deliveries.run_list, told)
    await asyncio.to_thread(deliveries.run_retry, told)
    with pytest.raises(OverreadError, match=str(row.delivery_id)):
        await asyncio.to_thread(deliveries.run_retry, told)

    recorded = await desk.service.pool.fetch("SELECT value FROM outbox WHERE topic = 'audit.recorded' ORDER BY id")
    acts = [codec.decode(r["value"], topics.AUDIT_RECORDED.bodies).data for r in recorded]
    mine = [act.outcome for act in acts if isinstance(act, Recorded) and act.object_id == str(row.delivery_id)]
    assert (await desk.sent(), mine) == ([(1, "R", "waiting")], ["done", "refused"])
    assert capsys.readouterr().out.splitlines() == [
        f"{row.delivery_id}  emr  oru  R  given_up  1  AE",
        f"{row.delivery_id}  is sent again",
    ]


async def test_a_receivers_words_stay_in_deliverys_own_row(desk: Desk) -> None:
    """They may quote the patient: other services hear codes and places alone."""
    await _insert(desk, an_outbound_row(), Status.UNVERIFIED)
    row = await desk.outbox().next_row()
    assert row is not None

    why = store.Why(reason="AE 204 PID^1^5", receiver_text="unknown patient TEST^PATIENT")
    await desk.outbox().end(row, DeliveryOutcome.GIVEN_UP, why)

    [done] = await desk.published()
    async with desk.service.transaction() as tx:
        [listed] = await operator_store.not_taken(tx.connection, desk.site)
    assert (done.reason, "TEST^PATIENT" in done.model_dump_json()) == ("AE 204 PID^1^5", False)
    assert listed["receiver_text"] == "unknown patient TEST^PATIENT"


async def test_a_message_is_overtaken_when_a_later_one_of_its_report_waits(desk: Desk) -> None:
    """Only of its own report, and only one that still is to leave."""
    await _insert(desk, an_outbound_row(1), Status.UNVERIFIED)
    row = await desk.outbox().next_row()
    assert row is not None
    await _insert(desk, an_outbound_row(2), Status.UNVERIFIED, case="b")
    before = await desk.outbox().is_overtaken(row)

    await _insert(desk, an_outbound_row(3), Status.CANCELLED)

    assert (before, await desk.outbox().is_overtaken(row)) == (False, True)


async def test_an_order_dropped_after_an_upgrade_is_withdrawn_in_the_bytes_that_were_signed(desk: Desk) -> None:
    """REQ-DSK-10: a document from before a field was known reads with it, but was signed without."""
    wrong, right = (a_service_request(order_id=UUID(int=n), placer_order_number=f"P{n}") for n in (1, 2))
    older = a_signed_document(orders=(wrong,), **desk.names)
    raw = codec.document_bytes(older).replace(b'"parent_order_number":"",', b"")
    assert raw != codec.document_bytes(older)
    await desk.hear_case(desk.case(orders=(wrong,)))
    await desk.hear_signed(desk.signed_as(raw, older))
    await desk.judge()

    await desk.hear_case(desk.case(revision=2, orders=(right,)))
    await desk.hear_signed(desk.signed(report_revision=2, orders=(right,)))
    await desk.judge()

    assert await desk.sent() == [(1, "F", "waiting"), (1, "W", "waiting"), (2, "C", "waiting")]


async def test_rows_of_the_insurance_table_reach_their_folder_and_one_that_can_not_be_made_is_named(
    desk: Desk, tmp_path: Path
) -> None:
    """REQ-OUT-32, REQ-OUT-35: by the same gate, rows and sender; a correction names the file that it replaces."""
    folder = a_folder(str(tmp_path), site_id=desk.site)
    desk.destinations = (folder,)
    insured: dict[str, Any] = {"patient": INSURED, "orders": (ORDER,)}
    nameless = ORDER.model_copy(update={"service": None})
    dispatch = asyncio.create_task(Dispatch(desk.service, desk.settings, desk.destinations).run())

    await desk.hear_case(desk.case(**insured))
    for revision in (1, 2):
        await desk.hear_signed(desk.signed(report_revision=revision, **insured))
    await _ended(desk, 2)
    await desk.hear_case(desk.case(revision=99, patient=INSURED, orders=(nameless,)))
    await desk.hear_signed(desk.signed(report_revision=3, patient=INSURED, orders=(nameless,)))
    *_, untold = await _ended(desk, 3)
    dispatch.cancel()

    heads = _heads(tmp_path)
    assert [(head["revision"], head["status"]) for head in heads] == [("1", "F"), ("2", "C")]
    assert heads[1]["replaces"] == f"{heads[0]['result']}-1-F"
    assert (untold.destination, untold.outcome) == ("insurance", DeliveryOutcome.GIVEN_UP)
    assert "MA_DICH_VU" in untold.reason
    assert await _released(desk) == [desk.report_id] * 3


async def _ended(desk: Desk, count: int) -> list[DeliveryDone]:
    """Return how so many messages ended, once they have."""
    ended: list[DeliveryDone] = []
    async with asyncio.timeout(10):
        while len(ended) < count:
            await asyncio.sleep(0.02)
            ended = [done for done in await desk.published() if isinstance(done, DeliveryDone)]
    return ended


def _heads(folder: Path) -> list[Mapping[str, str]]:
    return [xml4.head_of(path.read_bytes()) for path in sorted(folder.glob("*.xml"))]


async def _give_up(desk: Desk) -> None:
    open_row = await desk.outbox().next_row()
    assert open_row is not None
    await desk.outbox().mark_sending(open_row)
    await desk.outbox().end(open_row, DeliveryOutcome.GIVEN_UP, store.Why(reason="AE"))


async def _retry(desk: Desk, row: store.OutboundRow) -> bool:
    async with desk.service.transaction() as tx:
        return await operator_store.retry(tx.connection, desk.site, row.delivery_id, NOON)


async def test_a_signed_report_reaches_its_destination(desk: Desk) -> None:
    """From the signature to the acknowledgment, woken by the database, with every step said to the others."""
    got: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                frame = (await reader.readuntil(b"\x1c\r"))[1:-2]
                got.append(frame)
                control_id = frame.split(b"|")[9]
                writer.write(mllp.encode(b"MSH|^~\\&|EMR||||20261122||ACK|A|P|2.5.1\rMSA|AA|" + control_id + b"\r"))
        writer.close()

    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    destinations = (a_destination(site_id=desk.site, url=f"mllp://127.0.0.1:{port}"),)
    dispatch = asyncio.create_task(Dispatch(desk.service, desk.settings, destinations).run())
    desk.handlers = Handlers(desk.settings, destinations)

    await desk.hear_case(desk.case())
    await desk.hear_draft()
    await desk.hear_signed(desk.signed())
    async with asyncio.timeout(10):
        while [state for *_, state in await desk.sent()] != ["acknowledged", "acknowledged"]:  # noqa: ASYNC110 - the database says when
            await asyncio.sleep(0.02)
    dispatch.cancel()
    await asyncio.gather(dispatch, return_exceptions=True)
    server.close()

    assert [read_back(frame).status.value for frame in got] == ["R", "F"]
    said = await desk.published()
    assert {type(body).__name__ for body in said} == {"GateDecided", "DeliveryDone"}
    assert [body.status for body in said if isinstance(body, DeliveryDone)] == ["R", "F"]


async def test_a_page_in_the_message_arrives_as_it_was_rendered_each_time(desk: Desk) -> None:
    """REQ-OUT-30, REQ-ONE-05: the receiver decodes what the gate compared, also when the same bytes come again."""
    got: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                got.append((await reader.readuntil(b"\x1c\r"))[1:-2])
                code = b"AE" if len(got) == 1 else b"AA"
                answer = b"MSH|^~\\&|EMR||||20261122||ACK|A|P|2.5.1\rMSA|" + code + b"|" + got[-1].split(b"|")[9]
                writer.write(mllp.encode(answer + b"\r"))
        writer.close()

    server = await asyncio.start_server(peer, "127.0.0.1", 0, limit=2**20)
    url = f"mllp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    page = {"attach": "embedded", "what": ["pdf"]}
    desk.destinations = (a_destination(site_id=desk.site, url=url, attachments=page),)
    dispatch = asyncio.create_task(Dispatch(desk.service, desk.settings, desk.destinations).run())

    await desk.hear_case(desk.case())
    await desk.hear_signed(desk.signed())
    await _ended(desk, 1)
    dispatch.cancel()
    server.close()

    [attached] = read_back(got[0], desk.destinations[0].layout).attachments
    assert attached.content.startswith(b"%PDF-")
    assert got[0] == got[1] == await desk.service.pool.fetchval(NEWEST_MESSAGE, desk.site)


async def test_only_one_process_sends_at_a_time(desk: Desk) -> None:
    """The lock goes with the connection: a second process waits, and takes over when the first has gone."""
    entered: list[str] = []

    async def dispatcher(name: str, leave: asyncio.Event) -> None:
        async with sole_dispatcher(desk.service.pool, lambda: None):
            entered.append(name)
            await leave.wait()

    leave_first, leave_second = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(dispatcher("first", leave_first))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(dispatcher("second", leave_second))
    await asyncio.sleep(0.1)
    assert entered == ["first"]

    leave_first.set()
    leave_second.set()
    await asyncio.gather(first, second)

    assert entered == ["first", "second"]
