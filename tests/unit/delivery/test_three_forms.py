"""Every form says what was signed, is read back before it leaves, and a fault of ours in writing it holds the report."""

import dataclasses
from io import BytesIO
from typing import Any

import orjson
import pytest
from pydicom import Dataset, dcmread

from overread.contracts.errors import OverreadError
from overread.contracts.events.reports import Withdrawal
from overread.delivery import reasons
from overread.delivery.gate import Held
from overread.delivery.imaging import load
from overread.delivery.rendering import messages_for
from overread.delivery.sequence import Status
from overread.delivery.telling import OutboundMessage
from overread.protocols.fhir import reading as fhir_reading
from overread.protocols.hl7.oru_content import Language, TakenBack
from overread.protocols.hl7.oru_reading import read_back
from overread.protocols.hl7.tokenise import tokenise
from overread.review.sign_off import DisagreementReason
from tests.builders.delivery import (
    a_destination,
    a_dicom_destination,
    a_telling,
)
from tests.builders.events import a_finding
from tests.builders.released_study import EVERYWHERE, a_signed_imaged_document, judged, released, told
from tests.builders.reported_study import an_imaged_case, an_imaged_document, some_imaging, the_objects


def as_dicom(messages: list[OutboundMessage], form: str) -> Dataset:
    """Return the one object of that form."""
    (message,) = (m for m in messages if m.form == form)
    return dcmread(BytesIO(message.message))


def report_in(messages: list[OutboundMessage]) -> dict[str, Any]:
    """Return the DiagnosticReport of the one bundle."""
    (message,) = (m for m in messages if m.form == "fhir")
    entries = orjson.loads(message.message)["entry"]
    (found,) = (e["resource"] for e in entries if e["resource"]["resourceType"] == "DiagnosticReport")
    return dict(found)


def observations_in(messages: list[OutboundMessage]) -> list[dict[str, Any]]:
    """Return the Observations of the one bundle."""
    (message,) = (m for m in messages if m.form == "fhir")
    entries = (entry["resource"] for entry in orjson.loads(message.message)["entry"])
    return [resource for resource in entries if resource["resourceType"] == "Observation"]


def group_in(report: Dataset) -> list[Dataset]:
    """Return the content of the one measurement group."""
    (measurements,) = (i for i in report.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "126010")
    (group,) = measurements.ContentSequence
    return list(group.ContentSequence)


def test_one_signature_lets_the_report_out_in_every_form() -> None:
    """F, final and VERIFIED (STANDARDS: one report document, three renderings); what an SR names comes before it."""
    messages = released()

    assert [m.form for m in messages] == ["oru", "fhir", "seg", "sc", "sr"]
    assert read_back(messages[0].message).status.value == "F"
    assert report_in(messages)["status"] == "final"
    report = as_dicom(messages, "sr")
    assert (report.VerificationFlag, report.CompletionFlag) == ("VERIFIED", "COMPLETE")
    assert str(report.VerifyingObserverSequence[0].VerifyingObserverName) == "BÁC SĨ^THỬ"
    assert {m.message_control_id for m in messages[2:]} == {
        str(dcmread(BytesIO(m.message)).SOPInstanceUID) for m in messages[2:]
    }


def test_every_form_says_where_a_finding_is_and_what_its_number_measures() -> None:
    """OBX 363698007 under the finding's sub-ID; bodySite and a second coding; Finding Site and a NUM of that name."""
    messages = released()

    (site,) = (s for s in tokenise(messages[0].message).segments("OBX") if s.field(3).component(1).text == "363698007")
    assert (site.field(4).text, site.field(5).component(1).text) == ("1.1", "39607008")
    (observation,) = observations_in(messages)
    assert observation["bodySite"]["coding"][0]["code"] == "39607008"
    assert [coding["code"] for coding in observation["code"]["coding"]] == ["OR-LUNG-VOLUME", "118565006"]
    said = {str(item.ConceptNameCodeSequence[0].CodeMeaning): item for item in group_in(as_dicom(messages, "sr"))}
    assert said["Finding"].ConceptCodeSequence[0].CodeValue == "OR-LUNG-VOLUME"
    assert said["Finding Site"].ConceptCodeSequence[0].CodeValue == "39607008"
    assert str(said["Volume"].MeasuredValueSequence[0].NumericValue) == "5512.3"


