"""What a sender's messages have in common: counted, so that a link is set up by what comes and not by what was promised."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from overread.protocols.hl7.acknowledgement import AcknowledgmentMode, mode_of, parse_ack
from overread.protocols.hl7.charset_guess import UNKNOWN, charset_seen
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.tokenise import Header, Message, Segment, read_header, tokenise

STANDARD_PLACES = ("IPC-1", "OBR-18", "OBR-19", "OBR-20", "OBR-3", "ORC-3")
"""Fields in which systems keep the accession number, in the order of trust."""

_ACCESSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/-]{2,15}")
"""What an accession number looks like; DICOM's SH holds 16 characters (PS3.5, 6.2)."""

MOST_COMPONENTS = 8
"""How many components of a Z segment's field are looked at."""

_WANTS_APPLICATION = frozenset({"AL", "SU", "ER"})
"""MSH-16 that asks for an application answer at least at times (table HL70155)."""

_ORDERS = frozenset({"OMI", "ORM", "OMG"})


@dataclass
class PlaceSeen:
    """How a field was filled over all orders: in how many, and with which values."""

    filled: int = 0
    values: set[str] = field(default_factory=set)


@dataclass
class Survey:
    """Counts over all messages; values of patients are in none of them."""

    total: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    senders: Counter[tuple[str, str]] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    processing_ids: Counter[str] = field(default_factory=Counter)
    charsets: Counter[tuple[str, str]] = field(default_factory=Counter)
    modes: Counter[tuple[str, str] | None] = field(default_factory=Counter)
    services: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    z_segments: Counter[str] = field(default_factory=Counter)
    leniencies: Counter[str] = field(default_factory=Counter)
    places: dict[str, PlaceSeen] = field(default_factory=dict)
    orders: int = 0
    order_numbers: set[str] = field(default_factory=set)
    largest_bytes: int = 0
    repeats: int = 0
    reused_control_ids: int = 0
    reused_at_another_time: int = 0
    asked_for_application: Counter[str] = field(default_factory=Counter)
    enhanced_control_ids: set[str] = field(default_factory=set)
    answered: Counter[str] = field(default_factory=Counter)
    known: dict[tuple[str, str, str], dict[bytes, str]] = field(default_factory=dict)

    def accession_place(self) -> str | None:
        """Name the field that most surely holds the accession number, None when no field does.

        It is filled in nearly every order, and tells orders apart; the standard's own fields come before Z segments.
        """
        good = [place for place, seen in self.places.items() if self._is_good(seen)]
        return min(good, key=_trust, default=None)

    @property
    def has_application_acks_on_the_line(self) -> bool:
        """Whether messages in enhanced mode were answered by AA, AE or AR on their own line (against 2.9.3.2)."""
        return any(code.startswith("A") for code in self.answered)

    @property
    def waits_for_application_acks(self) -> bool:
        """Whether the sender asks for application answers (MSH-16) and sent again what was answered otherwise."""
        return bool(self.asked_for_application) and self.repeats > 0 and not self.answered

    def _is_good(self, seen: PlaceSeen) -> bool:
        tells_apart = len(seen.values) >= 0.9 * min(len(self.order_numbers) or 1, seen.filled)
        return seen.filled >= 0.9 * self.orders > 0 and tells_apart


def survey(messages: Iterable[bytes], answers: Iterable[bytes] = ()) -> Survey:
    """Count what the messages hold; `answers` are those of the receiver that they went to, if it was heard."""
    seen = Survey()
    for raw in messages:
        seen.total += 1
        seen.largest_bytes = max(seen.largest_bytes, len(raw))
        _count_header(seen, raw)
        message = _readable(seen, raw)
        if message is not None:
            _count_content(seen, message)
    for raw in answers:
        _count_answer(seen, raw)
    return seen


def _trust(place: str) -> tuple[int, str]:
    return (STANDARD_PLACES.index(place) if place in STANDARD_PLACES else len(STANDARD_PLACES), place)


