"""Reports as DICOM SR: written, and read back as the gate reads them."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from overread.protocols.dicom.composite import Code, person_name
from overread.protocols.dicom.errors import NotRenderable, Unfaithful
from overread.protocols.dicom.sr_content import DocumentStatus, Measured, SrContent, said_by
from overread.protocols.dicom.sr_reading import read
from overread.protocols.dicom.structured_report import render
from overread.protocols.hl7.oru_content import UNCONFIRMED, Language
from tests.builders.dicom_results import (
    A_PATIENT,
    A_SIGNATURE,
    A_STUDY,
    NODULE,
    a_finding,
    an_identity,
    an_sr_content,
    an_sr_reference,
    changed,
    items,
    some_findings,
)


def parsed(raw: bytes) -> Dataset:
    """The file as pydicom reads it."""
    return dcmread(BytesIO(raw))


STATES = {
    "unverified": an_sr_content(),
    "verified": an_sr_content(is_signed=True),
    "corrected": an_sr_content(is_signed=True, predecessors=(an_sr_reference("sr"), an_sr_reference("sr signed"))),
    "segmented": an_sr_content(findings=some_findings(has_segment=True)),
    "without findings": an_sr_content(findings=(), requests=()),
}


@pytest.mark.parametrize(("state", "language"), [*product(STATES, Language)])
def test_report_reads_back_as_what_was_rendered(state: str, language: Language) -> None:
    """The gate compares what will be sent with what was meant, to the last finding."""
    content = replace(STATES[state], language=language)

    reading = read(render(content))

    assert reading == said_by(content)


def test_equal_contents_give_equal_bytes() -> None:
    """A delivery is rendered once, and could be rendered again: no clock, no random UID."""
    content = an_sr_content(is_signed=True)

    assert render(content) == render(replace(content))


@pytest.mark.parametrize("value", ["4210.0", "-850", "0.10", "-0.5", "1234567890123456"])
def test_no_digit_of_a_number_is_lost(value: str) -> None:
    """NUM holds a decimal string: what was signed is what is sent."""
    content = an_sr_content(findings=(a_finding(value=Measured(value=value, unit=None)),))

    raw = render(content)

    (number,) = items(parsed(raw), "Lung volume by CT")
    assert number.MeasuredValueSequence[0]["NumericValue"].value.original_string == value
    assert read(raw).findings[0].value == Measured(value=value)


def test_unsigned_report_is_unverified_and_says_so_in_words() -> None:
    """PS3.3, C.17.2: nothing is verified without a verifying observer; viewers that hide flags show the comment."""
    document = parsed(render(an_sr_content(language=Language.FRENCH)))

    flags = (document.PreliminaryFlag, document.CompletionFlag, document.VerificationFlag)
    assert flags == ("PRELIMINARY", "COMPLETE", "UNVERIFIED")
    assert "VerifyingObserverSequence" not in document
    assert UNCONFIRMED[Language.FRENCH] in [item.TextValue for item in items(document, "Comment")]
    assert items(document, "Person Observer Name") == []


def test_signed_report_is_verified_by_the_signer() -> None:
    """PS3.3, C.17.2.5: a device is the author, a person verifies; TID 1003 names the person in the content too."""
    document = parsed(render(an_sr_content(is_signed=True)))

    flags = (document.PreliminaryFlag, document.CompletionFlag, document.VerificationFlag)
    (observer,) = document.VerifyingObserverSequence
    assert flags == ("FINAL", "COMPLETE", "VERIFIED")
    assert (observer.VerifyingObserverName, observer.VerificationDateTime) == (
        "TRẦN^THỊ THỬ",
        "20261122100500.000000+0700",
    )
    assert [item.PersonName for item in items(document, "Person Observer Name")] == ["TRẦN^THỊ THỬ"]
    assert document.AuthorObserverSequence[0].ObserverType == "DEV"
    assert all(UNCONFIRMED[Language.VIETNAMESE] != item.TextValue for item in items(document, "Comment"))


def test_correction_names_every_document_before_it() -> None:
    """A signed report is a new object; Predecessor Documents say what it follows."""
    predecessors = (an_sr_reference("sr"), an_sr_reference("sr signed"))
    document = parsed(render(an_sr_content(is_signed=True, predecessors=predecessors)))

    series = document.PredecessorDocumentsSequence[0].ReferencedSeriesSequence

    named = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in series]
    assert named == [predecessor.sop_instance_uid for predecessor in predecessors]


def test_evidence_lists_every_image_and_the_segmentation() -> None:
    """PS3.3, C.17.2: Current Requested Procedure Evidence must list what the content refers to."""
    content = an_sr_content(findings=some_findings(has_segment=True))
    document = parsed(render(content))

    series = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence

    listed = {found.ReferencedSOPInstanceUID for item in series for found in item.ReferencedSOPSequence}
    segment = content.findings[0].segment
    assert segment is not None
    images = {image.sop_instance_uid for image in content.evidence[0].instances}
    assert listed == images | {segment.sop_instance_uid}


def test_finding_keeps_its_tracking_uid_in_the_next_document() -> None:
    """Receivers follow a finding from the draft to the signed report by it."""
    draft, signed = (parsed(render(content)) for content in (an_sr_content(), an_sr_content(is_signed=True)))

    first, second = (
        [item.UID for item in items(document, "Tracking Unique Identifier")] for document in (draft, signed)
    )

    assert first == second
    assert len(set(first)) == len(first)


def test_code_beyond_sixteen_characters_is_a_long_code_value() -> None:
    """PS3.3, 8.1: SH holds 16 characters."""
    document = parsed(render(an_sr_content()))

    codes = [item.ConceptNameCodeSequence[0] for item in items(document, "Lung mean attenuation")]

    assert [(code.get("CodeValue"), code.LongCodeValue) for code in codes] == [(None, "lung-mean-attenuation")]


def test_own_coding_schemes_are_explained() -> None:
    """PS3.3, C.12.1: a private scheme says whose it is."""
    document = parsed(render(an_sr_content(is_signed=True)))

    schemes = [item.CodingSchemeDesignator for item in document.CodingSchemeIdentificationSequence]

    assert schemes == ["99HL70078", "99OVERREAD", "99OVERREAD-USER"]


def unverify(document: Dataset) -> None:
    document.VerificationFlag, document.PreliminaryFlag = "UNVERIFIED", "PRELIMINARY"


def drop_observer(document: Dataset) -> None:
    del document.VerifyingObserverSequence


def nobody(document: Dataset) -> None:
    drop_observer(document)
    document.ContentSequence = [item for item in document.ContentSequence if item.ValueType != "PNAME"]


def another_person(document: Dataset) -> None:
    items(document, "Person Observer Name")[0].PersonName = "SOMEBODY^ELSE"


def half_verified(document: Dataset) -> None:
    document.PreliminaryFlag = "PRELIMINARY"


def no_tracking(document: Dataset) -> None:
    items(document, "Tracking Identifier")[0].TextValue = "another#1"


def two_numbers(document: Dataset) -> None:
    group = items(document, "Measurement Group")[0]
    group.ContentSequence.append(group.ContentSequence[-1])


def another_class(document: Dataset) -> None:
    document.SOPClassUID = document.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.88.22")


@pytest.mark.parametrize(
    "change", [unverify, drop_observer, nobody, another_person, half_verified, no_tracking, two_numbers, another_class]
)
def test_document_that_contradicts_itself_is_not_read(change: Callable[[Dataset], None]) -> None:
    """What the gate can't be sure of does not leave."""
    raw = changed(render(an_sr_content(is_signed=True)), change)

    with pytest.raises(Unfaithful):
        read(raw)


