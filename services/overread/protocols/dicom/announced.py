"""What a modality or an archive announces beside images: steps, availability, commitment (PS3.4, F.7, J and R)."""

import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as DicomSequence

from overread.contracts.errors import Malformed
from overread.contracts.identifiers import parse_uid
from overread.protocols.dicom.sop_classes import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

ALL_COMMITTED: Final = 1
FAILURES_EXIST: Final = 2
"""Event types of the Storage Commitment Push Model (PS3.4, J.3.3)."""

IN_PROGRESS: Final = "IN PROGRESS"
COMPLETED: Final = "COMPLETED"
DISCONTINUED: Final = "DISCONTINUED"
STEP_STATES: Final = frozenset({IN_PROGRESS, COMPLETED, DISCONTINUED})
MOST_ITEMS: Final = 12_000
"""A study has ten thousand instances at most; each item takes a tenth of a millisecond to decode."""
_ITEM_TAGS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_CAN_BE_HAD: Final = frozenset({"ONLINE", "NEARLINE"})
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, OSError, EOFError, RecursionError, struct.error)


class MissingAttribute(Malformed):
    """An attribute without which the request means nothing is absent or empty (PS3.7, C.4.3)."""


class InvalidAttribute(Malformed):
    """An attribute has a value that it may not have (PS3.7, C.4.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureStep:
    """A performed procedure step as one message tells it (PS3.4, table F.7.2-1).

    `status` is empty where an N-SET leaves it as it is. `sop_instance_uids` are those that the performed series list,
    images and others alike.
    """

    status: str
    study_instance_uids: tuple[str, ...]
    accession_numbers: tuple[str, ...]
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Which instances of one study can be had at once or soon (PS3.4, table R.3.2-1)."""

    study_instance_uid: str
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReferencedSop:
    """One instance by its class and UID (PS3.3, table 10-11)."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """For which instances the peer asks that we vouch, and under which number we answer (PS3.4, table J.3-1)."""

    transaction_uid: str
    references: tuple[ReferencedSop, ...]


def read_data_set(fragments: Sequence[bytes], transfer_syntax_uid: str) -> Dataset:
    """Return a data set without pixels, wholly decoded, or raise `Malformed`; it takes long for what is large."""
    raw = b"".join(fragments)
    if max(raw.count(item) for item in _ITEM_TAGS) > MOST_ITEMS:
        raise Malformed(f"the data set has more than {MOST_ITEMS} items")
    is_implicit = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    is_little = transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pydicom mends of an odd data set is no business of the log
            data_set = read_dataset(BytesIO(raw), is_implicit, is_little, bytelength=None)
            data_set.walk(lambda _, element: element.value, recursive=True)
    except _UNREADABLE as error:
        raise Malformed("the data set can't be decoded") from error
    return data_set


def created_step(data_set: Dataset) -> ProcedureStep:
    """Return what an N-CREATE begins; it must be in progress and name a study (PS3.4, F.7.2.1.2)."""
    step = _step(data_set)
    if not step.status:
        raise MissingAttribute("Performed Procedure Step Status (0040,0252) is missing")
    if step.status != IN_PROGRESS:
        raise InvalidAttribute("a step begins IN PROGRESS (0040,0252)")
    if not step.study_instance_uids:
        raise MissingAttribute("Study Instance UID of Scheduled Step Attributes (0040,0270) is missing")
    return step


def changed_step(data_set: Dataset) -> ProcedureStep:
    """Return what an N-SET says of a step (PS3.4, F.7.2.2.2); one that ends lists at least one series."""
    step = _step(data_set)
    if step.status == COMPLETED and not items_of(data_set, "PerformedSeriesSequence"):
        raise MissingAttribute("Performed Series Sequence (0040,0340) of a completed step is empty")
    return step


def read_availability(data_set: Dataset) -> Availability:
    """Return what an archive announces to have; what is offline or gone is left out."""
    study = _required_uid(data_set, "StudyInstanceUID")
    references = [
        item
        for series in items_of(data_set, "ReferencedSeriesSequence")
        for item in items_of(series, "ReferencedSOPSequence")
        if str(item.get("InstanceAvailability", "")) in _CAN_BE_HAD
    ]
    return Availability(study_instance_uid=study, sop_instance_uids=_instances(references))


def read_commitment(data_set: Dataset) -> Commitment:
    """Return what an N-ACTION asks us to vouch for (PS3.4, J.3.2)."""
    transaction = _required_uid(data_set, "TransactionUID")
    items = items_of(data_set, "ReferencedSOPSequence")
    if not items:
        raise MissingAttribute("Referenced SOP Sequence (0008,1199) is missing or empty")
    references = tuple(
        ReferencedSop(_required_uid(item, "ReferencedSOPClassUID"), _required_uid(item, "ReferencedSOPInstanceUID"))
        for item in items
    )
    return Commitment(transaction_uid=transaction, references=tuple(dict.fromkeys(references)))


def _step(data_set: Dataset) -> ProcedureStep:
    status = str(data_set.get("PerformedProcedureStepStatus") or "").strip()
    if status and status not in STEP_STATES:
        raise InvalidAttribute("Performed Procedure Step Status (0040,0252) is none of the three that there are")
    scheduled = items_of(data_set, "ScheduledStepAttributesSequence")
    studies = [_required_uid(item, "StudyInstanceUID") for item in scheduled if item.get("StudyInstanceUID")]
    accessions = [str(item.get("AccessionNumber") or "").strip() for item in scheduled]
    return ProcedureStep(
        status=status,
        study_instance_uids=tuple(dict.fromkeys(studies)),
        accession_numbers=tuple(dict.fromkeys(number for number in accessions if number)),
        sop_instance_uids=_instances(_performed(data_set)),
    )


def _performed(data_set: Dataset) -> Iterator[Dataset]:
    for series in items_of(data_set, "PerformedSeriesSequence"):
        yield from items_of(series, "ReferencedImageSequence")
        yield from items_of(series, "ReferencedNonImageCompositeSOPInstanceSequence")


def items_of(data_set: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence, none where it is absent; raise `InvalidAttribute` for what is no sequence."""
    value = data_set.get(keyword)
    if value is None or value == "":
        return ()
    if not isinstance(value, DicomSequence):
        raise InvalidAttribute(f"{keyword} is no sequence")
    return value


