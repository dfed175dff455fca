"""Patient administration: ADT messages to what they say of patients and of merges (HL7 v2.5.1, chapter 3).

Read are A01 to A08, A11 and A13 (structure ADT_A01 and its like), and A40 (ADT_A39): of each, who the patient is. Where
a patient lies or when they left is passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from overread.protocols.hl7.data_types import Patient, PatientIdentifier
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.pid import cleared, read_identifiers, read_pid
from overread.protocols.hl7.timestamps import Timestamp, read_timestamp
from overread.protocols.hl7.tokenise import Message, Segment

MERGE = "A40"
TRIGGER_EVENTS = frozenset({"A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A13", MERGE})

_Group = tuple[Segment, Segment | None]
"""A PID, and the MRG that belongs to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientStatement:
    """What one PID says of its patient; `cleared` names what it asks to delete.

    `prior_identifiers` (MRG-1) are the numbers that end in a merge, and `patient` is then the one who stays; every other
    message has none. `stated_at` is MSH-7, or else EVN-2.
    """

    message_control_id: str
    trigger_event: str
    stated_at: Timestamp | None
    patient: Patient
    cleared: frozenset[str]
    prior_identifiers: tuple[PatientIdentifier, ...] = ()

    @property
    def is_merge(self) -> bool:
        """Whether the statement ends a number."""
        return bool(self.prior_identifiers)


def read_patients(message: Message, *, time_zone: tzinfo) -> tuple[PatientStatement, ...]:
    """Read what an ADT message says: of one patient, or one statement for each PID and MRG of a merge, in their order.

    HL7Error names the first place for which it can't be taken. `time_zone` is the hospital's, for times without offset.
    """
    stated_at = _stated_at(message, time_zone)
    is_merge = message.header.trigger_event == MERGE
    groups = tuple(_merging_groups(message) if is_merge else _only_group(message))
    return tuple(_statement(message, stated_at, *group) for group in groups)


def check_patients(message: Message, *, time_zone: tzinfo) -> None:
    """Raise the error that `read_patients` would raise."""
    read_patients(message, time_zone=time_zone)


def pairs(statement: PatientStatement) -> tuple[tuple[PatientIdentifier, PatientIdentifier], ...]:
    """Return which number ends (MRG-1) in which (PID-3): of one authority and type, wherever they stand (3.6.2.1.2)."""
    return tuple(
        (prior, surviving)
        for prior in statement.prior_identifiers
        if (surviving := _surviving(prior, statement.patient.identifiers)) and not _is_same(prior, surviving)
    )


def ended(statement: PatientStatement) -> tuple[PatientIdentifier, ...]:
    """Return the numbers of MRG-1 that end: what PID-3 holds too, as a citizen number of both records, lives on."""
    return tuple(
        prior
        for prior in statement.prior_identifiers
        if not any(_is_same(prior, one) for one in statement.patient.identifiers)
    )


def _surviving(prior: PatientIdentifier, identifiers: tuple[PatientIdentifier, ...]) -> PatientIdentifier | None:
    exact = (one for one in identifiers if _kind(one) == _kind(prior))
    lenient = (one for one in identifiers if _may_be_of_one_kind(one, prior))
    return next(exact, None) or next(lenient, None)


def _is_same(one: PatientIdentifier, other: PatientIdentifier) -> bool:
    return one.id_number == other.id_number and _may_be_of_one_kind(one, other)


def _may_be_of_one_kind(one: PatientIdentifier, other: PatientIdentifier) -> bool:
    # Some senders name authority and type on one side only.
    return all(a == b or not (a and b) for a, b in zip(_kind(one), _kind(other), strict=True))


def _kind(identifier: PatientIdentifier) -> tuple[str, str]:
    authority = identifier.assigning_authority or identifier.assigning_authority_universal_id
    return authority, identifier.identifier_type_code


def _only_group(message: Message) -> Iterator[_Group]:
    pids = message.segments("PID")
    if not pids:
        raise _sequence_error(ErrorLocation("PID"), "The message has no PID segment, so it is about nobody.")
    if len(pids) > 1:
        raise _sequence_error(pids[1].location(), "Only a merge (A40) may name more than one patient.")
    yield pids[0], None


def _merging_groups(message: Message) -> Iterator[_Group]:
    """Yield each PID with its MRG; HL7Error where one stands without the other (ADT_A39)."""
    pid: Segment | None = None
    count = 0
    for segment in message:
        if segment.name == "PID":
            _require_closed(pid, count)
            pid = segment
        elif segment.name == "MRG":
            if pid is None:
                raise _sequence_error(segment.location(), "An MRG segment follows its PID, one each.")
            yield pid, segment
            pid, count = None, count + 1
    _require_closed(pid, count)
    if not count:
        raise _sequence_error(ErrorLocation("PID"), "The merge has no PID segment, so nobody is merged.")


def _require_closed(pid: Segment | None, count: int) -> None:
    if pid is not None:
        sentence = "The merge does not say which number ends: an MRG segment follows each PID."
        raise _sequence_error(ErrorLocation("MRG", count + 1), sentence)


def _statement(message: Message, stated_at: Timestamp | None, pid: Segment, mrg: Segment | None) -> PatientStatement:
    statement = PatientStatement(
        message_control_id=message.header.message_control_id,
        trigger_event=message.header.trigger_event,
        stated_at=stated_at,
        patient=read_pid(pid),
        cleared=cleared(pid),
        prior_identifiers=_prior_identifiers(mrg) if mrg else (),
    )
    if mrg:
        _require_two_patients(statement, mrg)
    return statement


def _prior_identifiers(mrg: Segment) -> tuple[PatientIdentifier, ...]:
    identifiers = read_identifiers(mrg.field(1).repetitions)
    if not identifiers:
        sentence = "The prior patient identifier list (MRG-1) holds no identifier."
        raise HL7Error(MessageErrorCondition.REQUIRED_FIELD_MISSING, mrg.location(1), sentence)
    return identifiers


def _require_two_patients(statement: PatientStatement, mrg: Segment) -> None:
    if pairs(statement):
        return
    found = [(prior, _surviving(prior, statement.patient.identifiers)) for prior in statement.prior_identifiers]
    if any(surviving for _, surviving in found):
        sentence = "MRG-1 and PID-3 hold the same number: a patient is not merged into themselves."
        raise HL7Error(MessageErrorCondition.DUPLICATE_KEY_IDENTIFIER, mrg.location(1), sentence)
    sentence = "PID-3 holds no number of the authority and type of the one in MRG-1, so none takes its place."
    raise HL7Error(MessageErrorCondition.UNKNOWN_KEY_IDENTIFIER, mrg.location(1), sentence)


def _stated_at(message: Message, time_zone: tzinfo) -> Timestamp | None:
    for segment, number in ((message.segment("MSH"), 7), (message.segment("EVN"), 2)):
        text = segment.text(number) if segment else ""
        if segment and text.strip("0"):
            try:
                return read_timestamp(text, time_zone)
            except ValueError:
                sentence = "The value is not a date and time (DTM)."
                raise HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, segment.location(number, 1), sentence) from None
    return None


def _sequence_error(location: ErrorLocation, sentence: str) -> HL7Error:
    return HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, location, sentence)