def test_a_finding_that_was_taken_back_leaves_no_site_behind() -> None:
    """A receiver keeps each observation of its own until it is told otherwise (HL7 v2.5.1, OBX-11: D)."""
    before = released()
    previous = {destination.name: a_signed_imaged_document() for destination in EVERYWHERE}
    document = a_signed_imaged_document(report_revision=2, findings=(), conclusion="Bình thường.")

    after = released(
        document,
        earlier=told(before),
        previous=previous,
        released_revision=1,
        destinations=(a_destination(),),
    )

    gone = [s for s in tokenise(after[0].message).segments("OBX") if s.field(11).text == "D"]
    assert [(s.field(3).component(1).text, s.field(4).text) for s in gone] == [
        ("OR-LUNG-VOLUME", "1.1"),
        ("363698007", "1.1"),
    ]


def test_a_draft_says_in_every_form_that_nobody_has_confirmed_it() -> None:
    """R, partial, UNVERIFIED: `preliminary` would say that somebody had verified it (FHIR R4, diagnostic-report-status)."""
    messages = [
        m
        for destination in EVERYWHERE
        for m in messages_for(
            a_telling(an_imaged_document(), destination, status=Status.UNVERIFIED, imaging=some_imaging())
        )
    ]

    assert read_back(messages[0].message).status.value == "R"
    assert report_in(messages)["status"] == "partial"
    assert "resultsInterpreter" not in report_in(messages)
    assert as_dicom(messages, "sr").VerificationFlag == "UNVERIFIED"
    assert "AI, not verified" in str(as_dicom(messages, "sc").ImageComments)


def test_equal_occasions_give_equal_bytes_in_every_form() -> None:
    """A resend is byte-identical, and so is what another process would have rendered."""
    first, second = released(), released()

    assert [m.message for m in first] == [m.message for m in second]


def test_the_next_signed_revision_is_a_correction_in_every_form() -> None:
    """C, corrected, and a new SR that names its predecessor; the segmentation is the same object and not sent again."""
    before = released()

    after = released(
        a_signed_imaged_document(report_revision=2, conclusion="Khác."), earlier=told(before), released_revision=1
    )

    assert [m.form for m in after] == ["oru", "fhir", "sc", "sr"]
    assert report_in(after)["status"] == "corrected"
    predecessor = as_dicom(after, "sr").PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert predecessor.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == as_dicom(before, "sr").SOPInstanceUID
    assert as_dicom(after, "sr").SeriesInstanceUID == as_dicom(before, "sr").SeriesInstanceUID


def test_a_correction_says_why_in_every_form_that_has_a_place_for_it() -> None:
    """NTE and Provenance.reason carry what the clinician chose, in the receiver's language, beside the fixed sentence."""
    before = released()
    document = a_signed_imaged_document(report_revision=2, verdict="changed", verdict_reasons=("wrong_value", "other"))

    after = released(document, earlier=told(before), released_revision=1)

    said = f"{reasons.CORRECTS[Language.VIETNAMESE]} Bác sĩ nhận xét về kết quả của AI: sai giá trị, lý do khác."
    assert read_back(after[0].message).reason == said
    assert fhir_reading.read(after[1].message).reason == said


def test_every_reason_has_words_in_every_language() -> None:
    """A receiver gets no word of our program."""
    words = {reason.value for reason in DisagreementReason}

    assert all(set(names) == words for names in reasons.DISAGREEMENTS.values())
    assert set(reasons.DISAGREEMENTS) == set(Language)