def test_unsigned_document_without_its_warning_is_not_read() -> None:
    """The words and the flag say the same, or neither is believed."""

    def hide(document: Dataset) -> None:
        items(document, "Comment")[0].TextValue = "All is well."

    raw = changed(render(an_sr_content()), hide)

    with pytest.raises(Unfaithful):
        read(raw)


def number(document: Dataset) -> None:
    items(document, "Lung volume by CT")[0].MeasuredValueSequence[0].NumericValue = "4210.1"


def unit(document: Dataset) -> None:
    measured = items(document, "Lung volume by CT")[0].MeasuredValueSequence[0]
    measured.MeasurementUnitsCodeSequence[0].CodeValue = "l"


def certainty(document: Dataset) -> None:
    items(document, "Certainty of Finding")[0].MeasuredValueSequence[0].NumericValue = "93.5"


def normality(document: Dataset) -> None:
    items(document, "Normality")[0].ConceptCodeSequence[0].CodeValue = "N"


def algorithm(document: Dataset) -> None:
    items(document, "Algorithm Version")[0].TextValue = "1.0.1"


def conclusion(document: Dataset) -> None:
    items(document, "Conclusion")[0].TextValue = "Bình thường."


def patient(document: Dataset) -> None:
    document.PatientID = "TEST-0002"


