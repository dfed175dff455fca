"""Reads a result message of ours back, so that the gate compares what will be sent with what was signed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TypeVar

from overread.contracts.errors import Malformed
from overread.protocols.hl7 import oru_attachments
from overread.protocols.hl7.data_types import (
    CodedElement,
    EntityIdentifier,
    Patient,
    PatientIdentifier,
    PersonName,
    Practitioner,
    Visit,
    trimmed,
)
from overread.protocols.hl7.oru_content import (
    DICOM_STUDY,
    FINDING_SITE,
    NARRATIVE_SUB_ID,
    SYNTHETIC,
    UNCONFIRMED,
    UNSAID_SITE,
    WITHDRAWN,
    Coded,
    Language,
    ModelVersion,
    Numeric,
    Observation,
    OruContent,
    Party,
    ResultStatus,
    TakenBack,
    Text,
)
from overread.protocols.hl7.oru_layout import USUAL, Layout
from overread.protocols.hl7.timestamps import read_date, read_timestamp
from overread.protocols.hl7.tokenise import Message, Segment, Value, tokenise

E = TypeVar("E", ResultStatus, Language)

_NO_MORE = frozenset(word.value for word in TakenBack)


class Unfaithful(Malformed):
    """The message does not read as one of our results."""


def read_back(raw: bytes, layout: Layout = USUAL) -> OruContent:
    """Read what a rendered ORU^R01 says; equal to what was rendered, or the rendering is wrong (`differences`).

    Every observation must carry the status of the whole and, where it is signed, the signer.
    """
    return read_result(tokenise(raw), layout)


def read_result(message: Message, layout: Layout = USUAL) -> OruContent:
    """Read a result out of the segments that hold one, whatever the message around them."""
    msh, pid, obr = (only(message, name) for name in ("MSH", "PID", "OBR"))
    status, language = _enum(ResultStatus, obr.field(25)), _enum(Language, msh.field(19).component(1))
    signer = Practitioner.read_subcomponents(obr.field(32).component(1))
    results = _Results(message, status, signer, language, layout)
    is_synthetic, narrative, reason = _texts(results, status, language)
    return OruContent(
        message_control_id=msh.field(10).text,
        message_datetime=required_time(msh.field(7)),
        processing_id=msh.field(11).component(1).text,
        sending=Party(application=msh.field(3).component(1).text, facility=msh.field(4).component(1).text),
        receiving=Party(application=msh.field(5).component(1).text, facility=msh.field(6).component(1).text),
        accept_acknowledgment_type=msh.field(15).text,
        application_acknowledgment_type=msh.field(16).text,
        country_code=msh.field(17).text,
        language=language,
        is_synthetic=is_synthetic,
        patient=patient_of(pid),
        visit=visit_of(message.segment("PV1")),
        placer_order_number=EntityIdentifier.read(obr.field(2)),
        filler_order_number=EntityIdentifier.read(obr.field(3)),
        universal_service_identifier=coded(obr.field(4)),
        accession_number=accession_of(obr, layout),
        study_instance_uid=results.study_instance_uid,
        ordering_provider=Practitioner.read(obr.field(16)),
        priority=_priority(message.segment("TQ1")),
        scheduled_at=_scheduled_at(message.segment("TQ1")),
        observed_at=_time(obr.field(7)),
        status=status,
        status_changed_at=required_time(obr.field(22)),
        observations=tuple(results.observations()),
        retracted=tuple(results.retracted()),
        narrative=narrative,
        models=results.models,
        analysed_at=results.analysed_at,
        signer=signer,
        signed_at=_time(obr.field(32).component(2)),
        reason=reason,
        taken_back=results.taken_back,
        attachments=oru_attachments.read(message, status, layout),
    )


class _Results:
    """The OBX segments of one message: the study, the narrative, then the observations.

    No two of them share identifier and sub-ID: of those a receiver would keep the last alone (OBX-4).
    """

    def __init__(
        self,
        message: Message,
        status: ResultStatus,
        signer: Practitioner | None,
        language: Language,
        layout: Layout,
    ) -> None:
        self._named_text = (layout.narrative.identifier, layout.narrative.coding_system, NARRATIVE_SUB_ID)
        study, *others = message.segments("OBX") or (None,)
        if study is None or study.field(3).component(1).text != DICOM_STUDY.identifier:
            raise Unfaithful("The first OBX does not name the DICOM study.")
        self.study_instance_uid = study.field(5).text
        notes = oru_attachments.notes_in(message)
        self.note = next((note for obx, note in notes if oru_attachments.media_of(obx, layout) is None), None)
        self._others = [segment for segment in others if oru_attachments.media_of(segment, layout) is None]
        _require_names_of_their_own(others)
        self._text = next((segment for segment in others if self._is_narrative(segment)), None)
        self._observed_at = only(message, "OBR").field(7).text
        self.taken_back = _taken_back(self._text, language)
        for segment in others:
            self._require_status(segment, status, signer)

    def _require_status(self, segment: Segment, status: ResultStatus, signer: Practitioner | None) -> None:
        if segment.field(11).text not in self._statuses_of(segment, status):
            raise Unfaithful("An observation has another status than the result (OBX-11, OBR-25).")
        if Practitioner.read(segment.field(16)) != signer:
            raise Unfaithful("An observation names another responsible observer than the signer (OBX-16, OBR-32).")
        expected = "" if status is ResultStatus.CANCELLED else self._observed_at
        if segment.field(14).text != expected:
            raise Unfaithful("An observation has another time than the study (OBX-14, OBR-7).")

    def _statuses_of(self, segment: Segment, status: ResultStatus) -> tuple[str, ...]:
        """Return each OBX-11 that may stand there: of a deleted result the text stays, as the correction that says so."""
        taken_back = self.taken_back
        if self._is_narrative(segment):
            return (taken_back.value if taken_back is TakenBack.WRONG_PATIENT else status.value,)
        return (taken_back.value,) if taken_back else (status.value, TakenBack.DELETED.value)

    def _is_narrative(self, segment: Segment) -> bool:
        identifier = segment.field(3)
        names = (identifier.component(1).text, identifier.component(3).text, segment.field(4).text)
        return names == self._named_text

    @property
    def narrative(self) -> str:
        """The text of the narrative, notices and all."""
        return "\n".join(_lines(self._text))

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """The models that wrote the text."""
        return _models(self._text) if self._text else ()

    @property
    def analysed_at(self) -> datetime | None:
        """When the last of them had done so."""
        return _time(self._text.field(19)) if self._text else None

    def observations(self) -> Iterator[Observation]:
        """Each finding, with the site that follows it under the same sub-ID."""
        return self._with_sites(holds=True)

    def retracted(self) -> Iterator[Observation]:
        """Each finding that was told before and holds no more."""
        return self._with_sites(holds=False)

    def _with_sites(self, *, holds: bool) -> Iterator[Observation]:
        said = (segment for segment in self._others if not self._is_narrative(segment))
        findings = [segment for segment in said if (segment.field(11).text not in _NO_MORE) is holds]
        for segment, follower in zip_longest(findings, findings[1:]):
            if not _is_site(segment):
                has_site = follower is not None and _is_site(follower)
                yield _observation(segment, follower if has_site else None)


def _require_names_of_their_own(segments: Sequence[Segment]) -> None:
    names = Counter(
        (*(segment.field(3).component(part).text for part in (1, 3)), segment.field(4).text) for segment in segments
    )
    if names and max(names.values()) > 1:
        raise Unfaithful("Two observations share identifier and sub-ID (OBX-3, OBX-4).")


def _lines(text: Segment | None) -> Iterator[str]:
    return (line.text.rstrip() for line in text.field(5).repetitions) if text else iter(())


def _taken_back(text: Segment | None, language: Language) -> TakenBack | None:
    """Read from the first line of the text whether the result is taken back, and from its OBX-11 why."""
    if text is None or next(_lines(text), "") != WITHDRAWN[language]:
        return None
    is_wrong_patient = text.field(11).text == TakenBack.WRONG_PATIENT.value
    return TakenBack.WRONG_PATIENT if is_wrong_patient else TakenBack.DELETED


def _observation(segment: Segment, site: Segment | None) -> Observation:
    if site is not None and site.field(4).text != segment.field(4).text:
        raise Unfaithful("A finding's site has another sub-ID than its finding (OBX-4).")
    return Observation(
        identifier=coded(segment.field(3)),
        sub_id=segment.field(4).text,
        value=_value(segment),
        abnormal_flag=segment.field(8).text,
        probability=segment.field(9).text,
        body_site=_site(site) if site else None,
        model=next(iter(_models(segment)), None),
        analysed_at=_time(segment.field(19)),
    )


def _site(segment: Segment) -> CodedElement:
    """Read the site; it is not said of a finding that holds no more."""
    return coded(segment.field(5)) if segment.field(5) else UNSAID_SITE


def _models(segment: Segment) -> tuple[ModelVersion, ...]:
    names = ("name", "version", "uid")
    said = ((trimmed(model.component(part)) for part in (1, 2, 3)) for model in segment.field(18).repetitions)
    return tuple(ModelVersion(**dict(zip(names, parts, strict=True))) for parts in said)


def _value(segment: Segment) -> Numeric | Coded | Text | None:
    value = segment.field(5)
    match segment.field(2).text:
        case "NM":
            return Numeric(value=value.text, unit=CodedElement.read(segment.field(6)))
        case "CWE":
            return Coded(value=coded(value))
        case "ST" | "TX" | "FT":
            return Text(value=value.text)
        case "" if not value:
            return None
        case _:
            raise Unfaithful("An observation has a value type that we never write (OBX-2).")


def _is_site(segment: Segment) -> bool:
    return segment.field(3).component(1).text == FINDING_SITE.identifier


def _texts(results: _Results, status: ResultStatus, language: Language) -> tuple[bool, str, str | None]:
    """Take our own notices off narrative and reason; the unconfirmed one must be there when it is due."""
    note = results.note.field(3).text if results.note else None
    is_cancelled = status is ResultStatus.CANCELLED
    text = (note or "") if is_cancelled else results.narrative
    if status.is_unconfirmed and not _starts_with(text, UNCONFIRMED[language]):
        raise Unfaithful("An unconfirmed result does not say that no clinician has confirmed it.")
    text = _after(text, UNCONFIRMED[language]) if status.is_unconfirmed else text
    text = _after(text, WITHDRAWN[language]) if results.taken_back else text
    is_synthetic = _starts_with(text, SYNTHETIC[language])
    text = _after(text, SYNTHETIC[language]) if is_synthetic else text
    return (is_synthetic, "", text) if is_cancelled else (is_synthetic, text, note)


def _starts_with(text: str, notice: str) -> bool:
    return text == notice or text.startswith(f"{notice}\n")


def _after(text: str, notice: str) -> str:
    return text[len(notice) :].removeprefix("\n")


def accession_of(obr: Segment, layout: Layout) -> str | None:
    """Read the accession number, which is the same wherever the layout has it."""
    said = {obr.field(number).text for number in layout.accession_fields}
    if len(said) > 1:
        raise Unfaithful("Two fields of OBR name different accession numbers.")
    return (said.pop() if said else "") or None


def patient_of(pid: Segment) -> Patient:
    """Read whose it is."""
    identifiers = (PatientIdentifier.read(cx) for cx in pid.field(3).repetitions)
    names = (PersonName.read(xpn) for xpn in pid.field(5).repetitions)
    return Patient(
        identifiers=tuple(identifier for identifier in identifiers if identifier),
        names=tuple(name for name in names if name),
        birth_date=_date(pid.field(7)),
        administrative_sex=pid.field(8).text or None,
    )


def visit_of(pv1: Segment | None) -> Visit | None:
    """Read the visit."""
    if pv1 is None:
        return None
    location = pv1.field(3)
    count = location.raw.count(b"^") + 1 if location else 0
    return Visit(
        patient_class=pv1.field(2).text or None,
        assigned_patient_location=tuple(location.component(part).text for part in range(1, count + 1)),
        visit_number=PatientIdentifier.read(pv1.field(19)),
    )


def _priority(tq1: Segment | None) -> str | None:
    return tq1.field(9).text or None if tq1 else None


def _scheduled_at(tq1: Segment | None) -> datetime | None:
    return _time(tq1.field(7)) if tq1 else None


def only(message: Message, name: str) -> Segment:
    """Return the one segment of that name."""
    found = message.segments(name)
    if len(found) != 1:
        raise Unfaithful(f"The message does not hold exactly one {name} segment.")
    return found[0]


def coded(value: Value) -> CodedElement:
    """Read a code that must be there."""
    read = CodedElement.read(value)
    if read is None:
        raise Unfaithful("A code is missing.")
    return read


def _time(value: Value) -> datetime | None:
    return required_time(value) if value else None


def required_time(value: Value) -> datetime:
    """Read a time that must be there."""
    try:
        return read_timestamp(value.text, UTC).utc
    except ValueError:
        raise Unfaithful("A time of the message is none.") from None


def _date(value: Value) -> str | None:
    try:
        return read_date(value.text) if value else None
    except ValueError:
        raise Unfaithful("The date of birth of the message is none.") from None


def _enum(kind: type[E], value: Value) -> E:
    try:
        return kind(value.text)
    except ValueError:
        raise Unfaithful("The status or the language of the message is none that we write.") from None
