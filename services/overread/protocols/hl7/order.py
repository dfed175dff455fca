"""Imaging orders: OMI^O23, ORM^O01 and OMG^O19 to one value per ordered study (HL7 v2.5.1, chapter 4)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import TypeVar

from overread.protocols.hl7.accession_places import read_places
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
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.order_controls import CHILD, CONTROLS, PARENT
from overread.protocols.hl7.order_groups import OrderGroup, order_groups
from overread.protocols.hl7.timestamps import Timestamp, is_timestamp, read_date, read_timestamp
from overread.protocols.hl7.tokenise import Header, Message, Segment
from overread.protocols.hl7.usual_order import is_usual_order

T = TypeVar("T")
_Place = tuple[Segment | None, int, int]
"""A segment, a field of it, a component."""

_MISSING = MessageErrorCondition.REQUIRED_FIELD_MISSING
NO_TYPE = "MSH-9 is empty; write the type of the message, as ORM^O01."

# OBR-24 holds table HL70074 by the book, and a DICOM modality in IHE's use; `RAD` says neither.
_MODALITIES = frozenset(
    ["CR", "CT", "DX", "ES", "IO", "MG", "MR", "NM", "OP", "OPT", "OT", "PT", "PX", "RF", "SC", "SM", "US", "XA", "XC"]
)
_DIAGNOSTIC_SERVICES: Mapping[str, str] = {"NMR": "MR", "NMS": "NM", "RUS": "US"}

VERSIONS = frozenset(["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"])
"""Whose orders say the same in the same fields; what a newer one adds is passed over (2.8.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Which messages a link takes; what is not listed is rejected with 200 to 203 (table HL70357)."""

    messages: Mapping[str, frozenset[str]]
    processing_ids: frozenset[str] = frozenset({"P"})
    versions: frozenset[str] = VERSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """One order for one study, as one message says it; None is "not said".

    `cleared` names the fields that the sender asks to delete (two double quotes), which is not the same as not said.
    Messages about one order are put in sequence by `ordered_at` (ORC-9) or else `message_datetime` (MSH-7).
    `order_control` is one of `CONTROLS`. `parent` is the order that this one is a child of (ORC-8, OBR-29), and
    `inherits_number` says that its placer number is the parent's: then only the filler's tells it from the parent.
    `body_part` is said in other forms than HL7 v2 alone.
    """

    message_control_id: str
    message_datetime: Timestamp | None
    order_control: str
    order_status: str | None
    placer_order_number: EntityIdentifier | None
    filler_order_number: EntityIdentifier | None
    accession_number: str | None
    study_instance_uid: str | None
    universal_service_identifier: CodedElement | None
    modality: str | None
    priority: str | None
    scheduled_at: Timestamp | None
    ordered_at: Timestamp | None
    ordering_provider: Practitioner | None
    relevant_clinical_information: str | None
    patient: Patient
    visit: Visit | None
    cleared: frozenset[str]
    parent: EntityIdentifier | None = None
    inherits_number: bool = False
    body_part: CodedElement | None = None


def check_supported(header: Header, acceptance: Acceptance) -> None:
    """Raise the error that rejects a message: MSH-9, MSH-11 and MSH-12 must be ones the link takes (2.9.2.2)."""
    condition = MessageErrorCondition
    if not header.message_code:
        raise _error(condition.UNSUPPORTED_MESSAGE_TYPE, _msh(9, 1), NO_TYPE)
    events = acceptance.messages.get(header.message_code)
    if events is None:
        raise _error(condition.UNSUPPORTED_MESSAGE_TYPE, _msh(9, 1), "This message type is not taken on this link.")
    if header.trigger_event not in events:
        raise _error(condition.UNSUPPORTED_EVENT_CODE, _msh(9, 2), "This trigger event is not taken on this link.")
    if header.processing_id not in acceptance.processing_ids:
        raise _error(condition.UNSUPPORTED_PROCESSING_ID, _msh(11, 1), "This processing ID is not taken on this link.")
    if header.version_id not in acceptance.versions:
        raise _error(condition.UNSUPPORTED_VERSION_ID, _msh(12, 1), "This HL7 version is not taken on this link.")


def check_control_id(header: Header) -> None:
    """Raise an error when MSH-10 is empty."""
    if not header.field(10).strip():
        raise _error(_MISSING, _msh(10), "The message has no control ID, so no answer could name it.")


def read_orders(
    message: Message,
    *,
    time_zone: tzinfo,
    accession_places: tuple[str, ...] = (),
) -> tuple[OrderRequest, ...]:
    """Read every order of a message; HL7Error names the first field without which it is none.

    A procedure of its own, that is an IPC with another accession number or Study Instance UID, makes an order of its
    own. `time_zone` is the hospital's, for times without an offset; `accession_places` as `accession_places` has them.
    """
    reader = _Reader(message, time_zone, accession_places)
    return tuple(request for group in order_groups(message) for request in reader.requests(group))


def check_orders(message: Message, *, time_zone: tzinfo) -> None:
    """Raise the error that `read_orders` would raise, without the work of reading what can't be wrong."""
    if is_usual_order(message.body, message.header.delimiters):
        return
    pid = _pid(message)
    if not pid.text(3) and not any(trimmed(cx.component(1)) for cx in pid.field(3).repetitions):
        raise _no_identifier(pid)
    _birth_date(pid)
    msh = message.segment("MSH")
    for group in order_groups(message):
        _require_detail(group, _order_control(group.orc))
        _require_number(group)
        for places in (((msh, 7, 1),), _scheduled(group), _ordered(group)):
            _check_moment(time_zone, places)


class _Reader:
    """Reads the groups of one message; the patient and the visit are read once."""

    def __init__(self, message: Message, time_zone: tzinfo, accession_places: tuple[str, ...]) -> None:
        self._message = message
        self._time_zone = time_zone
        self._accession_places = read_places(accession_places)
        self._parent: EntityIdentifier | None = None
        self._patient = _patient(message)
        self._visit = _visit(message)

    def requests(self, group: OrderGroup) -> Iterator[OrderRequest]:
        """One request for each study that the group names."""
        control = _order_control(group.orc)
        _require_detail(group, control)
        _require_number(group)
        seen: set[tuple[str | None, str | None]] = set()
        ipcs: list[Segment | None] = [*group.ipcs] or [None]
        for ipc in ipcs:
            names = (self._accession_number(group, ipc), _study_instance_uid(group, ipc))
            if names not in seen:
                seen.add(names)
                yield self._request(group, control, ipc, names)

    def _request(
        self, group: OrderGroup, control: str, ipc: Segment | None, names: tuple[str | None, str | None]
    ) -> OrderRequest:
        orc, obr = group.orc, group.obr
        placer, filler = _order_numbers(group)
        parent = self._parent_of(group, control, placer or filler)
        msh = self._message.segment("MSH")
        return OrderRequest(
            message_control_id=self._message.header.message_control_id,
            message_datetime=_moment(self._time_zone, (msh, 7, 1)),
            order_control=control,
            order_status=_first_text((orc, 5, 1)),
            placer_order_number=placer,
            filler_order_number=filler,
            accession_number=names[0],
            study_instance_uid=names[1],
            universal_service_identifier=CodedElement.read(obr.field(4)) if obr else None,
            modality=_modality(ipc, obr),
            priority=_upper(_first_text((group.tq1, 9, 1), (orc, 7, 6), (obr, 27, 6), (obr, 5, 1))),
            scheduled_at=_moment(self._time_zone, *_scheduled(group)),
            ordered_at=_moment(self._time_zone, *_ordered(group)),
            ordering_provider=_practitioner((orc, 12), (obr, 16)),
            relevant_clinical_information=(obr.field(13).text.strip() or None) if obr else None,
            patient=self._patient,
            visit=self._visit,
            cleared=frozenset(_cleared(group, ipc, self._places(group, ipc))),
            parent=parent,
            inherits_number=_is_same(parent, placer) and filler is not None,
        )

    def _parent_of(self, group: OrderGroup, control: str, number: EntityIdentifier | None) -> EntityIdentifier | None:
        """ORC-8, else OBR-29, else for a child the parent that was named last; a parent itself has none."""
        if control == PARENT:
            self._parent = number
            return None
        said = (_parent(group.orc, 8), _parent(group.obr, 29), self._parent if control == CHILD else None)
        return next((parent for parent in said if parent), None)

    def _accession_number(self, group: OrderGroup, ipc: Segment | None) -> str | None:
        return _first_text(*self._places(group, ipc))

    def _places(self, group: OrderGroup, ipc: Segment | None) -> tuple[_Place, ...]:
        return tuple(
            (group.segment(place.segment, ipc), place.field, place.component) for place in self._accession_places
        )


def _scheduled(group: OrderGroup) -> tuple[_Place, ...]:
    return ((group.tq1, 7, 1), (group.orc, 7, 4), (group.obr, 27, 4), (group.obr, 36, 1))


def _ordered(group: OrderGroup) -> tuple[_Place, ...]:
    return ((group.orc, 9, 1),)


def _moment(time_zone: tzinfo, *places: _Place) -> Timestamp | None:
    for segment, number, component in places:
        text = segment.text(number, component) if segment else ""
        if not text.strip("0"):
            continue  # some senders write zeros for "not known"
        try:
            return read_timestamp(text, time_zone)
        except ValueError:
            raise _no_moment(segment, number, component) from None
    return None


def _check_moment(time_zone: tzinfo, places: Iterable[_Place]) -> None:
    for segment, number, component in places:
        text = segment.text(number, component) if segment else ""
        if text.strip("0"):
            if not is_timestamp(text, time_zone):
                raise _no_moment(segment, number, component)
            return


def _no_moment(segment: Segment | None, number: int, component: int) -> HL7Error:
    location = segment.location(number, component) if segment else None
    return HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, location, "The value is not a date and time (DTM).")


