"""What laboratories and bedside devices observed: which word holds, and what of it stands beside a study. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from overread.assembly import observation_codes, patients, result_status
from overread.assembly.observed_patients import patient_said
from overread.assembly.patient_numbers import numbered_otherwise
from overread.assembly.senders import sender_of
from overread.contracts.events.cases import ContextObservation
from overread.contracts.events.intake import HL7Received
from overread.contracts.events.orders import CodedElement, Patient
from overread.protocols.hl7 import data_types
from overread.protocols.hl7.observation_report import ObservationReport, ObservationResult

Key = tuple[str, str, str, str]
"""By what an observation is known: report, sender, code, sub-ID."""

MOST_CHARACTERS = 200
"""As much of each text as is kept: what is shown beside a study is a number or a word, and each of its events holds it."""


@dataclass(frozen=True, kw_only=True)
class KeptObservation:
    """One observation as its newest message says it; `concept` is empty for a code that is on no list.

    `report_key`, `code` and `sub_id` say which one it is: OBR-3, OBX-3, OBX-4; `sender` says whose number OBR-3 is, and is
    empty where the number's namespace does, and in what was kept before senders were. Of a device it is the newest value
    that is kept, whatever its report.
    """

    report_key: str
    code: CodedElement
    sub_id: str
    concept: str
    is_bedside: bool
    patient: Patient
    value: str
    unit: str
    reference_range: str
    abnormal_flag: str
    status: str
    observed_at: datetime | None
    said_at: datetime
    is_synthetic: bool = False
    sender: str = ""

    @property
    def key(self) -> Key:
        """Return what a later word about the same observation shares."""
        return self.report_key, self.sender, f"{self.code.identifier}^{self.code.coding_system}", self.sub_id

    @property
    def moment(self) -> datetime:
        """Return when it was observed, as far as anybody said."""
        return self.observed_at or self.said_at

    @property
    def place(self) -> result_status.Said:
        """Return the place of this word among those about the observation."""
        return result_status.place(self.status, self.moment if self.is_bedside else self.said_at)

    def after(self, known: "KeptObservation | None") -> "KeptObservation":
        """Return which of both holds; U says that the known value is final, without repeating it.

        Numbers may be used again: U about another patient says nothing of this one's value.
        """
        if known is None:
            return self
        if self.place < known.place:
            return known
        if self.status != result_status.UNCHANGED:
            return self
        if patients.conflict(self.patient, known.patient):
            return known
        return replace(known, status="F", said_at=self.said_at)


def kept(
    report: ObservationReport, received: HL7Received, local_codes: Mapping[str, str]
) -> tuple[KeptObservation, ...]:
    """Return every observation of a report that says something; documents and pictures are passed over."""
    patient = patient_said(report.patient)
    said_at = report.changed_at or received.received_at
    said = _Said(patient, said_at, *_report_key(report, received), report.is_test)
    return tuple(
        _observation(result, said, local_codes)
        for result in _not_replaced(report.results)
        if result.identifier.identifier and not result.is_attachment
    )


def merged(
    said: Iterable[KeptObservation], known: Mapping[Key, KeptObservation]
) -> tuple[list[KeptObservation], list[KeptObservation]]:
    """Return what is to be kept now since it reads differently, and what of `known` it takes the place of.

    What was kept before senders were is the sender's own who speaks of it first, unless it is about another patient.
    """
    now: dict[Key, KeptObservation] = {}
    taken_over = []
    for one in said:
        before = now.get(one.key) or known.get(one.key)
        if before is None and (old := _from_before(one, known)):
            taken_over.append(old)
            before = replace(old, sender=one.sender)
        now[one.key] = one.after(before)
    return [one for key, one in now.items() if one != known.get(key)], taken_over


def _from_before(said: KeptObservation, known: Mapping[Key, KeptObservation]) -> KeptObservation | None:
    old = known.get(replace(said, sender="").key)
    return old if old and patients.conflict(said.patient, old.patient) is None else None


def shown(
    known: Iterable[KeptObservation], patient: Patient, *, is_synthetic: bool, now: datetime
) -> tuple[tuple[ContextObservation, ...], tuple[ContextObservation, ...]]:
    """Return the newest value of each concept for `patient`: of laboratories, and of the bedside.

    What a test message says stands beside test data alone.
    """
    newest: dict[str, KeptObservation] = {}
    fitting = [one for one in known if is_synthetic or not one.is_synthetic]
    for one in sorted(_of_use(fitting, patient, now), key=lambda one: one.moment):
        newest[one.concept] = one
    in_order = [newest[name] for name in observation_codes.concepts() if name in newest]
    laboratory = tuple(_context(one) for one in in_order if not one.is_bedside)
    return laboratory, tuple(_context(one) for one in in_order if one.is_bedside)


def _of_use(known: Iterable[KeptObservation], patient: Patient, now: datetime) -> Iterator[KeptObservation]:
    for one in known:
        concept = observation_codes.concepts().get(one.concept)
        if concept is None or not one.value or one.status in result_status.TAKEN_BACK:
            continue
        if _is_of(one.patient, patient) and one.moment >= now - concept.window:
            yield one


def _is_of(observed: Patient, patient: Patient) -> bool:
    """Say whether it was observed about the patient: by a citizen or insurance number only under the same name."""
    if not patients.share_an_identifier(observed, patient) or patients.conflict(observed, patient):
        return False
    is_numbered_otherwise = numbered_otherwise(observed.identifiers, patient.identifiers)
    return not is_numbered_otherwise or patients.may_be_one_person(observed, patient)


def _not_replaced(results: Iterable[ObservationResult]) -> Iterator[ObservationResult]:
    """Leave out what a message deletes only to say it anew under the same name (OBX-11 text)."""
    listed = list(results)
    anew = {_name(one) for one in listed if one.status not in result_status.TAKEN_BACK}
    return (one for one in listed if one.status not in result_status.TAKEN_BACK or _name(one) not in anew)


def _name(result: ObservationResult) -> tuple[str, str, str]:
    return result.identifier.identifier, result.identifier.coding_system, result.sub_id


@dataclass(frozen=True)
class _Said:
    """What all observations of a report share."""

    patient: Patient
    at: datetime
    report_key: str
    sender: str
    is_synthetic: bool


def _observation(result: ObservationResult, said: _Said, local_codes: Mapping[str, str]) -> KeptObservation:
    code, other = _codes(result.identifier)
    concept = observation_codes.concept_of(code, other, local_codes)
    is_bedside = observation_codes.is_bedside(code, concept)
    return KeptObservation(
        report_key=_bedside_key(said.patient) if is_bedside else said.report_key,
        sender="" if is_bedside else said.sender,
        code=code,
        sub_id="" if is_bedside else result.sub_id,
        concept=concept.name if concept else "",
        is_bedside=is_bedside,
        patient=said.patient,
        value=_short(result.value),
        unit=_short(result.unit),
        reference_range=_short(result.reference_range),
        abnormal_flag=_short(result.abnormal_flag),
        status=_short(result.status),
        observed_at=result.observed_at,
        said_at=said.at,
        is_synthetic=said.is_synthetic,
    )


def _report_key(report: ObservationReport, received: HL7Received) -> tuple[str, str]:
    """Return by what the report is named, and whose name that is."""
    number = report.filler_order_number or report.placer_order_number
    if number:
        sender = "" if number.namespace_id else sender_of(received)
        return f"{number.entity_identifier}^{number.namespace_id}", sender
    return f"message {received.sending_application} {received.message_control_id}", sender_of(received)


def _bedside_key(patient: Patient) -> str:
    first = patient.identifiers[0]
    return f"bedside {first.id_number}^{first.assigning_authority}"


def _codes(element: data_types.CodedElement) -> tuple[CodedElement, CodedElement | None]:
    code = _code(element.identifier, element.text, element.coding_system)
    if not element.alternate_identifier:
        return code, None
    other = (element.alternate_identifier, element.alternate_text, element.alternate_coding_system)
    return code, _code(*other)


def _code(identifier: str, text: str, coding_system: str) -> CodedElement:
    return CodedElement(identifier=_short(identifier), text=_short(text), coding_system=_short(coding_system))


def _short(text: str) -> str:
    return text[:MOST_CHARACTERS]


def _context(one: KeptObservation) -> ContextObservation:
    return ContextObservation(
        concept=one.concept,
        code=one.code,
        value=one.value,
        unit=one.unit,
        reference_range=one.reference_range,
        abnormal_flag=one.abnormal_flag,
        status=one.status,
        observed_at=one.observed_at,
    )
