"""A message in plain words, field by field: what each is called, what its codes mean, patients hidden unless asked."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from overread.protocols.hl7.code_tables import meaning, table_of_component, table_of_field
from overread.protocols.hl7.field_names import Named, components_of, fields_of, title_of
from overread.protocols.hl7.patient_data import is_part_shown, is_shown
from overread.protocols.hl7.timestamps import read_date, read_timestamp
from overread.protocols.hl7.tokenise import Message, Segment, Value

MOST_CHARACTERS = 160
"""A longer value is shown by its beginning: a picture in base64 explains nothing."""

_UNNAMED = Named("", "ST", "")
_MOMENTS = frozenset({"TS", "DTM", "DT"})
_OFFSET = re.compile(r"[+-]\d{4}$")


@dataclass(frozen=True, slots=True)
class ExplainedField:
    """One field that was sent: where it stands, what the standard calls it, and what each repetition says."""

    place: str
    name: str
    values: tuple[str, ...]
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class ExplainedSegment:
    """One segment: its name, what that means, and its fields."""

    name: str
    sequence: int
    title: str
    fields: tuple[ExplainedField, ...]


def explain(message: Message, *, shows_patient: bool) -> Iterator[ExplainedSegment]:
    """Explain each segment in order, in the words of the message's version."""
    version = message.header.version_id
    for segment in message:
        names = fields_of(segment.name, version)
        fields = _fields(segment, names, version, shows_patient=shows_patient)
        yield ExplainedSegment(segment.name, segment.sequence, title_of(segment.name), tuple(fields))


def _fields(
    segment: Segment, names: tuple[Named, ...], version: str, *, shows_patient: bool
) -> Iterator[ExplainedField]:
    for number in range(2 if segment.name == "MSH" else 1, segment.last_field + 1):
        value = segment.field(number)
        if not value:
            continue
        named = names[number - 1] if number <= len(names) else _UNNAMED
        reader = _Reader(segment, number, _typed(segment, number, named), version, shows_patient=shows_patient)
        yield ExplainedField(f"{segment.name}-{number}", named.name, reader.values(value), reader.hides)


def _typed(segment: Segment, number: int, named: Named) -> Named:
    """Give OBX-5 the type that OBX-2 names (HL7 v2.5.1, 7.4.2.2), and each field its table."""
    data_type = segment.text(2) if (segment.name, number) == ("OBX", 5) else named.data_type
    return Named(named.name, data_type, table_of_field(segment.name, number, named.table))


class _Reader:
    """Says what one field's repetitions hold."""

    def __init__(self, segment: Segment, number: int, named: Named, version: str, *, shows_patient: bool) -> None:
        self._named = named
        self._components = () if named.data_type in _MOMENTS else components_of(named.data_type, version)
        self._is_encoding_characters = (segment.name, number) == ("MSH", 2)
        self.hides = not shows_patient and not is_shown(segment.name, number)

    def values(self, field: Value) -> tuple[str, ...]:
        """Say each repetition."""
        if self._is_encoding_characters:
            return (printable(field.raw.decode("ascii", "replace")),)
        return tuple(self._value(repetition) for repetition in field.repetitions)

    def _value(self, value: Value) -> str:
        if value.is_null:
            return 'two double quotes: "delete what is stored"'
        if self._components:
            parts = dict(self._parts(value))
            # A first component alone is what the field itself is called.
            return parts[1].rpartition(" (")[0] if [*parts] == [1] else ", ".join(parts.values())
        return _hidden(value.text, self._named) if self.hides else _said(value.text, self._named)

    def _parts(self, value: Value) -> Iterator[tuple[int, str]]:
        for number, named in enumerate(self._components, start=1):
            part = value.component(number)
            if not part:
                continue
            own = self._named.table if number == 1 else named.table
            table = table_of_component(self._named.data_type, number, own)
            typed = Named(named.name, named.data_type, table)
            is_hidden = self.hides and not is_part_shown(self._named.data_type, number)
            said = _hidden(part.text, typed) if is_hidden else _said(part.text, typed)
            yield number, f"{said} ({_lower(named.name)})"


def _said(text: str, named: Named) -> str:
    shown = printable(text)
    known = _moment(text) if named.data_type in _MOMENTS else meaning(named.table, text)
    return f"{shown} = {known}" if known else shown


def _hidden(text: str, named: Named) -> str:
    """Say what kind of thing is hidden: enough to see that a field is empty, cut off or no date."""
    if named.data_type in _MOMENTS:
        return "hidden, " + ("a date" if _moment(text) else "not a date")
    return f"hidden, {len(text)} character{'' if len(text) == 1 else 's'}"


def _moment(text: str) -> str:
    moment = text.partition("^")[0].strip()
    try:
        if len(moment) <= 8:
            return read_date(moment)
        said = read_timestamp(moment, UTC).utc
    except ValueError:
        return ""
    offset = _OFFSET.search(moment)
    if offset is None:
        return f"{said:%Y-%m-%d %H:%M:%S}, hospital time"
    local = said.astimezone(datetime.strptime(offset[0], "%z").tzinfo)
    return f"{local:%Y-%m-%d %H:%M:%S} {offset[0][:3]}:{offset[0][3:]}"


def visible(text: str) -> str:
    """Write text so that it moves no cursor: a terminal obeys control characters."""
    return "".join(sign if sign.isprintable() else " / " if sign == "\n" else "·" for sign in text)


def printable(text: str) -> str:
    """Write a value so that it moves no cursor and fills no screen."""
    plain = visible(text)
    return plain if len(plain) <= MOST_CHARACTERS else f"{plain[:MOST_CHARACTERS]}… ({len(plain)} characters)"


def _lower(name: str) -> str:
    return name if name[:2].isupper() else name[:1].lower() + name[1:]