def _count_header(seen: Survey, raw: bytes) -> None:
    header = read_header(raw)
    seen.senders[(header.component(3, 1), header.component(4, 1))] += 1
    seen.types[f"{header.message_code}^{header.trigger_event}"] += 1
    seen.versions[header.version_id] += 1
    seen.processing_ids[header.processing_id] += 1
    seen.charsets[(header.component(18, 1), charset_seen(raw))] += 1
    _count_mode(seen, header)
    _count_control_id(
        seen, raw, header.component(7, 1), (header.component(3, 1), header.component(4, 1), header.message_control_id)
    )


def _count_mode(seen: Survey, header: Header) -> None:
    if mode_of(header) is not AcknowledgmentMode.ENHANCED:
        seen.modes[None] += 1
        return
    accept, application = header.component(15, 1), header.component(16, 1)
    seen.modes[(accept, application)] += 1
    seen.enhanced_control_ids.add(header.message_control_id)
    if application.upper() in _WANTS_APPLICATION:
        seen.asked_for_application[application.upper()] += 1


def _count_answer(seen: Survey, raw: bytes) -> None:
    """Count the code of an answer to a message in enhanced mode."""
    try:
        answer = parse_ack(raw)
    except HL7Error:
        return
    if answer.message_control_id in seen.enhanced_control_ids:
        seen.answered[answer.code.value] += 1


def _count_control_id(seen: Survey, raw: bytes, sent_at: str, key: tuple[str, str, str]) -> None:
    bodies = seen.known.setdefault(key, {})
    if raw in bodies:
        seen.repeats += 1
    elif bodies:
        seen.reused_control_ids += 1
        seen.reused_at_another_time += sent_at not in bodies.values()
    bodies[raw] = sent_at


def _readable(seen: Survey, raw: bytes) -> Message | None:
    """Cut a message in the charset that its bytes are in, whatever it declares."""
    codec = charset_seen(raw)
    try:
        message = tokenise(raw)
    except HL7Error as error:
        seen.unreadable[error.sentence] += 1
    else:
        seen.leniencies.update(leniency.value for leniency in message.leniencies)
        return message
    try:
        return tokenise(raw, None if codec == UNKNOWN else codec)
    except HL7Error:
        return None


def _count_content(seen: Survey, message: Message) -> None:
    seen.z_segments.update({segment.name for segment in message if segment.name.startswith("Z")})
    for obr in message.segments("OBR"):
        seen.services[(obr.text(4), obr.text(4, 2), obr.text(4, 3))] += 1
    if message.header.message_code in _ORDERS:
        seen.orders += 1
        _count_places(seen, message)


def _count_places(seen: Survey, message: Message) -> None:
    numbers = [text for orc in message.segments("ORC") if (text := orc.text(2) or orc.text(3))]
    seen.order_numbers.update(numbers)
    for place, text in _candidates(message):
        if _ACCESSION.fullmatch(text):
            at = seen.places.setdefault(place, PlaceSeen())
            at.filled += 1
            at.values.add(text)


def _candidates(message: Message) -> Iterator[tuple[str, str]]:
    """Yield each place that may hold an accession number with its text, from each message once."""
    for place in STANDARD_PLACES:
        name, _, number = place.partition("-")
        segment = message.segment(name)
        if segment is not None:
            yield place, segment.text(int(number))
    for name in sorted({segment.name for segment in message if segment.name.startswith("Z")} - {"ZDS"}):
        yield from _fields_of(message.segment(name))


def _fields_of(segment: Segment | None) -> Iterator[tuple[str, str]]:
    if segment is not None:
        for number in range(1, segment.last_field + 1):
            for component, text in enumerate(segment.field(number).texts(MOST_COMPONENTS), 1):
                yield f"{segment.name}-{number}" + (f".{component}" if component > 1 else ""), text
