"""Valid HL7 messages in one line, and a fault by keyword. Every identity is synthetic and looks it."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from overread.protocols.hl7 import oru
from overread.protocols.hl7.data_types import (
    CodedElement,
    EntityIdentifier,
    Patient,
    PatientIdentifier,
    PersonName,
    Practitioner,
    Visit,
)
from overread.protocols.hl7.oru_content import (
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
    without_value,
)

HANOI = timezone(timedelta(hours=7))
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=HANOI)
STUDY = "1.2.826.0.1.3680043.10.1.1.1"
NAME = "THỬ NGHIỆM^NGUYỄN VĂN"

Places = str | tuple[str, ...]
Overrides = Mapping[str, str] | None


def an_omi(*, without: Places = (), put: Overrides = None, charset: str = "utf-8", **known: str) -> bytes:
    """An OMI^O23 (2.5.1) in enhanced mode; `known` names are those of `_VALUES`."""
    value = _VALUES | known
    lines = [
        _msh(value, "OMI^O23^OMI_O23", "2.5.1", "AL|NE"),
        *_patient(value),
        f"ORC|{value['control']}|{value['placer']}|{value['filler']}||||||20261122095000+0700|||BS001^MẪU^BÁC SĨ",
        f"TQ1|1||||||20261122100000+0700||{value['priority']}",
        f"OBR|1|{value['placer']}|{value['filler']}|{value['service']}|||||||||{value['clinical']}",
        f"IPC|{value['accession']}^RIS|RP1^RIS|{value['study']}^^{value['study']}^ISO|SPS1^RIS|{value['modality']}",
    ]
    return encoded(lines, without, put, charset)


def an_orm(
    *, without: Places = (), put: Overrides = None, charset: str = "utf-8", version: str = "2.3.1", **known: str
) -> bytes:
    """An ORM^O01 in original mode, with the study's UID in ZDS and the accession number in OBR-18."""
    value = _VALUES | {"control_id": "HIS0002"} | known
    timing = f"^^^20261122100000^^{value['priority']}"
    obr = f"OBR|1|{value['placer']}|{value['filler']}|{value['service']}|||||||||{value['clinical']}"
    lines = [
        _msh(value, "ORM^O01", version, "|"),
        *_patient(value),
        f"ORC|{value['control']}|{value['placer']}|{value['filler']}||||{timing}||20261122095000|||BS001^MẪU^BÁC SĨ",
        f"{obr}|||||{value['accession']}||||||{value['modality']}",
        f"ZDS|{value['study']}^HIS^Application^DICOM",
    ]
    return encoded(lines, without, put, charset)


def an_oru(status: str = "F", *, without: Places = (), put: Overrides = None, **changes: Any) -> bytes:
    """An ORU^R01 (2.5.1) of ours with the given status; `changes` are fields of `OruContent`."""
    rendered = oru.render(an_oru_content(status, **changes)).decode("utf-8")
    return encoded(rendered.rstrip("\r").split("\r"), without, put, "utf-8")


def an_oru_content(status: str = "F", **changes: Any) -> OruContent:
    """What an ORU says, coherent for its status: signed when final or corrected, no values when cancelled."""
    result_status = ResultStatus(status)
    is_signed, is_cancelled = result_status.is_signed, result_status is ResultStatus.CANCELLED
    plain: dict[str, Any] = {
        "status": result_status,
        "observations": tuple(without_value(o) if is_cancelled else o for o in (a_volume(), a_site(), a_remark())),
        "narrative": "" if is_cancelled else "Phổi hai bên thông khí tốt & không có nốt mờ.\nTim không to.",
        "signer": Practitioner(id_number="BS009", family_name="MẪU", given_name="MINH CHÂU") if is_signed else None,
        "signed_at": NOON if is_signed else None,
        "reason": "Sai bên: sửa lại" if status in ("C", "X") else None,
    }
    return OruContent(**{**_ORU, **plain, **changes})


def a_withdrawn_content(taken_back: TakenBack, **changes: Any) -> OruContent:
    """What takes a signed result back: nothing is stated, and what was is named once more."""
    named = tuple(without_value(observation) for observation in (a_volume(), a_remark()))
    plain = {"observations": (), "retracted": named, "narrative": "Nhầm bệnh nhân", "reason": "Nhầm bệnh nhân"}
    return an_oru_content("C", **{**plain, "taken_back": taken_back, **changes})


def a_volume(**changes: Any) -> Observation:
    """A number with a UCUM unit, as a model says it."""
    return dataclasses.replace(_VOLUME, **changes)


def a_site(**changes: Any) -> Observation:
    """A coded finding with its probability and body site."""
    return dataclasses.replace(_NODULE, **changes)


def a_remark(**changes: Any) -> Observation:
    """A text finding of a clinician: no model, no probability."""
    return dataclasses.replace(_REMARK, **changes)


