"""Results of others: ORU^R01 of a laboratory, a RIS or a bedside device to values (HL7 v2.3 to v2.8, chapter 7).

What we send ourselves is read back by `oru_reading`, which takes nothing but our own rendering; here every habit of a
sender that leaves the meaning clear is let through, and what is not taken is counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from overread.protocols.hl7.accession_places import Place, read_places
from overread.protocols.hl7.data_types import (
    CodedElement,
    EntityIdentifier,
    Patient,
    PersonName,
    Practitioner,
    trimmed,
)
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.oru import OBSERVATION_METHOD
from overread.protocols.hl7.oru_content import DICOM_STUDY
from overread.protocols.hl7.pid import read_identifiers
from overread.protocols.hl7.timestamps import read_date, read_timestamp
from overread.protocols.hl7.tokenise import Header, Message, Segment, Value

ATTACHMENTS = frozenset({"ED", "RP"})
"""Value types whose content is not taken: a document or picture inside the message, and a pointer to one."""

_CODED = frozenset({"CE", "CWE", "CNE", "CF"})
_PRIMARY_INTERPRETER = "PI"  # table HL70912


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationResult:
    """One OBX: what was observed, its value as text, and how far it may be trusted (OBX-11, table HL70085)."""

    identifier: CodedElement
    sub_id: str = ""
    value: str = ""
    unit: str = ""
    reference_range: str = ""
    abnormal_flag: str = ""
    status: str = ""
    observed_at: datetime | None = None
    responsible_observer: Practitioner | None = None
    is_attachment: bool = False
    is_from_overread: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationReport:
    """One OBR with its observations: a panel of a laboratory, a reader's report, a device's minute.

    `status` is OBR-25 (table HL70123), else what all observations say; `changed_at` is OBR-22, else MSH-7.
    """

    patient: Patient
    placer_order_number: EntityIdentifier | None
    filler_order_number: EntityIdentifier | None
    accession_number: str | None
    study_instance_uid: str | None
    universal_service_identifier: CodedElement | None
    diagnostic_service: str
    is_test: bool
    status: str
    changed_at: datetime | None
    observed_at: datetime | None
    interpreter: Practitioner | None
    results: tuple[ObservationResult, ...]

    @property
    def passed_over(self) -> int:
        """Return how many observations hold a document or picture, which is not taken."""
        return sum(result.is_attachment for result in self.results)

    @property
    def is_from_overread(self) -> bool:
        """Say whether an observation carries our own code: the report is one that we sent, whoever hands it back."""
        return any(result.is_from_overread for result in self.results)


@dataclass(slots=True)
class _Group:
    """OBR with the segments around it that belong to it (ORDER_OBSERVATION; 7.3.1)."""

    pid: Segment
    orc: Segment | None
    obr: Segment
    others: dict[str, Segment] = field(default_factory=dict)
    prt: list[Segment] = field(default_factory=list)
    obx: list[Segment] = field(default_factory=list)


def read_observation_reports(
    message: Message, *, time_zone: tzinfo, accession_places: Sequence[str] = ()
) -> tuple[ObservationReport, ...]:
    """Read every report of a message; HL7Error names the first thing without which it is none.

    `time_zone` is the hospital's, for times without an offset; a time of an observation that is none counts as not said.
    `accession_places` are the link's, OBR-18 where it names none.
    """
    places = read_places(tuple(accession_places))
    reader = _Reader(message.header, time_zone, places)
    return tuple(reader.report(group) for group in _groups_of(message))


def check_observation_reports(message: Message, *, time_zone: tzinfo) -> None:
    """Raise the error that `read_observation_reports` would raise."""
    read_observation_reports(message, time_zone=time_zone)


def patient_of(pid: Segment) -> Patient:
    """Read the patient of a result, who needs a number (PID-3)."""
    identifiers = read_identifiers(pid.field(3).repetitions)
    if not identifiers:
        sentence = "The patient identifier list (PID-3) holds no identifier."
        raise HL7Error(MessageErrorCondition.REQUIRED_FIELD_MISSING, pid.location(3), sentence)
    return Patient(
        identifiers=identifiers,
        names=tuple(one for one in (PersonName.read(xpn) for xpn in pid.field(5).repetitions) if one),
        birth_date=_date(pid.text(7)),
        administrative_sex=pid.text(8).upper() or None,
    )


def _groups_of(message: Message) -> list[_Group]:
    groups = list(_groups(message))
    if not groups:
        sentence = "The message holds no result: it has no OBR segment."
        raise HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, ErrorLocation("OBR"), sentence)
    return groups


def _groups(message: Iterable[Segment]) -> Iterator[_Group]:
    pid: Segment | None = None
    orc: Segment | None = None
    group: _Group | None = None
    for segment in message:
        match segment.name:
            case "PID":
                pid, orc = segment, None
            case "ORC":
                orc = segment
            case "OBR":
                if group:
                    yield group
                group, orc = _Group(_required(pid), orc, segment), None
            case _ if group:
                _add(group, segment)
            case _:
                pass  # a receiver ignores what it does not expect (2.8.2)
    if group:
        yield group


def _add(group: _Group, segment: Segment) -> None:
    match segment.name:
        case "OBX":
            group.obx.append(segment)
        case "PRT":
            group.prt.append(segment)
        case name:
            group.others.setdefault(name, segment)  # Z segments; of NTE, TQ1 and SPM nothing is used


def _required(pid: Segment | None) -> Segment:
    if pid is None:
        sentence = "The message has no PID segment, so the result belongs to nobody."
        raise HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, ErrorLocation("PID"), sentence)
    return pid


class _Reader:
    """Reads the groups of one message."""

    def __init__(self, header: Header, time_zone: tzinfo, accession_places: Sequence[Place]) -> None:
        self._time_zone = time_zone
        self._accession_places = accession_places
        self._is_test = header.processing_id in ("T", "D")
        self._sent_at = _moment(header.component(7, 1), time_zone)

    def report(self, group: _Group) -> ObservationReport:
        """Return what one OBR and its observations say."""
        obr = group.obr
        observed_at = _moment(obr.text(7), self._time_zone)
        results = tuple(_result(obx, observed_at, self._time_zone) for obx in group.obx)
        return ObservationReport(
            patient=patient_of(group.pid),
            placer_order_number=_number(group, 2),
            filler_order_number=_number(group, 3),
            accession_number=self._accession_number(group),
            study_instance_uid=_study_instance_uid(group),
            universal_service_identifier=CodedElement.read(obr.field(4)),
            diagnostic_service=obr.text(24).upper(),
            is_test=self._is_test,
            status=obr.text(25).upper() or _status_of(results),
            changed_at=_moment(obr.text(22), self._time_zone) or self._sent_at,
            observed_at=observed_at,
            interpreter=_interpreter(group, results),
            results=results,
        )

    def _accession_number(self, group: _Group) -> str | None:
        segments = {**group.others, "OBR": group.obr} | ({"ORC": group.orc} if group.orc else {})
        said = (segments[name].text(*rest) for name, *rest in self._accession_places if name in segments)
        return next((text for text in said if text), None)


def _number(group: _Group, place: int) -> EntityIdentifier | None:
    """OBR-2 and ORC-2, OBR-3 and ORC-3 say the same (4.5.1.2); the OBR's own comes first."""
    own = EntityIdentifier.read(group.obr.field(place))
    return own or (EntityIdentifier.read(group.orc.field(place)) if group.orc else None)