def _order_control(orc: Segment) -> str:
    text = trimmed(orc.field(1))
    if not text:
        raise _error(_MISSING, orc.location(1), "The order control code (ORC-1) is missing.")
    if text.upper() not in CONTROLS:
        sentence = f"This order control code is not taken; taken are {', '.join(CONTROLS)}."
        raise _error(MessageErrorCondition.TABLE_VALUE_NOT_FOUND, orc.location(1), sentence)
    return text.upper()


def _require_detail(group: OrderGroup, control: str) -> None:
    if not CONTROLS[control].needs_detail:
        return
    if group.obr is None:
        sentence = "The order has no OBR segment, so it asks for nothing that we know."
        raise _error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, ErrorLocation("OBR", group.orc.sequence), sentence)
    if not group.obr.text(4) and not group.obr.text(4, 2):
        raise _error(_MISSING, group.obr.location(4), "The universal service identifier (OBR-4) is missing.")


def _order_numbers(group: OrderGroup) -> tuple[EntityIdentifier | None, EntityIdentifier | None]:
    """ORC-2 and ORC-3, or OBR-2 and OBR-3, which must say the same (4.5.1.2); of several OBRs each has its own."""
    orc, obr = group.orc, group.obr or group.orc
    first, second = (obr, orc) if group.is_shared else (orc, obr)
    placer = EntityIdentifier.read(first.field(2)) or EntityIdentifier.read(second.field(2))
    filler = EntityIdentifier.read(first.field(3)) or EntityIdentifier.read(second.field(3))
    return placer, filler


