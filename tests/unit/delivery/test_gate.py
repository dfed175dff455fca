"""The gate refuses whatever is not exactly what an entitled clinician signed about the case as it is now."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from overread.contracts import codec
from overread.contracts.events.cases import Case
from overread.contracts.events.orders import OrderStatus, PatientIdentifier
from overread.contracts.events.reports import SeenCase
from overread.delivery import gate, oru_form
from overread.delivery.gate import Held, Released, ReleaseRequest, Wait
from overread.delivery.sequence import Position, Status
from overread.protocols.hl7 import oru
from overread.protocols.hl7.data_types import CodedElement, Practitioner
from overread.protocols.hl7.oru_content import Numeric, OruContent, ResultStatus
from overread.protocols.hl7.oru_reading import read_back
from overread.runtime import signatures
from tests.builders.delivery import (
    PASSWORD,
    a_clinician,
    a_destination,
    a_release_request,
    a_site_ca,
    some_circumstances,
)
from tests.builders.events import (
    NOON,
    SITE,
    a_case,
    a_finding,
    a_patient,
    a_service_request,
    a_signed_document,
    a_signer,
    a_study,
)


def test_gate_releases_what_was_signed_and_has_not_moved() -> None:
    """REQ-REV-01: the signed report leaves as F, with the clinician's own findings and name."""
    request = a_release_request()

    verdict = gate.check(request, some_circumstances())

    assert isinstance(verdict, Released)
    said = read_back(verdict.messages[0].message)
    assert said.status is ResultStatus.FINAL
    assert said.signer is not None
    assert said.signer.id_number == "dr.test"
    assert said.observations[0].value == Numeric(value="5512.3", unit=said.observations[0].value.unit)  # type: ignore[union-attr]
    assert said.accession_number == "TEST-ACC-1"
    assert said.processing_id == "T"


def test_released_messages_are_the_same_bytes_for_the_same_occasion() -> None:
    """Rendering is a function: nothing random decides what a receiver gets."""
    request, known = a_release_request(), some_circumstances()

    verdicts = [gate.check(request, known) for _ in range(2)]

    assert verdicts[0] == verdicts[1]


def _other_ca() -> str:
    return signatures.make_site_ca(SITE, now=NOON, password=PASSWORD).certificate_pem.decode()


def _with_bytes(raw: bytes) -> ReleaseRequest:
    signature = signatures.sign(raw, a_clinician(), password=PASSWORD)
    return dataclasses.replace(a_release_request(), document=raw, digest=codec.sha256(raw), signature=signature)


def _with_other_bytes() -> ReleaseRequest:
    raw = codec.document_bytes(a_signed_document(findings=(a_finding(value="1.0"),)))
    return dataclasses.replace(a_release_request(), document=raw, digest=codec.sha256(raw))


FORGED: dict[str, tuple[Callable[[], ReleaseRequest], str]] = {
    "digest": (lambda: a_release_request(digest="0" * 64), "digest"),
    "other bytes": (_with_other_bytes, "not the one that was signed"),
    "no document": (lambda: _with_bytes(b"{}"), "not readable"),
    "another site's certificate": (lambda: a_release_request(signer=a_clinician(site_id="other")), "another site"),
    "the CA's own key": (lambda: a_release_request(signer=a_site_ca()), "another site"),
    "expired certificate": (
        lambda: a_release_request(a_signed_document(signed_at=NOON + timedelta(days=366))),
        "not valid when the report was signed",
    ),
    "another signer": (
        lambda: a_release_request(a_signed_document(signed_by=a_signer(subject="dr.other"))),
        "another signer",
    ),
    "no signer": (lambda: a_release_request(a_signed_document(signed_by=None)), "another signer"),
    "another time": (lambda: a_release_request(signed_at=NOON + timedelta(minutes=4)), "another time"),
    "another report": (lambda: a_release_request(report_id=uuid4()), "another report"),
    "another case": (lambda: a_release_request(case_id=uuid4()), "another report"),
    "another revision": (lambda: a_release_request(report_revision=2), "another report"),
    "document of another site": (
        lambda: a_release_request(a_signed_document(site_id="other"), site_id=SITE),
        "another report",
    ),
}