def test_a_signed_report_names_the_draft_that_an_archive_has() -> None:
    """A signature never changes an object that exists: the verified SR is a new one after the unverified (PS3.3, C.17.2)."""
    drafts = list(
        messages_for(
            a_telling(an_imaged_document(), a_dicom_destination(), status=Status.UNVERIFIED, imaging=some_imaging())
        )
    )

    after = released(earlier=told(drafts))

    report = as_dicom(after, "sr")
    predecessor = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert predecessor.ReferencedSOPInstanceUID == as_dicom(drafts, "sr").SOPInstanceUID != report.SOPInstanceUID


WITHDRAWALS = {
    False: (TakenBack.DELETED, "113037"),
    True: (TakenBack.WRONG_PATIENT, "113038"),
}


@pytest.mark.parametrize("is_wrong_patient", [False, True])
def test_a_signed_withdrawal_takes_the_final_back_in_every_form(is_wrong_patient: bool) -> None:  # noqa: FBT001
    """C or W, entered-in-error, and a note that rejects each object (HL7 v2.5.1, OBX-11; IHE IOCM); no value is left."""
    before = released()
    withdrawal = Withdrawal(reason="nhầm bệnh nhân", is_wrong_patient=is_wrong_patient)

    after = released(
        a_signed_imaged_document(withdrawal=withdrawal, findings=(), conclusion="Đã thu hồi."),
        earlier=told(before),
        previous={destination.name: a_signed_imaged_document() for destination in EVERYWHERE},
        released_revision=1,
        case=an_imaged_case(identity_version=7, is_withdrawn=True),
    )

    assert [(m.form, m.status) for m in after] == [(form, Status.WITHDRAWN) for form in ("oru", "fhir", "kos")]
    oru = read_back(after[0].message)
    taken_back, title = WITHDRAWALS[is_wrong_patient]
    assert (oru.taken_back, oru.reason, oru.observations) == (taken_back, "nhầm bệnh nhân", ())
    assert [(o.identifier.identifier, o.value) for o in oru.retracted] == [("OR-LUNG-VOLUME", None)]
    assert report_in(after)["status"] == "entered-in-error"
    note = as_dicom(after, "kos")
    assert note.ConceptNameCodeSequence[0].CodeValue == title
    rejected = {
        item.ReferencedSOPInstanceUID
        for series in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert rejected == {m.message_control_id for m in before if m.destination == "pacs"}


def test_what_was_taken_back_is_a_new_object_when_it_is_signed_anew() -> None:
    """A rejected object stays rejected: the next report refers to none of them, and its segmentation is another one."""
    before = told(released())
    withdrawn = told(
        released(a_signed_imaged_document(withdrawal=Withdrawal(reason="x")), earlier=before, released_revision=1)
    )
    history = {name: before[name] + withdrawn[name] for name in before}

    after = released(a_signed_imaged_document(report_revision=2), earlier=history, released_revision=1)

    assert {m.message_control_id for m in after}.isdisjoint({p.message_control_id for p in history["pacs"]})
    assert "PredecessorDocumentsSequence" not in as_dicom(after, "sr")


def test_what_a_correction_no_longer_states_is_deleted_at_the_receiver() -> None:
    """A receiver keeps what it was told until it is told otherwise: OBX-11 D, and an Observation in error."""
    before = released()
    previous = {destination.name: a_signed_imaged_document() for destination in EVERYWHERE}
    document = a_signed_imaged_document(report_revision=2, findings=(), conclusion="Bình thường.")
    imaging = dataclasses.replace(some_imaging(), segmentations=())

    after = released(document, earlier=told(before), previous=previous, released_revision=1, imaging=imaging)

    oru = read_back(after[0].message)
    assert (oru.observations, [o.identifier.identifier for o in oru.retracted]) == ((), ["OR-LUNG-VOLUME"])
    bundle = orjson.loads(after[1].message)["entry"]
    observations = [e["resource"] for e in bundle if e["resource"]["resourceType"] == "Observation"]
    assert [(o["status"], "valueQuantity" in o) for o in observations] == [("entered-in-error", False)]


@pytest.mark.parametrize("revision", [None, 2])
def test_gate_holds_a_withdrawal_of_what_is_not_out(revision: int | None) -> None:
    """Only the revision that was released last can be taken back."""
    verdict = judged(a_signed_imaged_document(withdrawal=Withdrawal(reason="x")), released_revision=revision)

    assert isinstance(verdict, Held)
    assert "nothing to withdraw" in verdict.reason


def test_a_draft_is_cancelled_in_every_form() -> None:
    """X, cancelled, and a note that rejects what nobody had signed for its quality (113001)."""
    document = an_imaged_document()
    messages: list[OutboundMessage] = []
    for destination in EVERYWHERE:
        draft = a_telling(document, destination, status=Status.UNVERIFIED, imaging=some_imaging())
        earlier = told(list(messages_for(draft)))[destination.name]
        messages += messages_for(dataclasses.replace(draft, status=Status.CANCELLED, earlier=earlier))

    assert read_back(messages[0].message).status.value == "X"
    assert report_in(messages)["status"] == "cancelled"
    assert as_dicom(messages, "kos").ConceptNameCodeSequence[0].CodeValue == "113001"


def test_an_archive_that_was_given_nothing_gets_no_rejection_note() -> None:
    """There is nothing to take back there."""
    telling = a_telling(an_imaged_document(), a_dicom_destination(), status=Status.CANCELLED, imaging=some_imaging())

    assert messages_for(telling) == ()


def test_a_destination_gets_the_forms_it_asks_for() -> None:
    """Some archives keep no SEG, some viewers show no SR; an SR then names no segmentation that is not there."""
    messages = released(destinations=(a_dicom_destination(forms=["sr"]),))

    assert [m.form for m in messages] == ["sr"]
    evidence = as_dicom(messages, "sr").CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert len(evidence) == 1


def test_two_archives_in_one_language_get_one_object() -> None:
    """The same UID is the same bytes, wherever it lies."""
    there = (a_dicom_destination(), a_dicom_destination(name="second"), a_dicom_destination(name="fr", language="fr"))

    messages = [m for m in released(destinations=there) if m.form == "sr"]

    assert messages[0].message == messages[1].message
    assert messages[0].delivery_id != messages[1].delivery_id
    assert messages[2].message_control_id != messages[0].message_control_id


def test_gate_holds_a_report_whose_images_it_can_not_read() -> None:
    """No form is left out in silence."""
    verdict = judged(imaging=None)

    assert isinstance(verdict, Held)
    assert verdict.is_defect
    assert "pacs" in verdict.reason


def test_what_a_clinician_took_out_is_not_shown_as_marked() -> None:
    """A model whose findings the report no longer states has no segmentation and no picture in it."""
    document = a_signed_imaged_document(findings=(a_finding(value="1.0"),))
    imaging = dataclasses.replace(some_imaging(), segmentations=())

    assert [m.form for m in released(document, imaging=imaging) if m.destination == "pacs"] == ["sr"]


@pytest.mark.parametrize("destination", EVERYWHERE[:2], ids=["hl7", "fhir"])
def test_without_an_archive_no_image_is_needed(destination: Any) -> None:
    """A site that sends no DICOM results needs no images at hand to sign."""
    assert released(destinations=(destination,), imaging=None)


def test_a_report_without_findings_leaves_in_every_form() -> None:
    """A clinician may state that nothing was found."""
    document = a_signed_imaged_document(findings=(), conclusion="Không thấy bất thường.")
    imaging = dataclasses.replace(some_imaging(), segmentations=())

    assert [m.form for m in released(document, imaging=imaging)] == ["oru", "fhir", "sr"]


def test_images_of_another_study_are_none() -> None:
    """A manifest key that leads out of the site, or to other bytes than the digest says, is refused."""
    elsewhere = an_imaged_document(manifest_key="other/studies/x")
    changed = an_imaged_document(manifest_digest="0" * 64)

    for document in (elsewhere, changed):
        with pytest.raises(OverreadError):
            load(the_objects(), document)
