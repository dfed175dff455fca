"""Signed reports and the circumstances in which delivery's gate judges them, each in one line."""

import asyncio
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from overread.contracts import codec
from overread.contracts.events.deliveries import DeliveryOutcome
from overread.contracts.events.reports import ReportDocument
from overread.delivery.destinations import Destination, DicomDestination, FhirDestination, Hl7Destination
from overread.delivery.gate import Circumstances, ReleaseRequest
from overread.delivery.large_messages import ObjectsAway
from overread.delivery.sending import Patience
from overread.delivery.sequence import Status
from overread.delivery.store import OutboundRow, StoredCause, Why
from overread.delivery.telling import Occasion, Telling
from overread.protocols.hl7.oru_content import Party
from overread.runtime import signatures
from overread.runtime.signatures import Certified
from tests.builders.events import (
    CASE_ID,
    NOON,
    REPORT_ID,
    SITE,
    TRACEPARENT,
    a_case,
    a_report_document,
    a_signed_document,
)

PASSWORD = b"synthetic password"
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


HASTE = Patience(
    connect_seconds=1.0,
    acknowledgment_seconds=0.15,
    first_retry_seconds=0.01,
    longest_retry_seconds=0.02,
    longest_refusal_seconds=0.02,
    idle_seconds=0.01,
)
"""A sender that tries again at once."""


@cache
def a_site_ca(site_id: str = SITE) -> Certified:
    """Return the CA of a site; the same one all through a test run."""
    return signatures.make_site_ca(site_id, now=NOON, password=PASSWORD)


@cache
def a_clinician(subject: str = "dr.test", site_id: str = SITE) -> Certified:
    """Return a clinician's key, certified by the site's CA."""
    return signatures.certify_clinician(a_site_ca(), subject, site_id, now=NOON, password=PASSWORD)


def a_release_request(
    document: ReportDocument | None = None, *, signer: Certified | None = None, **changed: Any
) -> ReleaseRequest:
    """Return a document that a clinician really signed; any field can be given otherwise."""
    content = document or a_signed_document()
    raw = codec.document_bytes(content)
    clinician = signer or a_clinician()
    fields: dict[str, Any] = {
        "site_id": content.site_id,
        "case_id": content.case_id,
        "report_id": content.report_id,
        "report_revision": content.report_revision,
        "document": raw,
        "digest": codec.sha256(raw),
        "signature": signatures.sign(raw, clinician, password=PASSWORD),
        "certificate_pem": clinician.certificate_pem.decode(),
        "signed_at": content.signed_at,
    }
    return ReleaseRequest(**fields | changed)


def a_destination(**changed: Any) -> Hl7Destination:
    """Return an EMR that takes results under `R`, ordered or not."""
    fields = {
        "name": "emr",
        "kind": "hl7",
        "url": "mllp://127.0.0.1:2580",
        "site_id": SITE,
        "receiving_application": "EMR",
        "receiving_facility": "TEST",
        "send_unverified": "R",
        "unsolicited": True,
    }
    return Hl7Destination.model_validate(fields | changed)


def a_fhir_destination(**changed: Any) -> FhirDestination:
    """Return a FHIR server that takes results as `partial`, ordered or not."""
    fields = {
        "name": "portal",
        "kind": "fhir",
        "url": "http://127.0.0.1:2581/fhir",
        "site_id": SITE,
        "send_unverified": "partial",
        "unsolicited": True,
    }
    return FhirDestination.model_validate(fields | changed)


def a_dicom_destination(**changed: Any) -> DicomDestination:
    """Return an archive that takes every form, unverified or not, ordered or not."""
    fields = {
        "name": "pacs",
        "kind": "dicom",
        "url": "dicom://PACS@127.0.0.1:2582",
        "site_id": SITE,
        "send_unverified": "unverified",
        "unsolicited": True,
    }
    return DicomDestination.model_validate(fields | changed)