@pytest.mark.parametrize("fault", FORGED)
def test_gate_holds_a_report_that_nobody_entitled_signed(fault: str) -> None:
    """REQ-REV-01: signature, certificate, signer and report must all fit; each alone is enough to hold."""
    build, reason = FORGED[fault]

    verdict = gate.check(build(), some_circumstances())

    assert isinstance(verdict, Held)
    assert reason in verdict.reason


def test_gate_holds_a_certificate_of_another_root() -> None:
    """Only the root that delivery holds itself counts, not one that came with the event."""
    known = some_circumstances(root_pem=_other_ca())

    verdict = gate.check(a_release_request(), known)

    assert verdict == Held("the clinician's certificate was not issued by this site's CA")


def test_gate_waits_without_a_root() -> None:
    """Without a root nothing can be judged: that is no fault of the report."""
    known = some_circumstances(root_pem=None)

    verdict = gate.check(a_release_request(), known)

    assert isinstance(verdict, Wait)


def test_gate_waits_until_the_cases_are_read_to_their_end() -> None:
    """A cancellation that the broker holds already must count, so the gate first reads up to the end."""
    known = some_circumstances(has_read_to_the_end=False)

    verdict = gate.check(a_release_request(), known)

    assert isinstance(verdict, Wait)


def test_gate_does_not_wait_for_cases_to_refuse_a_forgery() -> None:
    """What nobody signed is refused at once."""
    known = some_circumstances(has_read_to_the_end=False)

    verdict = gate.check(a_release_request(digest="0" * 64), known)

    assert isinstance(verdict, Held)


OTHER_PATIENT = a_patient(identifiers=(PatientIdentifier(id_number="TEST-0002", assigning_authority="HIS"),))
SECOND_ORDER = a_service_request(order_id=uuid4(), placer_order_number="TEST-PLACER-2")

MOVED: dict[str, tuple[Case | None, str]] = {
    "unknown": (None, "not known"),
    "withdrawn": (a_case(is_withdrawn=True), "withdrawn"),
    "cancelled": (a_case(orders=(a_service_request(status=OrderStatus.CANCELLED),)), "cancelled"),
    "identity": (a_case(identity_version=2), "patient or order changed"),
    "identifiers": (a_case(patient=OTHER_PATIENT), "identifiers"),
    "order added": (a_case(orders=(a_service_request(), SECOND_ORDER)), "orders changed"),
    "order gone": (a_case(orders=()), "orders changed"),
    "placer number": (a_case(orders=(a_service_request(placer_order_number="TEST-9"),)), "orders changed"),
    "filler number": (a_case(orders=(a_service_request(filler_order_number="TEST-9"),)), "orders changed"),
    "accession": (a_case(orders=(a_service_request(accession_number="TEST-9"),)), "orders changed"),
    "late image": (a_case(study=a_study(study_revision=2)), "images changed"),
    "manifest": (a_case(study=a_study(manifest_digest="1" * 64)), "images changed"),
    "no study": (a_case(study=None), "another one"),
    "another study": (a_case(study_instance_uid="1.2.3"), "another one"),
}


@pytest.mark.parametrize("change", MOVED)
def test_gate_holds_a_report_whose_case_has_moved(change: str) -> None:
    """Identity, order or images changed after the signature: held for re-confirmation, never sent."""
    case, reason = MOVED[change]

    verdict = gate.check(a_release_request(), some_circumstances(case=case))

    assert isinstance(verdict, Held)
    assert reason in verdict.reason


def test_gate_holds_a_report_whose_images_are_out_of_date_before_the_newer_ones_are_complete() -> None:
    """A late image is told at once, and the case keeps its old study until the next one is complete."""
    verdict = gate.check(a_release_request(), some_circumstances(superseded_revision=1))

    assert verdict == Held("newer images came: to be confirmed again")


