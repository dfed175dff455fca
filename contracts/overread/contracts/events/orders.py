"""The life of an order, with or without images; the values that cases and reports say about patient and order."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime

from overread.contracts.envelope import Body, Value
from overread.contracts.identifiers import AccessionNumber, StudyInstanceUid


class PatientIdentifier(Value):
    """One PID-3 repetition: the number and who gave it (CX; HL7 v2.5.1, 2A.14)."""

    id_number: str
    assigning_authority: str = ""
    identifier_type_code: str = ""


class Patient(Value):
    """Who a study is about, as the order or, without one, the images say."""

    identifiers: tuple[PatientIdentifier, ...]
    family_name: str = ""
    given_name: str = ""
    birth_date: date | None = None
    sex: str = ""


class CodedElement(Value):
    """A code with its text and coding system (CWE; HL7 v2.5.1, 2A.13)."""

    identifier: str
    text: str = ""
    coding_system: str = ""


class NamedCode(CodedElement):
    """A code of the site's own lists, with its name in three languages; `text` is the Vietnamese one."""

    text_en: str = ""
    text_fr: str = ""


class Procedure(NamedCode):
    """What an order asks for, as the site's mapping names it; `body_part` is empty where the mapping says none."""

    body_part: str = ""


class OrderStatus(StrEnum):
    """Where an order is in its life, folded from ORC-1 and ORC-5."""

    ACTIVE = "active"
    HELD = "held"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


class ServiceRequest(Value):
    """An imaging order as its last message left it.

    `scheduled_at` is when the examination is to begin (TQ1-7); absent where no message said so. `parent_order_number`
    names the order that this one is a child of (ORC-8), empty where it is none. `body_part` is what a sender that does not
    speak HL7 v2 says it is of; absent where none did.

    `service`, `patient_location` and `ordering_provider` are the sender's own, and go back to it. What the site's mapping
    makes of them is `procedure`, `location` and `requester`, and the names of `models` that are to read the study; each is
    absent where nothing is mapped, or in what was told before there was a mapping. `link_id` is the link whose mapping
    counts: the one that said last what is asked; empty where that was not noted. `location_link_id` and
    `provider_link_id` are the links that said ward and doctor; empty where that is `link_id`.
    """

    order_id: UUID
    status: OrderStatus
    placer_order_number: str = ""
    placer_namespace: str = ""
    filler_order_number: str = ""
    filler_namespace: str = ""
    accession_number: AccessionNumber | None = None
    study_instance_uid: StudyInstanceUid | None = None
    service: CodedElement | None = None
    modality: str = ""
    priority: str = "R"
    ordering_provider: CodedElement | None = None
    visit_number: str = ""
    patient_class: str = ""
    patient_location: str = ""
    clinical_information: str = ""
    is_synthetic: bool = False
    scheduled_at: AwareDatetime | None = None
    parent_order_number: str = ""
    procedure: Procedure | None = None
    models: tuple[str, ...] | None = None
    location: NamedCode | None = None
    requester: CodedElement | None = None
    link_id: str = ""
    body_part: CodedElement | None = None
    location_link_id: str = ""
    provider_link_id: str = ""


class OrderChanged(Body):
    """An order is new or reads differently; `revision` grows by one with each change."""

    order_id: UUID
    revision: int
    changed_at: AwareDatetime
    order: ServiceRequest
    patient: Patient
