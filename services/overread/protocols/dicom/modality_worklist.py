"""The Modality Worklist as who asks for it has it: the question's keys, and what each item answers (PS3.4, K.6.1.2)."""

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from typing import Final

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence as Items

from overread.contracts.errors import Malformed
from overread.protocols.dicom.values import HeaderValues

MODALITY_WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"

_ITEM_KEYS: Final = (
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientWeight",
    "StudyInstanceUID",
    "RequestingPhysician",
    "RequestedProcedureDescription",
    "AdmissionID",
    "CurrentPatientLocation",
    "RequestedProcedureID",
    "ReasonForTheRequestedProcedure",
    "RequestedProcedurePriority",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
)
_STEP_KEYS: Final = (
    "Modality",
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepDescription",
    "ScheduledProcedureStepID",
    "ScheduledStationName",
    "ScheduledProcedureStepLocation",
    "ScheduledProcedureStepStatus",
)
_CODE_KEYS: Final = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
_NAMESPACE_KEYS: Final = ("LocalNamespaceEntityID", "UniversalEntityID")
_STEPS, _PROCEDURE_CODES, _PROTOCOL_CODES = (
    "ScheduledProcedureStepSequence",
    "RequestedProcedureCodeSequence",
    "ScheduledProtocolCodeSequence",
)
_PLACER, _FILLER = "OrderPlacerIdentifierSequence", "OrderFillerIdentifierSequence"
_TIME: Final = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.\d{1,6})?")
_CHARSET: Final = 0x00080005
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, OSError, EOFError, RecursionError, struct.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which scheduled steps are asked for; empty matches all (universal matching, PS3.4, C.2.2.2.3)."""

    first_day: date
    last_day: date
    modality: str = ""
    scheduled_station_ae_title: str = ""
    charset: str = "ISO_IR 192"

    def identifier(self) -> Dataset:
        """Return the C-FIND identifier; its keys are those of table K.6-1 that an order can hold."""
        data_set = Dataset()
        data_set.SpecificCharacterSet = self.charset
        _empty(data_set, _ITEM_KEYS)
        for sequence, keys in ((_PROCEDURE_CODES, _CODE_KEYS), (_PLACER, _NAMESPACE_KEYS), (_FILLER, _NAMESPACE_KEYS)):
            setattr(data_set, sequence, Items([_empty(Dataset(), keys)]))
        step = _empty(Dataset(), _STEP_KEYS)
        step.Modality, step.ScheduledStationAETitle = self.modality, self.scheduled_station_ae_title
        step.ScheduledProcedureStepStartDate = f"{self.first_day:%Y%m%d}-{self.last_day:%Y%m%d}"
        step.ScheduledProtocolCodeSequence = Items([_empty(Dataset(), _CODE_KEYS)])
        data_set.ScheduledProcedureStepSequence = Items([step])
        return data_set


def _empty(data_set: Dataset, keywords: Sequence[str]) -> Dataset:
    for keyword in keywords:
        setattr(data_set, keyword, None)
    return data_set


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One item of a code sequence (PS3.3, table 8.8-1)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistItem:
    """One item of the answer: a scheduled step, its requested procedure, its patient; empty is not said.

    `scheduled_at` is local. `undecodable` names the attributes whose value broke its VR or its character set.
    """

    raw: bytes
    accession_number: str
    study_instance_uid: str
    requested_procedure_id: str
    requested_procedure_description: str
    requested_procedure_code: Code | None
    requested_procedure_priority: str
    reason: str
    placer_order_number: str
    placer_namespace: str
    filler_order_number: str
    filler_namespace: str
    requesting_physician: str
    admission_id: str
    location: str
    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: date | None
    patient_sex: str
    step_id: str
    step_status: str
    step_description: str
    modality: str
    station: str
    scheduled_at: datetime | None
    undecodable: tuple[str, ...]


def read_item(raw: bytes, *, is_implicit: bool, fallback_charset: str) -> WorklistItem:
    """Return what an item's data set says, or raise `Malformed`; several steps in one item are one too many (K.6.1.2.2)."""
    try:
        data_set = read_dataset(BytesIO(raw), is_implicit, is_little_endian=True, bytelength=None)
        return _item(raw, data_set, fallback_charset)
    except _UNREADABLE as error:
        raise Malformed("the item's data set can't be decoded") from error