def test_gate_releases_a_report_of_the_images_that_came_after_those_out_of_date() -> None:
    """What is out of date says nothing of the study revision that took its place."""
    newer = some_circumstances(case=a_case(study=a_study(study_revision=2)), superseded_revision=1)

    verdict = gate.check(a_release_request(a_signed_document(study_revision=2)), newer)

    assert isinstance(verdict, Released)


@pytest.mark.parametrize("word", [{}, {"released_by": "dr.test", "released_case_revision": 1}], ids=["signed", "word"])
def test_gate_waits_while_a_word_on_the_case_is_set_aside_unread(word: dict[str, Any]) -> None:
    """What is set aside counts as read by its offset, and nobody knows what it says: the report alone waits."""
    verdict = gate.check(a_release_request(**word), some_circumstances(has_case_letter=True))

    assert isinstance(verdict, Wait)
    assert verdict.is_its_own


A_WORD: dict[str, Any] = {"released_by": "dr.test", "released_case_revision": 1}
"""The word of a clinician who saw the case as `a_case()` has it."""


def test_a_clinicians_word_lets_a_moved_report_out_and_nothing_else() -> None:
    """Held, then released as it was signed: the comparison with the case is answered, the signature still is not."""
    moved = some_circumstances(case=a_case(identity_version=2))

    released = gate.check(a_release_request(**A_WORD), moved)
    forged = gate.check(a_release_request(**A_WORD, digest="0" * 64), moved)

    assert isinstance(released, Released)
    assert isinstance(forged, Held)


@pytest.mark.parametrize("seen", [1, 3, None])
def test_a_clinicians_word_answers_for_the_case_that_was_seen_and_for_no_other(seen: int | None) -> None:
    """Held for one change and released; another that lands before the gate was on nobody's screen (a merge, say)."""
    merged = some_circumstances(case=a_case(revision=2, identity_version=2, patient=OTHER_PATIENT))

    verdict = gate.check(a_release_request(released_by="dr.test", released_case_revision=seen), merged)

    assert verdict == Held("the case moved after what the releasing clinician saw: to be confirmed again")


def a_seen_case(**changed: Any) -> SeenCase:
    """Return how far the case of `A_WORD` had moved when it was given."""
    return SeenCase.of(a_case(identity_version=2), 0).model_copy(update=changed)


def test_a_clinicians_word_stands_while_the_case_moves_in_nothing_that_a_report_rests_on() -> None:
    """A laboratory's value that lands between word and gate raises the case's revision, and changes no report."""
    with_a_value = some_circumstances(case=a_case(revision=9, identity_version=2))

    verdict = gate.check(a_release_request(**A_WORD, released_case=a_seen_case()), with_a_value)

    assert isinstance(verdict, Released)


@pytest.mark.parametrize(
    "seen",
    [
        {"identity_version": 1},
        {"study_revision": 2},
        {"manifest_digest": "f" * 64},
        {"superseded_revision": 1},
    ],
    ids=lambda moved: next(iter(moved)),
)
def test_a_clinicians_word_falls_with_anything_that_a_report_rests_on(seen: dict[str, Any]) -> None:
    """Patient, order or images were others on the clinician's screen, whatever number the case has."""
    known = some_circumstances(case=a_case(identity_version=2))

    verdict = gate.check(a_release_request(**A_WORD, released_case=a_seen_case(**seen)), known)

    assert verdict == Held("the case moved after what the releasing clinician saw: to be confirmed again")


@pytest.mark.parametrize("case", [a_case(is_withdrawn=True), None], ids=["withdrawn", "unknown"])
def test_no_word_lets_a_report_of_a_withdrawn_or_unknown_case_out(case: Case | None) -> None:
    """Such a study is nobody's, or we know nothing of it: the clinician withdraws the report."""
    verdict = gate.check(a_release_request(**A_WORD), some_circumstances(case=case))

    assert isinstance(verdict, Held)