_VALUES: dict[str, str] = {
    "control_id": "HIS0001",
    "control": "NW",
    "placer": "ORD20261122001^HIS",
    "filler": "",
    "accession": "ACC26112200123",
    "study": STUDY,
    "service": "24627-2^CT Chest^LN",
    "modality": "CT",
    "priority": "S",
    "clinical": "Ho kéo dài; theo dõi khí phế thũng",
    "patient_id": "BN000123^^^BVX^MR~001099012345^^^VNBCA^NI",
    "name": NAME,
    "charset": "UNICODE UTF-8",
    "processing_id": "P",
}

LUNG = CodedElement(identifier="39607008", text="Lung", coding_system="SCT")
_MODEL = ModelVersion(name="ct-lung-density", version="1.0.0", uid="2.25.123456789")
_VOLUME = Observation(
    identifier=CodedElement(identifier="LUNGVOL", text="Lung volume", coding_system="99OVERREAD"),
    sub_id="1.1",
    value=Numeric(value="5512.4", unit=CodedElement(identifier="mL", text="milliliter", coding_system="UCUM")),
    model=_MODEL,
    analysed_at=NOON - timedelta(minutes=5),
)
_NODULE = Observation(
    identifier=CodedElement(identifier="19005-8", text="Impression", coding_system="LN"),
    sub_id="2",
    value=Coded(value=CodedElement(identifier="427359005", text="Solitary nodule of lung", coding_system="SCT")),
    abnormal_flag="A",
    probability="0.934",
    body_site=LUNG,
    model=_MODEL,
    analysed_at=NOON - timedelta(minutes=5),
)
_REMARK = Observation(
    identifier=CodedElement(identifier="REMARK", text="Ghi chú", coding_system="99OVERREAD"),
    sub_id="3",
    value=Text(value="So với phim cũ: không đổi"),
)
_ORU: dict[str, Any] = {
    "message_control_id": "OVR0001",
    "message_datetime": NOON,
    "processing_id": "P",
    "sending": Party(application="OVERREAD", facility="BVX"),
    "receiving": Party(application="EMR", facility="BVX"),
    "language": Language.VIETNAMESE,
    "is_synthetic": False,
    "patient": Patient(
        identifiers=(
            PatientIdentifier(id_number="BN000123", assigning_authority="BVX", identifier_type_code="MR"),
            PatientIdentifier(id_number="001099012345", assigning_authority="VNBCA", identifier_type_code="NI"),
        ),
        names=(PersonName(family_name="THỬ NGHIỆM", given_name="NGUYỄN VĂN", name_type_code="L"),),
        birth_date="1999-05-12",
        administrative_sex="M",
    ),
    "visit": Visit(
        patient_class="O",
        assigned_patient_location=("KHOA CDHA", "", "", "BVX"),
        visit_number=PatientIdentifier(id_number="V0077", assigning_authority="BVX", identifier_type_code="VN"),
    ),
    "placer_order_number": EntityIdentifier(entity_identifier="ORD20261122001", namespace_id="HIS"),
    "filler_order_number": EntityIdentifier(entity_identifier="ACC26112200123", namespace_id="RIS"),
    "universal_service_identifier": CodedElement(identifier="24627-2", text="CT Chest", coding_system="LN"),
    "accession_number": "ACC26112200123",
    "study_instance_uid": STUDY,
    "ordering_provider": Practitioner(id_number="BS001", family_name="MẪU", given_name="BÁC SĨ"),
    "priority": "R",
    "observed_at": NOON - timedelta(hours=1),
    "status_changed_at": NOON,
}


def _msh(value: Mapping[str, str], message_type: str, version: str, modes: str) -> str:
    start = f"MSH|^~\\&|HIS|BVX|OVERREAD|BVX|20261122095000+0700||{message_type}|{value['control_id']}"
    return f"{start}|{value['processing_id']}|{version}|||{modes}|VNM|{value['charset']}"


def _patient(value: Mapping[str, str]) -> tuple[str, str]:
    pid = f"PID|1||{value['patient_id']}||{value['name']}^^^^^L||19990512|M"
    return pid, f"PV1|1|O|KHOA CDHA^^^BVX{'|' * 16}V0077^^^BVX^VN"


def encoded(lines: list[str], without: Places, put: Overrides, charset: str = "utf-8") -> bytes:
    """Blank what `without` names ("PID", "ORC-2"), fill what `put` names, and end each segment."""
    missing = (without,) if isinstance(without, str) else without
    kept = [line.split("|") for line in lines if line[:3] not in missing]
    for place, text in {**{place: "" for place in missing if "-" in place}, **(put or {})}.items():
        name, _, number = place.partition("-")
        for fields in kept:
            if fields[0] == name:
                _set(fields, int(number) - (name == "MSH"), text)
    return "".join("|".join(fields) + "\r" for fields in kept).encode(charset)


def _set(fields: list[str], index: int, text: str) -> None:
    fields.extend([""] * (index + 1 - len(fields)))
    fields[index] = text
