"""PID and the numbers beside it: who a message is about (HL7 v2.5.1, 3.4.2 and 2.A.14)."""

from collections.abc import Iterable, Iterator, Mapping

from overread.protocols.hl7.data_types import Patient, PatientIdentifier, PersonName
from overread.protocols.hl7.errors import HL7Error, MessageErrorCondition
from overread.protocols.hl7.timestamps import read_date
from overread.protocols.hl7.tokenise import Segment, Value

_NAMES: Mapping[str, int] = {"name": 5, "birth_date": 7, "sex": 8}


def read_pid(pid: Segment) -> Patient:
    """Read a PID; HL7Error when it names nobody, or when PID-7 is no date."""
    identifiers = read_identifiers(pid.field(3).repetitions)
    if not identifiers:
        sentence = "The patient identifier list (PID-3) holds no identifier."
        raise HL7Error(MessageErrorCondition.REQUIRED_FIELD_MISSING, pid.location(3), sentence)
    return Patient(
        identifiers=identifiers,
        names=tuple(_names(pid.field(5).repetitions)),
        birth_date=_birth_date(pid),
        administrative_sex=pid.text(8).upper() or None,
    )


def read_identifiers(repetitions: Iterable[Value]) -> tuple[PatientIdentifier, ...]:
    """Read a list of CX; a repetition without a number says nothing."""
    found = (PatientIdentifier.read(repetition) for repetition in repetitions)
    return tuple(identifier for identifier in found if identifier)


def cleared(pid: Segment) -> frozenset[str]:
    """Name what the sender asks to delete: two double quotes, which is not the same as not said (2.7.1)."""
    return frozenset(name for name, number in _NAMES.items() if pid.field(number).is_null)


def _names(repetitions: Iterable[Value]) -> Iterator[PersonName]:
    found = (PersonName.read(repetition) for repetition in repetitions)
    return (name for name in found if name)


def _birth_date(pid: Segment) -> str | None:
    text = pid.text(7)
    if not text.strip("0"):
        return None  # some senders write zeros for "not known"
    try:
        return read_date(text)
    except ValueError:
        sentence = "The date of birth (PID-7) is not a date."
        raise HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, pid.location(7), sentence) from None
