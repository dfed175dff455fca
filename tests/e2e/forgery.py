"""What an attacker writes: reports signed by a key of nobody's, true ones altered, events in another's name."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its types export nothing by name
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from overread.contracts import codec
from overread.contracts.envelope import Body, event_of
from overread.contracts.errors import Unavailable
from overread.contracts.events.cases import Case, CaseBody
from overread.contracts.events.reports import ReportDocument, ReportSigned, Signer, Verdict
from overread.contracts.topics import CASES_CHANGED, REPORTS_SIGNED, Topic
from overread.embedded import kafka_admin
from overread.embedded.kafka import ADMIN
from overread.runtime import signatures
from overread.runtime.publisher import Outgoing
from overread.runtime.telemetry import new_traceparent
from tests.e2e.hospital import Hospital, Visit

PASSWORD = b"nobody's password"
RIGHT_SECONDS = 20.0
REPLY_SECONDS = 15.0


def an_outgoing(hospital: Hospital, topic: Topic, body: Body, *, source: str, subject: str) -> Outgoing:
    """Return `body` as a record of `topic` that says it comes from `source`."""
    event = event_of(
        body,
        source=source,
        time=datetime.now(UTC),
        subject=subject,
        site_id=hospital.endpoints.site_id,
        traceparent=new_traceparent(),
        own_key=str(uuid4()),
        caused_by=None,
    )
    return Outgoing(topic.name, topic.key_of(event), codec.encode(event))


def signed_outgoing(hospital: Hospital, signed: ReportSigned) -> Outgoing:
    """Return a signed report as `review` would publish it."""
    return an_outgoing(hospital, REPORTS_SIGNED, signed, source="review", subject=str(signed.report_id))


def forged(hospital: Hospital, visit: Visit, **changed: Any) -> ReportSigned:
    """Return a signed report that says all the right things under a site CA of the forger's own."""
    report, now = hospital.user().report(visit), datetime.now(UTC)
    assert report is not None
    signer = Signer(subject="radiologist", family_name="BÁC SĨ", given_name="MẪU")
    said = {"signed_by": signer, "signed_at": now, "verdict": Verdict.ACCEPTED, **changed}
    document = ReportDocument.model_validate(report["document"]).model_copy(update=said)
    raw, site_id = codec.document_bytes(document), hospital.endpoints.site_id
    ca = signatures.make_site_ca(site_id, now=now - timedelta(days=1), password=PASSWORD)
    key = signatures.certify_clinician(ca, "radiologist", site_id, now=now - timedelta(hours=1), password=PASSWORD)
    return ReportSigned(
        case_id=document.case_id,
        report_id=document.report_id,
        report_revision=document.report_revision,
        document_base64=base64.b64encode(raw).decode(),
        digest=codec.sha256(raw),
        signature_base64=base64.b64encode(signatures.sign(raw, key, password=PASSWORD)).decode(),
        certificate_pem=key.certificate_pem.decode(),
        signed_at=now,
    )


def truly_signed(hospital: Hospital, report_id: str, report_revision: int, **changed: Any) -> ReportSigned:
    """Return a report as a clinician really signed it, out of review's own tables; any field can be given otherwise."""
    row = hospital.row(
        "review",
        "SELECT document, digest, signature, certificate_pem, signed_at FROM signatures"
        " WHERE report_id = $1::text::uuid AND report_revision = $2::text::integer",
        report_id,
        str(report_revision),
    )
    document = ReportDocument.model_validate_json(row["document"])
    fields = {
        "case_id": document.case_id,
        "report_id": document.report_id,
        "report_revision": document.report_revision,
        "document_base64": base64.b64encode(row["document"]).decode(),
        "digest": row["digest"],
        "signature_base64": base64.b64encode(row["signature"]).decode(),
        "certificate_pem": row["certificate_pem"],
        "signed_at": row["signed_at"],
    }
    return ReportSigned.model_validate(fields | changed)


def with_another_document(signed: ReportSigned, old: bytes, new: bytes) -> ReportSigned:
    """Return `signed` with its document altered after the signature, and the digest that fits the altered one."""
    raw = base64.b64decode(signed.document_base64).replace(old, new)
    return signed.model_copy(update={"document_base64": base64.b64encode(raw).decode(), "digest": codec.sha256(raw)})


def case_of(hospital: Hospital, visit: Visit) -> Case:
    """Return the visit's case as a reader sees it now."""
    [found] = hospital.user().cases(visit)
    return Case.model_validate(found["case"])


def a_case_event(hospital: Hospital, kind: type[CaseBody], case: Case, **more: Any) -> Outgoing:
    """Return what assembly would say when `case` had become so: its next revision, with patient or orders moved."""
    moved = case.model_copy(update={"revision": case.revision + 1, "identity_version": case.identity_version + 1})
    body = kind.model_validate({"case_id": case.case_id, "case": moved, **more})
    return an_outgoing(hospital, CASES_CHANGED, body, source="assembly", subject=str(case.case_id))


@contextmanager
def a_user_with_the_right(hospital: Hospital, user: str, topic: Topic) -> Iterator[None]:
    """Give the broker one more user, who may write `topic`; take both away again."""
    admin: Any = AdminClient(
        kafka_admin.connection(hospital.endpoints.ports.kafka, ADMIN, hospital.endpoints.kafka_password(ADMIN))
    )
    strength = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    password = hospital.endpoints.kafka_password(user).encode()
    rights = [_right(user, topic, operation) for operation in (AclOperation.WRITE, AclOperation.DESCRIBE)]
    _done(admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, strength, password)]))
    _done(admin.create_acls(rights))
    try:
        yield
    finally:
        anything = (ResourceType.ANY, None, ResourcePatternType.ANY)
        theirs: Any = (*anything, f"User:{user}", None, AclOperation.ANY, AclPermissionType.ANY)
        _done(admin.delete_acls([AclBindingFilter(*theirs)]))
        gone = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)
        _done(admin.alter_user_scram_credentials([gone]))


def publish_once_allowed(hospital: Hospital, user: str, record: Outgoing) -> None:
    """Publish as a user whose right was given just now: the broker lives by it a moment later."""
    deadline = time.monotonic() + RIGHT_SECONDS
    while True:
        try:
            hospital.publish(user, record)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return


def _right(user: str, topic: Topic, operation: Any) -> Any:
    pattern, allow = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    return AclBinding(ResourceType.TOPIC, topic.name, pattern, f"User:{user}", "*", operation, allow)


def _done(futures: Any) -> None:
    for future in futures.values():
        future.result(timeout=REPLY_SECONDS)
