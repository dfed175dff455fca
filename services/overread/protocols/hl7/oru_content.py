"""What one ORU^R01 message says, as values; `oru` writes it, `oru_reading` reads it back."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from overread.protocols.hl7.data_types import CodedElement, EntityIdentifier, Patient, Practitioner, Visit
from overread.protocols.hl7.errors import NotRenderable

DICOM_STUDY = CodedElement(identifier="113014", text="DICOM Study", coding_system="DCM")
FINDING_SITE = CodedElement(identifier="363698007", text="Finding Site", coding_system="SCT")
UNSAID_SITE = CodedElement(identifier="")
"""The site of a finding that holds no more: it was told, and is named without its value."""
NARRATIVE = CodedElement(identifier="59776-5", text="Procedure findings", coding_system="LN")
NARRATIVE_SUB_ID = "1"

_NUMERIC = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_MAX_CONTROL_ID = 20


class ResultStatus(StrEnum):
    """OBR-25 (table HL70123). `R` is what nobody has read; `P` means a *verified* early result."""

    STORED_NOT_VERIFIED = "R"
    PRELIMINARY = "P"
    FINAL = "F"
    CORRECTED = "C"
    CANCELLED = "X"

    @property
    def is_signed(self) -> bool:
        """True where a named clinician stands behind the result."""
        return self in (ResultStatus.FINAL, ResultStatus.CORRECTED)

    @property
    def is_unconfirmed(self) -> bool:
        """True where the text must say that no clinician has confirmed it."""
        return self in (ResultStatus.STORED_NOT_VERIFIED, ResultStatus.PRELIMINARY)


class TakenBack(StrEnum):
    """OBX-11 of what holds no more in a signed result that is taken back (table HL70085): deleted, or of somebody else."""

    DELETED = "D"
    WRONG_PATIENT = "W"


class Language(StrEnum):
    """The language of our own sentences in a message (MSH-19, ISO 639)."""

    VIETNAMESE = "vi"
    ENGLISH = "en"
    FRENCH = "fr"


UNCONFIRMED: Mapping[Language, str] = {
    Language.VIETNAMESE: "CHƯA ĐƯỢC BÁC SĨ XÁC NHẬN: kết quả của AI, chưa có bác sĩ nào xác nhận.",
    Language.ENGLISH: "NOT CONFIRMED: this is the output of an AI; no clinician has confirmed it.",
    Language.FRENCH: "NON CONFIRMÉ : résultat d'une IA ; aucun clinicien ne l'a confirmé.",
}
WITHDRAWN: Mapping[Language, str] = {
    Language.VIETNAMESE: "KẾT QUẢ NÀY ĐÃ BỊ THU HỒI: không được sử dụng.",
    Language.ENGLISH: "THIS RESULT IS WITHDRAWN: it must not be used.",
    Language.FRENCH: "CE RÉSULTAT EST RETIRÉ : il ne doit pas être utilisé.",
}
SYNTHETIC: Mapping[Language, str] = {
    Language.VIETNAMESE: "DỮ LIỆU MÔ PHỎNG (synthetic): không phải bệnh nhân thật.",
    Language.ENGLISH: "TEST DATA (synthetic): not a real patient.",
    Language.FRENCH: "DONNÉES D'ESSAI (synthetic) : il ne s'agit pas d'un vrai patient.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """An application and its facility, as MSH-3 to MSH-6 name sender and receiver."""

    application: str
    facility: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeric:
    """A number as the decimal string it has in the report, with its UCUM unit (OBX-5 as NM, OBX-6)."""

    value: str
    unit: CodedElement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A coded value (OBX-5 as CWE)."""

    value: CodedElement


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text value (OBX-5 as ST, as TX when long, as FT when it has more than one line)."""

    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """The model that said it; `uid` is an OID when there is one (OBX-18)."""

    name: str
    version: str
    uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One finding. Identifier and sub-ID stay the same for every later status, since receivers replace by them.

    Its site is told under the same sub-ID, so no other finding with a site may have that.
    """

    identifier: CodedElement
    sub_id: str
    value: Numeric | Coded | Text | None
    abnormal_flag: str = ""
    probability: str = ""
    body_site: CodedElement | None = None
    model: ModelVersion | None = None
    analysed_at: datetime | None = None