class _Level:
    """The values of a data set or of a sequence's item, which has the character set of what it is in (PS3.5, 7.5.3)."""

    def __init__(self, data_set: Dataset, charset: bytes, fallback: str, undecodable: list[str]) -> None:
        self._data_set = data_set
        raw = {int(tag): _raw(data_set.get_item(tag)) for tag in data_set.keys()}  # noqa: SIM118 - raw elements
        self._charset = raw.setdefault(_CHARSET, charset)
        self._fallback, self._undecodable = fallback, undecodable
        self._values = HeaderValues(raw, _TAGS, byte_order="little", fallback_charset=fallback)

    def text(self, *keywords: str) -> str:
        """Return the first of the texts that says something."""
        return next((said for keyword in keywords if (said := self._said(keyword))), "")

    def _said(self, keyword: str) -> str:
        said = self._values.text(keyword) or ""
        self._note()
        return said.partition("\\")[0].strip()

    def name(self, *keywords: str) -> str:
        """Return the first of the names that says something, its alphabetic group (PS3.5, 6.2.1.1)."""
        names = (self._values.person_name(keyword) for keyword in keywords)
        said = next((name.partition("=")[0] for name in names if name), "")
        self._note()
        return said

    def date(self, keyword: str) -> date | None:
        """Return a DA."""
        said = self._values.date(keyword)
        self._note()
        return said

    def first(self, sequence: str) -> "_Level":
        """Return the first item of a sequence, an empty one where it has none."""
        items = self._data_set.get(sequence) or []
        return _Level(items[0] if items else Dataset(), self._charset, self._fallback, self._undecodable)

    def code(self, sequence: str) -> Code | None:
        """Return the first code of a sequence."""
        item = self.first(sequence)
        code = Code(
            value=item.text("CodeValue"),
            scheme=item.text("CodingSchemeDesignator"),
            meaning=item.text("CodeMeaning"),
        )
        return code if code.value or code.meaning else None

    def _note(self) -> None:
        self._undecodable += [keyword for keyword in self._values.undecodable if keyword not in self._undecodable]


def _raw(element: object) -> bytes:
    return element.value or b"" if isinstance(element, RawDataElement) and isinstance(element.value, bytes) else b""


_TAGS: Final[Mapping[str, int]] = {
    keyword: tag
    for keyword in ("SpecificCharacterSet", *_ITEM_KEYS, *_STEP_KEYS, *_CODE_KEYS, *_NAMESPACE_KEYS)
    if (tag := tag_for_keyword(keyword)) is not None
}


def _item(raw: bytes, data_set: Dataset, fallback_charset: str) -> WorklistItem:
    undecodable: list[str] = []
    item = _Level(data_set, b"", fallback_charset, undecodable)
    if len(data_set.get(_STEPS) or []) > 1:
        raise Malformed("the item has more than one scheduled procedure step")
    step = item.first(_STEPS)
    placer, filler = item.first(_PLACER), item.first(_FILLER)
    return WorklistItem(
        raw=raw,
        accession_number=item.text("AccessionNumber"),
        study_instance_uid=item.text("StudyInstanceUID"),
        requested_procedure_id=item.text("RequestedProcedureID"),
        requested_procedure_description=item.text("RequestedProcedureDescription"),
        requested_procedure_code=item.code(_PROCEDURE_CODES) or step.code(_PROTOCOL_CODES),
        requested_procedure_priority=item.text("RequestedProcedurePriority").upper(),
        reason=item.text("ReasonForTheRequestedProcedure"),
        placer_order_number=item.text("PlacerOrderNumberImagingServiceRequest"),
        placer_namespace=placer.text(*_NAMESPACE_KEYS),
        filler_order_number=item.text("FillerOrderNumberImagingServiceRequest"),
        filler_namespace=filler.text(*_NAMESPACE_KEYS),
        requesting_physician=item.name("RequestingPhysician", "ReferringPhysicianName"),
        admission_id=item.text("AdmissionID"),
        location=item.text("CurrentPatientLocation"),
        patient_id=item.text("PatientID"),
        issuer_of_patient_id=item.text("IssuerOfPatientID"),
        patient_name=item.name("PatientName"),
        patient_birth_date=item.date("PatientBirthDate"),
        patient_sex=item.text("PatientSex").upper(),
        step_id=step.text("ScheduledProcedureStepID"),
        step_status=step.text("ScheduledProcedureStepStatus").upper(),
        step_description=step.text("ScheduledProcedureStepDescription"),
        modality=step.text("Modality"),
        station=step.text("ScheduledStationAETitle"),
        scheduled_at=_moment(step),
        undecodable=tuple(undecodable),
    )


def _moment(step: _Level) -> datetime | None:
    day = step.date("ScheduledProcedureStepStartDate")
    match = _TIME.fullmatch(step.text("ScheduledProcedureStepStartTime"))
    if day is None or match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups())
    return datetime(day.year, day.month, day.day, hour, minute, min(second, 59))  # noqa: DTZ001 - local, as it is said