def _instances(items: Sequence[Dataset] | Iterator[Dataset]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_required_uid(item, "ReferencedSOPInstanceUID") for item in items))


def _required_uid(data_set: Dataset, keyword: str) -> str:
    value = str(data_set.get(keyword) or "").strip("\0 ")
    if not value:
        raise MissingAttribute(f"{keyword} is missing or empty")
    try:
        parse_uid(value)
    except Malformed as error:
        raise InvalidAttribute(f"{keyword} is no UID") from error
    return value


def commitment_report(commitment: Commitment, failed: Mapping[str, int]) -> Dataset:
    """Return what we vouch for, and for what not: `failed` has a failure reason for an instance (PS3.4, table J.3-2)."""
    report = Dataset()
    report.TransactionUID = commitment.transaction_uid
    kept = [one for one in commitment.references if one.sop_instance_uid not in failed]
    if kept:
        report.ReferencedSOPSequence = [_reference(one) for one in kept]
    if failed:
        report.FailedSOPSequence = [
            _reference(one, failed[one.sop_instance_uid])
            for one in commitment.references
            if one.sop_instance_uid in failed
        ]
    return report


def encode_data_set(data_set: Dataset, transfer_syntax_uid: str) -> bytes:
    """Return a data set without pixels in one of the plain transfer syntaxes (PS3.5, A.1 to A.3)."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN
    buffer.is_implicit_VR = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def _reference(sop: ReferencedSop, failure_reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop.sop_class_uid
    item.ReferencedSOPInstanceUID = sop.sop_instance_uid
    if failure_reason is not None:
        item.FailureReason = failure_reason
    return item