def a_telling(
    document: ReportDocument | None = None,
    destination: Destination | None = None,
    *,
    status: Status = Status.FINAL,
    **changed: Any,
) -> Telling[Any]:
    """Return one report for one destination: by default a signed one for the EMR."""
    content = document or (a_signed_document() if status.is_signed else a_report_document())
    fields: dict[str, Any] = {
        "document": content,
        "raw": codec.document_bytes(content),
        "destination": destination or a_destination(),
        "status": status,
        "occasion": an_occasion(),
    }
    return Telling(**fields | changed)


def an_occasion(**changed: Any) -> Occasion:
    """Return six minutes past the draft, on a Vietnamese hospital's clock."""
    fields: dict[str, Any] = {
        "sending": Party(application="OVERREAD", facility="TEST"),
        "time_zone": HANOI,
        "now": NOON + timedelta(minutes=6),
    }
    return Occasion(**fields | changed)


def some_circumstances(**changed: Any) -> Circumstances:
    """Return what delivery knows when nothing stands in the way of `a_release_request()`."""
    fields: dict[str, Any] = {
        "root_pem": a_site_ca().certificate_pem.decode(),
        "has_read_to_the_end": True,
        "case": a_case(),
        "released_revision": None,
        "earlier": {},
        "destinations": (a_destination(),),
        "occasion": an_occasion(),
    }
    return Circumstances(**fields | changed)


def an_outbound_row(number: int = 1, **changed: Any) -> OutboundRow:
    """Return a stored message with the control ID `TEST-<number>`."""
    control_id = f"TEST-{number}"
    message = f"MSH|^~\\&|OVERREAD|TEST|EMR|TEST|20261122190000+0700||ORU^R01^ORU_R01|{control_id}|T|2.5.1\r".encode()
    fields: dict[str, Any] = {
        "site_id": SITE,
        "delivery_id": uuid4(),
        "destination": "emr",
        "form": "oru",
        "case_id": CASE_ID,
        "report_id": REPORT_ID,
        "report_revision": 1,
        "status": Status.FINAL,
        "message": message,
        "message_digest": codec.sha256(message),
        "message_control_id": control_id,
        "attempts": 0,
        "cause": StoredCause(id=uuid4(), site_id=SITE, traceparent=TRACEPARENT),
    }
    return OutboundRow(**fields | changed)


class Rows:
    """The outbox of one destination in memory."""

    def __init__(self, *rows: OutboundRow) -> None:
        self.waiting = list(rows)
        self.ended: list[tuple[str, DeliveryOutcome, str]] = []
        self.postponed: list[str] = []
        self.held: list[tuple[str, str]] = []
        self.receivers_words: list[str] = []
        self.not_at_hand: list[str] = []
        self.done = asyncio.Event()

    async def next_row(self) -> OutboundRow | None:
        return self.waiting[0] if self.waiting else None

    async def with_message(self, row: OutboundRow) -> OutboundRow:
        if row.message_control_id in self.not_at_hand:
            self.not_at_hand.remove(row.message_control_id)
            raise ObjectsAway("the disk is at its watermark")
        return row

    async def mark_sending(self, row: OutboundRow) -> bool:
        return row in self.waiting

    async def postpone(self, row: OutboundRow, delay: timedelta, why: Why) -> None:
        self.postponed.append(why.reason)
        self.receivers_words.append(why.receiver_text)
        self.waiting.sort(key=lambda waiting: waiting is row)

    async def hold(self, row: OutboundRow, why: Why) -> None:
        """Take it out, with what is behind it in its case."""
        self.waiting = [other for other in self.waiting if other.case_id != row.case_id]
        self.held.append((row.message_control_id, why.reason))
        if not self.waiting:
            self.done.set()

    async def is_overtaken(self, row: OutboundRow) -> bool:
        return any(other is not row and other.report_id == row.report_id for other in self.waiting)

    async def end(self, row: OutboundRow, outcome: DeliveryOutcome, why: Why) -> None:
        self.waiting.remove(row)
        self.ended.append((row.message_control_id, outcome, why.reason))
        self.receivers_words.append(why.receiver_text)
        if not self.waiting:
            self.done.set()