def name(document: Dataset) -> None:
    document.PatientName = "THỬ NGHIỆM^NGUYỄN VAN"


def accession(document: Dataset) -> None:
    document.AccessionNumber = "ACC-2"


def order(document: Dataset) -> None:
    document.ReferencedRequestSequence[0].PlacerOrderNumberImagingServiceRequest = "ORD-2"


def signer(document: Dataset) -> None:
    document.VerifyingObserverSequence[0].VerifyingObserverIdentificationCodeSequence[0].LongCodeValue = "somebody"


def fewer_findings(document: Dataset) -> None:
    items(document, "Imaging Measurements")[0].ContentSequence.pop()


def study(document: Dataset) -> None:
    document.StudyInstanceUID = "2.25.7"


@pytest.mark.parametrize(
    "change",
    [
        number,
        unit,
        certainty,
        normality,
        algorithm,
        conclusion,
        patient,
        name,
        accession,
        order,
        signer,
        fewer_findings,
        study,
    ],
)
def test_any_change_of_the_bytes_that_matters_is_seen(change: Callable[[Dataset], None]) -> None:
    """The gate's fourth guard: a rendering that says something else is told from a faithful one."""
    content = an_sr_content(is_signed=True)
    raw = changed(render(content), change)

    assert read(raw) != said_by(content)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (an_sr_content(evidence=()), "images"),
        (an_sr_content(is_signed=True, findings=(), conclusion=" "), "something"),
        (an_sr_content(signature=replace(A_SIGNATURE, family_name="")), "who verified"),
        (an_sr_content(findings=(a_finding(value=Measured(value="12345678901234567")),)), "16 characters"),
        (an_sr_content(findings=(a_finding(value=Measured(value="1e3")),)), "decimal digits"),
        (an_sr_content(findings=(a_finding(probability="1.1"),)), "0 to 1"),
        (an_sr_content(findings=(a_finding(), a_finding())), "share"),
        (an_sr_content(findings=(a_finding(sub_id=""),)), "sub-ID"),
        (an_sr_content(findings=(a_finding(name=Code(value="121071", scheme="DCM")),)), "template"),
        (an_sr_content(patient=replace(A_PATIENT, patient_id="")), "patient ID"),
        (an_sr_content(patient=replace(A_PATIENT, patient_name="A\\B")), "backslash"),
        (an_sr_content(study=replace(A_STUDY, accession_number="A\x07")), "control"),
        (
            an_sr_content(identity=replace(an_identity("sr"), made_at=an_identity("sr").made_at.replace(tzinfo=None))),
            "UTC",
        ),
    ],
)
def test_what_dicom_cannot_say_is_refused_with_its_rule(content: SrContent, rule: str) -> None:
    """A plain sentence, never the patient."""
    with pytest.raises(NotRenderable, match=rule):
        render(content)


def test_name_with_a_delimiter_in_it_is_refused() -> None:
    """PS3.5, 6.2.1: a caret would move half of a name into another component."""
    with pytest.raises(NotRenderable, match="separates"):
        person_name("THỬ", "NGUYỄN^VĂN")


@settings(max_examples=60, deadline=None)
@given(conclusion=st.text(max_size=200), family_name=st.text(min_size=1, max_size=30))
def test_any_text_survives_or_is_refused(conclusion: str, family_name: str) -> None:
    """Text is kept in NFC; what would be cut in two or lost is refused."""
    content = an_sr_content(is_signed=True, conclusion=conclusion, findings=(a_finding(name=NODULE, value=None),))
    content = replace(content, signature=replace(A_SIGNATURE, family_name=family_name))

    try:
        reading = read(render(content))
    except NotRenderable:
        return

    assert reading == said_by(content)
    assert reading.status is DocumentStatus.VERIFIED