def test_a_clinicians_word_waits_as_a_signature_does() -> None:
    """The gate judges nothing before it has read what there is of the case."""
    verdict = gate.check(a_release_request(**A_WORD), some_circumstances(has_read_to_the_end=False))

    assert isinstance(verdict, Wait)


def test_gate_lets_a_report_out_whose_other_order_was_cancelled_before_it_was_signed() -> None:
    """The clinician signed knowing of the cancellation; the order that stands gets its answer, the other none."""
    orders = (a_service_request(), SECOND_ORDER.model_copy(update={"status": OrderStatus.CANCELLED}))

    verdict = gate.check(
        a_release_request(a_signed_document(orders=orders)), some_circumstances(case=a_case(orders=orders))
    )

    assert isinstance(verdict, Released)
    assert [message.order_id for message in verdict.messages] == [orders[0].order_id]


def test_gate_holds_a_report_all_of_whose_orders_are_cancelled() -> None:
    """Nobody asks for it any more: a person decides."""
    orders = (a_service_request(status=OrderStatus.CANCELLED),)

    verdict = gate.check(
        a_release_request(a_signed_document(orders=orders)), some_circumstances(case=a_case(orders=orders))
    )

    assert isinstance(verdict, Held)


def test_each_order_of_a_study_gets_its_own_message() -> None:
    """Accession and study are many to many: every order that was read is answered."""
    orders = (a_service_request(), SECOND_ORDER)

    verdict = gate.check(
        a_release_request(a_signed_document(orders=orders)), some_circumstances(case=a_case(orders=orders))
    )

    assert isinstance(verdict, Released)
    assert {message.order_id for message in verdict.messages} == {order.order_id for order in orders}
    assert len({message.message_control_id for message in verdict.messages}) == 2


@pytest.mark.parametrize("released", [1, 2])
def test_gate_holds_a_revision_that_is_not_newer_than_what_it_released(released: int) -> None:
    """A revision is released once; an older one never follows a newer."""
    verdict = gate.check(a_release_request(), some_circumstances(released_revision=released))

    assert isinstance(verdict, Held)


def test_gate_holds_a_report_that_a_destination_is_ahead_of() -> None:
    """A lower (revision, status) never follows a higher; a clinician hears of it, nothing is dropped in silence."""
    earlier = {"emr": (Position(report_revision=2, status=Status.UNVERIFIED),)}

    verdict = gate.check(a_release_request(), some_circumstances(earlier=earlier))

    assert verdict == Held("a later result of this report went to emr already")


def test_second_signed_revision_is_a_correction() -> None:
    """OBR-25: after F only C replaces it, with the reason in NTE (HL7 v2.5.1, OBX-11)."""
    earlier = {"emr": (Position(report_revision=1, status=Status.FINAL),)}
    known = some_circumstances(earlier=earlier, released_revision=1)

    verdict = gate.check(a_release_request(a_signed_document(report_revision=2)), known)

    assert isinstance(verdict, Released)
    said = read_back(verdict.messages[0].message)
    assert said.status is ResultStatus.CORRECTED
    assert said.reason


def test_a_study_nobody_ordered_goes_only_where_that_is_wanted() -> None:
    """Without an order a study is read, and sent only to destinations with `unsolicited`."""
    wants, refuses = a_destination(name="wants"), a_destination(name="refuses", unsolicited=False)
    known = some_circumstances(case=a_case(orders=()), destinations=(wants, refuses))

    verdict = gate.check(a_release_request(a_signed_document(orders=())), known)

    assert isinstance(verdict, Released)
    assert [message.destination for message in verdict.messages] == ["wants"]


def test_results_never_go_to_another_sites_destination() -> None:
    """Many hospitals share one network; each gets its own results only."""
    known = some_circumstances(destinations=(a_destination(site_id="other"),))

    verdict = gate.check(a_release_request(), known)

    assert verdict == Released(())


