"""Results as ORU^R01 v2.5.1: equal contents give equal bytes (HL7 v2.5.1, 7.3.1)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from overread.protocols.hl7 import oru_attachments
from overread.protocols.hl7.data_types import CodedElement, composite, join
from overread.protocols.hl7.delimiters import STANDARD, escape
from overread.protocols.hl7.oru_content import (
    DICOM_STUDY,
    FINDING_SITE,
    NARRATIVE_SUB_ID,
    SYNTHETIC,
    UNCONFIRMED,
    WITHDRAWN,
    Coded,
    Language,
    ModelVersion,
    Numeric,
    Observation,
    OruContent,
    ResultStatus,
    TakenBack,
    Text,
    check,
    one_kind_of_line_end,
)
from overread.protocols.hl7.oru_layout import USUAL, Layout
from overread.protocols.hl7.timestamps import write_date, write_timestamp

LANGUAGE_NAMES: Mapping[Language, str] = {
    Language.VIETNAMESE: "Vietnamese",
    Language.ENGLISH: "English",
    Language.FRENCH: "French",
}
OBSERVATION_METHOD = CodedElement(identifier="AI", text="Machine learning algorithm", coding_system="99OVERREAD")


RESULT = "ORU^R01^ORU_R01"


def render(content: OruContent, layout: Layout = USUAL) -> bytes:
    """Write the message that says `content`, in UTF-8; `NotRenderable` when a rule of HL7 forbids it.

    What no clinician has confirmed says so in its first line; OBR-32 and OBX-16 are filled for F and C only.
    """
    check(content)
    segments = [msh(content, RESULT), pid(content), *pv1(content), *orc(content), obr(content, layout), *tq1(content)]
    return encoded([*segments, *results(content, layout)])


def encoded(segments: Sequence[str]) -> bytes:
    """Return the message as its bytes."""
    return "".join(f"{segment}\r" for segment in segments).encode("utf-8")


def notices(content: OruContent) -> tuple[str, ...]:
    """List the sentences that stand before any text of this result."""
    unconfirmed = (UNCONFIRMED[content.language],) if content.status.is_unconfirmed else ()
    withdrawn = (WITHDRAWN[content.language],) if content.taken_back else ()
    synthetic = (SYNTHETIC[content.language],) if content.is_synthetic else ()
    return unconfirmed + withdrawn + synthetic


def segment(name: str, fields: Mapping[int, str]) -> str:
    """Write a segment from encoded fields by their number."""
    last = max(number for number, text in fields.items() if text)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def msh(content: OruContent, message_type: str) -> str:
    """Write MSH: who sends what to whom, when, and under which number."""
    language = (content.language.value, LANGUAGE_NAMES[content.language], "ISO639")
    # MSH-1 is the separator itself, so fields count from MSH-2 here.
    fields = {
        1: STANDARD.encoding_characters,
        2: escape(content.sending.application),
        3: escape(content.sending.facility),
        4: escape(content.receiving.application),
        5: escape(content.receiving.facility),
        6: write_timestamp(content.message_datetime),
        8: message_type,
        9: escape(content.message_control_id),
        10: escape(content.processing_id),
        11: "2.5.1",
        14: escape(content.accept_acknowledgment_type),
        15: escape(content.application_acknowledgment_type),
        16: escape(content.country_code),
        17: "UNICODE UTF-8",
        18: composite(*language),
    }
    return segment("MSH", fields)


def pid(content: OruContent) -> str:
    """Write PID: whose it is."""
    patient = content.patient
    fields = {
        1: "1",
        3: "~".join(identifier.write() for identifier in patient.identifiers),
        5: "~".join(name.write() for name in patient.names),
        7: write_date(patient.birth_date or ""),
        8: escape(patient.administrative_sex or ""),
    }
    return segment("PID", fields)


def pv1(content: OruContent) -> Iterator[str]:
    """Write PV1, where a visit is known."""
    visit = content.visit
    if visit is None:
        return
    fields = {
        1: "1",
        2: escape(visit.patient_class or ""),
        3: composite(*visit.assigned_patient_location),
        19: visit.visit_number.write() if visit.visit_number else "",
    }
    yield segment("PV1", fields)


def order_numbers(content: OruContent) -> dict[int, str]:
    """ORC-2 and OBR-2, ORC-3 and OBR-3: the numbers the order came with, never new ones (OBR-3 text)."""
    placer, filler = content.placer_order_number, content.filler_order_number
    return {2: placer.write() if placer else "", 3: filler.write() if filler else ""}


def orc(content: OruContent) -> Iterator[str]:
    """Write ORC, where an order has a number."""
    numbers = order_numbers(content)
    if any(numbers.values()):
        yield segment("ORC", {1: "RE", **numbers, 5: "CM" if content.status.is_signed else "IP"})


def obr(content: OruContent, layout: Layout) -> str:
    """Write OBR: what was ordered, and how far its result is."""
    fields = {
        1: "1",
        **order_numbers(content),
        4: content.universal_service_identifier.write(),
        7: _optional_time(content.observed_at),
        16: content.ordering_provider.write() if content.ordering_provider else "",
        **dict.fromkeys(layout.accession_fields, escape(content.accession_number or "")),
        22: write_timestamp(content.status_changed_at),
        24: "RAD",
        25: content.status.value,
        32: _principal_result_interpreter(content),
    }
    return segment("OBR", fields)


def _principal_result_interpreter(content: OruContent) -> str:
    """OBR-32 (NDL): who signed, its parts as subcomponents, and when; withdrawn after v2.8 but at home in v2.5.1."""
    if content.signer is None:
        return ""
    return join(content.signer.write(separator="&"), _optional_time(content.signed_at))


def tq1(content: OruContent) -> Iterator[str]:
    """Write TQ1, where the order says when or how soon."""
    if content.priority or content.scheduled_at:
        yield segment("TQ1", {1: "1", 7: _optional_time(content.scheduled_at), 9: escape(content.priority or "")})


def results(content: OruContent, layout: Layout) -> Iterator[str]:
    """Yield study, narrative, reason, findings and attachments; OBX-1 counts the observations as they come."""
    study = {3: DICOM_STUDY.write(), 2: "ST", 5: escape(content.study_instance_uid), 11: "O"}
    text = [(study, ""), *((fields, "") for fields in _narrative(content, layout))]
    text[-1] = (text[-1][0], _reason(content) if content.reason else "")
    findings = [(fields, "") for fields in _findings(content)]
    lasting = _lasting(content)
    attached = [(lasting | fields, note) for fields, note in oru_attachments.observations(content, layout)]
    others = [*findings, *attached] if layout.has_attachments_last else [*attached, *findings]
    for number, (fields, note) in enumerate([*text, *others], 1):
        yield segment("OBX", {1: str(number), **fields})
        if note:
            yield segment("NTE", {1: "1", 3: escape(note)})


def _lasting(content: OruContent) -> dict[int, str]:
    """Give what every observation carries: status, time of the study, and who answers for it once signed."""
    if content.status is ResultStatus.CANCELLED:
        return {11: content.status.value}
    signer = content.signer.write() if content.signer else ""
    return {11: content.status.value, 14: _optional_time(content.observed_at), 16: signer}


def _narrative(content: OruContent, layout: Layout) -> Iterator[dict[int, str]]:
    """Yield the text as one observation, one repetition of OBX-5 a line (TX repeats by the line; 2.A.79).

    A receiver replaces by identifier and sub-ID: of several observations under one pair it would keep the last line
    alone, and of lines with sub-IDs of their own it would keep those of a longer text before (OBX-4, OBX-11).
    """
    lasting = {3: layout.narrative.write(), 4: NARRATIVE_SUB_ID, **_lasting(content)}
    if content.taken_back is TakenBack.WRONG_PATIENT:
        lasting[11] = content.taken_back.value
    if content.status is ResultStatus.CANCELLED:
        yield lasting
        return
    said = one_kind_of_line_end(content.narrative).strip()
    lines = (*notices(content), *(said.split("\n") if said else ()))
    if lines:
        text = "~".join(escape(line.rstrip()) or " " for line in lines)
        yield {2: "TX", 5: text, **lasting, **_equipment(content.models), 19: _optional_time(content.analysed_at)}


def _reason(content: OruContent) -> str:
    is_only_text = content.status is ResultStatus.CANCELLED
    return "\n".join((*(notices(content) if is_only_text else ()), content.reason or ""))


def _findings(content: OruContent) -> Iterator[dict[int, str]]:
    lasting = _lasting(content)
    for observation in content.observations:
        yield from (fields | lasting for fields in _observation(observation))
    holds_no_more = {11: (content.taken_back or TakenBack.DELETED).value}
    for observation in content.retracted:
        yield from (fields | lasting | holds_no_more for fields in _observation(observation))


def _observation(observation: Observation) -> Iterator[dict[int, str]]:
    """Yield the finding, then its site."""
    yield {
        3: observation.identifier.write(),
        4: escape(observation.sub_id),
        **_value(observation),
        8: escape(observation.abnormal_flag),
        9: observation.probability,
        **_equipment((observation.model,) if observation.model else ()),
        19: _optional_time(observation.analysed_at),
    }
    if observation.body_site:
        yield _body_site(observation, observation.body_site)


def _value(observation: Observation) -> dict[int, str]:
    match observation.value:
        case Numeric(value=value, unit=unit):
            return {2: "NM", 5: value, 6: unit.write() if unit else ""}
        case Coded(value=value):
            return {2: "CWE", 5: value.write()}
        case Text(value=value):
            return {2: _text_type(value), 5: escape(value)}
        case None:
            return {}


def _text_type(value: str) -> str:
    """Choose ST up to its 199 characters (2.A.74), else TX; FT where lines end inside the value."""
    if "\n" in value or "\r" in value:
        return "FT"
    return "ST" if len(value) <= 199 else "TX"


def _body_site(observation: Observation, body_site: CodedElement) -> dict[int, str]:
    """Write the site as an observation of its own, joined to its finding by the sub-ID (OBX-4 text)."""
    said = body_site.write()
    return {2: "CWE" if said else "", 3: FINDING_SITE.write(), 4: escape(observation.sub_id), 5: said}


def _equipment(models: Sequence[ModelVersion]) -> dict[int, str]:
    """OBX-17 and OBX-18: that a model said it, and which, a repetition each."""
    if not models:
        return {}
    return {17: OBSERVATION_METHOD.write(), 18: "~".join(_instance(model) for model in models)}


def _instance(model: ModelVersion) -> str:
    return composite(model.name, model.version, model.uid, "ISO" if model.uid else "")


def _optional_time(moment: datetime | None) -> str:
    return write_timestamp(moment) if moment else ""