def _require_number(group: OrderGroup) -> None:
    orc, obr = group.orc, group.obr
    if not orc.text(2) and _first_text((orc, 3, 1), (obr, 2, 1), (obr, 3, 1)) is None:
        sentence = "The order has neither a placer order number (ORC-2) nor a filler order number (ORC-3)."
        raise _error(_MISSING, orc.location(2), sentence)


def _is_same(one: EntityIdentifier | None, other: EntityIdentifier | None) -> bool:
    names = [(number.entity_identifier, number.namespace_id) for number in (one, other) if number]
    return len(names) == 2 and names[0] == names[1]


def _parent(segment: Segment | None, field: int) -> EntityIdentifier | None:
    """Read an EIP, the parent's placer number or else its filler number, in subcomponents (2.A.29)."""
    said = segment.field(field) if segment else None
    if not said:
        return None
    for component in (1, 2):
        number, namespace = said.subtexts(component, 2)
        if number:
            return EntityIdentifier(entity_identifier=number, namespace_id=namespace)
    return None


def _study_instance_uid(group: OrderGroup, ipc: Segment | None) -> str | None:
    return _first_text((ipc, 3, 1), (group.zds, 1, 1))


def _modality(ipc: Segment | None, obr: Segment | None) -> str | None:
    planned = _upper(_first_text((ipc, 5, 1)))
    service = _upper(_first_text((obr, 24, 1))) or ""
    service = _DIAGNOSTIC_SERVICES.get(service, service)
    return planned or (service if service in _MODALITIES else None)