def _with_value(content: OruContent, value: Any) -> OruContent:
    first = dataclasses.replace(content.observations[0], **value)
    return dataclasses.replace(content, observations=(first,))


FALSE_RENDERINGS: dict[str, Callable[[OruContent], OruContent]] = {
    "patient": lambda c: dataclasses.replace(
        c,
        patient=dataclasses.replace(
            c.patient, identifiers=(dataclasses.replace(c.patient.identifiers[0], id_number="X"),)
        ),
    ),
    "name": lambda c: dataclasses.replace(
        c, patient=dataclasses.replace(c.patient, names=(dataclasses.replace(c.patient.names[0], given_name="X"),))
    ),
    "accession": lambda c: dataclasses.replace(c, accession_number="X"),
    "signer": lambda c: dataclasses.replace(c, signer=Practitioner(id_number="X", family_name="X")),
    "value": lambda c: _with_value(c, {"value": Numeric(value="5512.4", unit=c.observations[0].value.unit)}),  # type: ignore[union-attr]
    "unit": lambda c: _with_value(c, {"value": Numeric(value="5512.3", unit=None)}),
    "code": lambda c: _with_value(c, {"identifier": dataclasses.replace(c.observations[0].identifier, identifier="X")}),
    "probability": lambda c: _with_value(c, {"probability": "0.5"}),
    "site": lambda c: _with_value(c, {"body_site": CodedElement(identifier="X", coding_system="SCT")}),
    "finding left out": lambda c: dataclasses.replace(c, observations=()),
    "conclusion": lambda c: dataclasses.replace(c, narrative="X"),
    "study": lambda c: dataclasses.replace(c, study_instance_uid="1.2.3"),
    "synthetic": lambda c: dataclasses.replace(c, is_synthetic=False),
    "status": lambda c: dataclasses.replace(c, status=ResultStatus.CORRECTED, reason="X"),
}


@pytest.mark.parametrize("fault", FALSE_RENDERINGS)
def test_gate_holds_a_rendering_that_says_something_else(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What will be sent is read back and compared with what was signed: a fault of ours in writing never leaves."""
    write = oru.render
    monkeypatch.setattr(oru, "render", lambda content: write(FALSE_RENDERINGS[fault](content)))

    verdict = gate.check(a_release_request(), some_circumstances())

    assert isinstance(verdict, Held)
    assert verdict.is_defect


@pytest.mark.parametrize("fault", FALSE_RENDERINGS)
def test_gate_holds_a_content_that_says_something_else(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rendering is compared with the document itself: a fault in what was meant to be written is found too."""
    meant = oru_form.content_for
    monkeypatch.setattr(oru_form, "content_for", lambda *given: FALSE_RENDERINGS[fault](meant(*given)))

    verdict = gate.check(a_release_request(), some_circumstances())

    assert isinstance(verdict, Held)
    assert verdict.is_defect


def test_gate_holds_what_hl7_cannot_say() -> None:
    """A report without a patient identifier can't be rendered: held as our defect, not lost and not half sent."""
    nobody = a_patient(identifiers=())
    known = some_circumstances(case=a_case(patient=nobody))

    verdict = gate.check(a_release_request(a_signed_document(patient=nobody)), known)

    assert isinstance(verdict, Held)
    assert verdict.is_defect


def test_text_of_any_kind_passes_the_gate_unchanged() -> None:
    """Vietnamese, delimiters and line ends survive rendering and reading back."""
    conclusion = "Nốt mờ 8 mm | phổi phải ^ thùy trên & giữa ~ \\ \r\nKhông tràn dịch."
    document = a_signed_document(
        conclusion=conclusion, findings=(a_finding(), a_finding(value="-1.50"), a_finding(value=None))
    )

    verdict = gate.check(a_release_request(document), some_circumstances())

    assert isinstance(verdict, Released)