class Media(StrEnum):
    """What an attachment is."""

    JPEG = "jpeg"
    PDF = "pdf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A picture or document beside the text: its bytes (ED), or where somebody who may see it finds it (RP).

    Kind and sub-ID stay the same for every later status. With neither bytes nor address it is one that the receiver was
    told of and that holds no more. `note` says why it is an address and not the thing itself.
    """

    media: Media
    sub_id: str
    content: bytes = b""
    address: str = ""
    note: str = ""

    @property
    def holds(self) -> bool:
        """Say whether it is there to be seen."""
        return bool(self.content or self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class OruContent:
    """One result message. Texts count in NFC, times to the millisecond.

    `retracted` are findings that the receiver was told before and that are no longer stated: OBX-11 is D. `taken_back`
    says that nothing of a signed result holds any more: OBR-25 is then C, since after a final X is not allowed and table
    HL70123 has no word of its own for it. `models` wrote the text, by `analysed_at`; none where a clinician did.
    `scheduled_at` is when the examination was to begin. `attachments` are pictures and documents, also those that hold
    no more.
    """

    message_control_id: str
    message_datetime: datetime
    processing_id: str
    sending: Party
    receiving: Party
    accept_acknowledgment_type: str = ""
    application_acknowledgment_type: str = ""
    country_code: str = ""
    language: Language
    is_synthetic: bool
    patient: Patient
    visit: Visit | None
    placer_order_number: EntityIdentifier | None
    filler_order_number: EntityIdentifier | None
    universal_service_identifier: CodedElement
    accession_number: str | None
    study_instance_uid: str
    ordering_provider: Practitioner | None
    priority: str | None
    observed_at: datetime | None
    status: ResultStatus
    status_changed_at: datetime
    observations: tuple[Observation, ...]
    narrative: str
    signer: Practitioner | None
    signed_at: datetime | None
    models: tuple[ModelVersion, ...] = ()
    analysed_at: datetime | None = None
    scheduled_at: datetime | None = None
    reason: str | None = None
    taken_back: TakenBack | None = None
    retracted: tuple[Observation, ...] = ()
    attachments: tuple[Attachment, ...] = ()


def check(content: OruContent) -> None:
    """Raise `NotRenderable` with the first rule that the content breaks; afterwards it can be said in HL7."""
    sentence = next(_broken_rules(content), None)
    if sentence:
        raise NotRenderable(sentence)


def _broken_rules(content: OruContent) -> Iterator[str]:
    yield from _broken_envelope_rules(content)
    yield from _broken_status_rules(content)
    yield from _broken_withdrawal_rules(content)
    for observation in (*content.observations, *content.retracted):
        yield from _broken_observation_rules(observation)
    names = Counter(_names(content))
    if max(names.values()) > 1:
        yield "Two observations share identifier and sub-ID (OBX-3 and OBX-4), so a receiver would keep only one."


def _names(content: OruContent) -> Iterator[tuple[str, str, str]]:
    """Yield OBX-3 and OBX-4 of each observation that a receiver keeps."""
    yield NARRATIVE.identifier, NARRATIVE.coding_system, NARRATIVE_SUB_ID
    for observation in (*content.observations, *content.retracted):
        yield observation.identifier.identifier, observation.identifier.coding_system, observation.sub_id
        if observation.body_site:
            yield FINDING_SITE.identifier, FINDING_SITE.coding_system, observation.sub_id


def _broken_envelope_rules(content: OruContent) -> Iterator[str]:
    if not re.fullmatch(rf"[!-~]{{1,{_MAX_CONTROL_ID}}}", content.message_control_id):
        yield f"MSH-10 has 1 to {_MAX_CONTROL_ID} visible ASCII characters (HL7 v2.5.1, 2.15.9.10)."
    if bool(content.accept_acknowledgment_type) != bool(content.application_acknowledgment_type):
        yield "MSH-15 and MSH-16 are both valued or both empty (HL7 v2.5.1, 2.15.9.15)."
    if not content.patient.identifiers:
        yield "A result needs a patient identifier (PID-3)."
    if not content.study_instance_uid or not content.universal_service_identifier.identifier:
        yield "A result names its study and the service (OBR-4)."
    if any(moment.tzinfo is None for moment in _moments(content)):
        yield "Every time needs its offset from UTC."


def _broken_status_rules(content: OruContent) -> Iterator[str]:
    status = content.status
    if status.is_signed and not (content.signer and content.signer.family_name and content.signed_at):
        yield "A final or corrected result needs a signer with a name, and the time of the signature."
    if status.is_signed and not content.narrative.strip() and not content.observations:
        yield "A final or corrected result has to say something."
    if not status.is_signed and (content.signer or content.signed_at):
        yield "A result that is not final or corrected names no signer (OBR-32, OBX-16)."
    if bool(content.reason) != (status in (ResultStatus.CORRECTED, ResultStatus.CANCELLED)):
        yield "A correction or a cancellation gives its reason, and nothing else does (NTE)."
    has_content = content.narrative or content.models or any(o != without_value(o) for o in content.observations)
    if status is ResultStatus.CANCELLED and has_content:
        yield "A cancelled result carries no text and no values (OBX-11 is X)."


def _broken_withdrawal_rules(content: OruContent) -> Iterator[str]:
    if any(observation != without_value(observation) for observation in content.retracted):
        yield "What holds no more carries no values (OBX-11 is D or W)."
    if content.taken_back and content.status is not ResultStatus.CORRECTED:
        yield "A signed result is taken back as a correction (OBR-25 is C)."
    if content.taken_back and content.observations:
        yield "A result that is taken back states nothing."
    if content.models and not content.narrative.strip() and not content.status.is_unconfirmed:
        yield "Models that wrote no text are not named beside it (OBX-17, OBX-18)."
    if any(a.holds for a in content.attachments) and (content.taken_back or content.status is ResultStatus.CANCELLED):
        yield "A result that is taken back shows no picture and no document."
    if content.retracted and content.status is ResultStatus.CANCELLED:
        yield "A cancelled result takes all back under one status (OBX-11 is X)."


def _broken_observation_rules(observation: Observation) -> Iterator[str]:
    match observation.value:
        case Numeric(value=value) if not _NUMERIC.fullmatch(value):
            yield "A number is written in decimal digits, without an exponent (NM)."
        case Text(value=value) if not value.strip():
            yield "A text value has to say something."
        case _:
            pass
    if not observation.identifier.identifier or not observation.sub_id:
        yield "An observation needs an identifier and a sub-ID (OBX-3, OBX-4)."
    if observation.identifier.identifier in (DICOM_STUDY.identifier, FINDING_SITE.identifier):
        yield "An observation may not use the identifier of the study or of a finding's site."
    if observation.probability and not _is_probability(observation.probability):
        yield "A probability is a decimal number from 0 to 1 (OBX-9)."


def _is_probability(text: str) -> bool:
    return bool(_NUMERIC.fullmatch(text)) and 0 <= Decimal(text) <= 1


def _moments(content: OruContent) -> Iterator[datetime]:
    analysed = (observation.analysed_at for observation in content.observations)
    named = (content.message_datetime, content.observed_at, content.status_changed_at, content.signed_at)
    others = (content.analysed_at, content.scheduled_at)
    return (moment for moment in (*named, *others, *analysed) if moment is not None)


def one_kind_of_line_end(text: str) -> str:
    """Return the text with every line end as a line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def without_value(observation: Observation) -> Observation:
    """Return the observation as a cancellation or a withdrawal names it: identifier and sub-ID alone, as of its site."""
    return Observation(
        identifier=observation.identifier,
        sub_id=observation.sub_id,
        value=None,
        body_site=UNSAID_SITE if observation.body_site else None,
    )


def differences(expected: object, actual: object, path: str = "") -> tuple[str, ...]:
    """Name the fields in which two contents differ: paths, never their values.

    Texts are compared in NFC and without blanks around them or at line ends, times to the millisecond: that is what a message keeps.
    """
    if is_dataclass(expected) and type(expected) is type(actual):
        names = (field.name for field in fields(expected))
        return _all(differences(getattr(expected, n), getattr(actual, n), f"{path}.{n}".lstrip(".")) for n in names)
    if isinstance(expected, tuple) and isinstance(actual, tuple) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return _all(differences(left, right, f"{path}[{index}]") for index, (left, right) in pairs)
    return () if _canonical(expected) == _canonical(actual) else (path,)


def _all(parts: Iterator[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(name for part in parts for name in part)


def _canonical(value: object) -> object:
    match value:
        case str():
            lines = one_kind_of_line_end(unicodedata.normalize("NFC", value)).split("\n")
            return "\n".join(line.rstrip() for line in lines).strip()
        case datetime():
            return value.astimezone(UTC).replace(microsecond=value.microsecond // 1000 * 1000)
        case _:
            return value