def _study_instance_uid(group: _Group) -> str | None:
    named = (obx.text(5) for obx in group.obx if obx.text(3) == DICOM_STUDY.identifier)
    zds = group.others.get("ZDS")
    return next((uid for uid in named if uid), None) or (zds.text(1) if zds else "") or None


def _status_of(results: tuple[ObservationResult, ...]) -> str:
    """Return the one status that all observations have, where OBR-25 is empty."""
    said = {result.status for result in results if result.status and result.status != "O"}
    return said.pop() if len(said) == 1 else ""


def _interpreter(group: _Group, results: tuple[ObservationResult, ...]) -> Practitioner | None:
    """Who reported: OBR-32 (until v2.8), PRT-5 of the primary interpreter, else the observer of OBX-16."""
    named = _principal(group.obr.field(32))
    by_role = (Practitioner.read(prt.field(5)) for prt in group.prt if prt.text(4) == _PRIMARY_INTERPRETER)
    observers = (result.responsible_observer for result in results)
    return named or next((one for one in (*by_role, *observers) if one), None)


def _principal(field: Value) -> Practitioner | None:
    """Read an NDL (name and times; 2.A.47), or the XCN that some systems write in its place."""
    named = Practitioner.read_subcomponents(field.component(1))
    is_a_name = named is not None and not named.family_name and not trimmed(field.component(2)).isdigit()
    return Practitioner.read(field) if is_a_name else named


def _result(obx: Segment, report_observed_at: datetime | None, time_zone: tzinfo) -> ObservationResult:
    value_type = obx.text(2).upper()
    is_attachment = value_type in ATTACHMENTS
    systems = (obx.text(3, 3), obx.text(17, 3))
    return ObservationResult(
        identifier=CodedElement.read(obx.field(3)) or CodedElement(identifier=""),
        sub_id=obx.text(4),
        value="" if is_attachment else _value(value_type, obx.field(5)),
        unit=obx.text(6) or obx.text(6, 2),
        reference_range=obx.text(7),
        abnormal_flag="~".join(trimmed(flag.component(1)) for flag in obx.field(8).repetitions),
        status=obx.text(11).upper(),
        observed_at=_moment(obx.text(14), time_zone) or report_observed_at,
        responsible_observer=Practitioner.read(obx.field(16)),
        is_attachment=is_attachment,
        is_from_overread=OBSERVATION_METHOD.coding_system in systems,
    )


def _value(value_type: str, value: Value) -> str:
    """Return OBX-5 as a reader would say it; repetitions are lines (TX repeats by the line; 2.A.79)."""
    if value_type == "SN":
        return "".join(value.texts(4))  # comparator, number, separator, number: `>90`, `1:128` (2.A.72)
    if value_type in _CODED:
        return "\n".join(trimmed(one.component(2)) or trimmed(one.component(1)) for one in value.repetitions)
    return "\n".join(trimmed(one) for one in value.repetitions)


def _moment(text: str, time_zone: tzinfo) -> datetime | None:
    try:
        return read_timestamp(text.strip(), time_zone).utc if text.strip("0 ") else None
    except ValueError:
        return None


def _date(text: str) -> str | None:
    try:
        return read_date(text) if text.strip("0") else None
    except ValueError:
        return None  # a laboratory's result is none the worse for it, and it decides nothing alone