def _practitioner(*places: tuple[Segment | None, int]) -> Practitioner | None:
    found = (Practitioner.read(segment.field(number)) for segment, number in places if segment)
    return next((person for person in found if person), None)


def _cleared(group: OrderGroup, ipc: Segment | None, accession: tuple[_Place, ...]) -> Iterator[str]:
    places: tuple[tuple[str, Segment | None, int], ...] = (
        *(("accession_number", segment, number) for segment, number, _ in accession),
        ("study_instance_uid", ipc, 3),
        ("priority", group.tq1, 9),
        ("scheduled_at", group.tq1, 7),
        ("ordering_provider", group.orc, 12),
        ("relevant_clinical_information", group.obr, 13),
    )
    return (name for name, segment, number in places if segment and segment.field(number).is_null)


def _patient(message: Message) -> Patient:
    pid = _pid(message)
    identifiers = tuple(_all_of(PatientIdentifier.read(cx) for cx in pid.field(3).repetitions))
    if not identifiers:
        raise _no_identifier(pid)
    return Patient(
        identifiers=identifiers,
        names=tuple(_all_of(PersonName.read(xpn) for xpn in pid.field(5).repetitions)),
        birth_date=_birth_date(pid),
        administrative_sex=_upper(_first_text((pid, 8, 1))),
    )


def _pid(message: Message) -> Segment:
    pid = message.segment("PID")
    if pid is None:
        sentence = "The message has no PID segment, so the order belongs to nobody."
        raise _error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, ErrorLocation("PID"), sentence)
    return pid


def _no_identifier(pid: Segment) -> HL7Error:
    return _error(_MISSING, pid.location(3), "The patient identifier list (PID-3) holds no identifier.")


def _birth_date(pid: Segment) -> str | None:
    text = _first_text((pid, 7, 1))
    if text is None or not text.strip("0"):
        return None
    try:
        return read_date(text)
    except ValueError:
        sentence = "The date of birth (PID-7) is not a date."
        raise _error(MessageErrorCondition.DATA_TYPE_ERROR, pid.location(7), sentence) from None


def _visit(message: Message) -> Visit | None:
    pv1 = message.segment("PV1")
    if pv1 is None:
        return None
    location = pv1.field(3).texts(11)
    while location and not location[-1]:
        location.pop()
    return Visit(
        patient_class=_upper(_first_text((pv1, 2, 1))),
        assigned_patient_location=tuple(location),
        visit_number=PatientIdentifier.read(pv1.field(19)),
    )


def _first_text(*places: _Place) -> str | None:
    """Read the first of the places that says something; absent and null say nothing here."""
    for segment, number, part in places:
        if segment and (text := segment.text(number, part)):
            return text
    return None


def _all_of(values: Iterable[T | None]) -> Iterator[T]:
    return (value for value in values if value is not None)


def _upper(text: str | None) -> str | None:
    return text and text.upper()


def _msh(field_position: int, component: int | None = None) -> ErrorLocation:
    return ErrorLocation("MSH", 1, field_position, None if component is None else 1, component)


def _error(condition: MessageErrorCondition, location: ErrorLocation, sentence: str) -> HL7Error:
    return HL7Error(condition, location, sentence)
