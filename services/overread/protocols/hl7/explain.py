"""A message in plain words of one language, field by field: names, meanings of codes, patients hidden unless asked."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from overread.protocols.hl7.code_tables import table_of_component, table_of_field
from overread.protocols.hl7.field_names import Named, components_of, fields_of, title_of
from overread.protocols.hl7.patient_data import is_part_shown, is_shown
from overread.protocols.hl7.sentences import Language
from overread.protocols.hl7.timestamps import read_date, read_timestamp
from overread.protocols.hl7.tokenise import Message, Segment, Value
from overread.protocols.hl7.words import component_name, field_name, meaning_in, say

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


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a message is explained: in which version's names, in which language, and whether patients are shown."""

    version: str
    language: Language
    shows_patient: bool


def explain(message: Message, *, shows_patient: bool, language: Language = "en") -> Iterator[ExplainedSegment]:
    """Explain each segment in order, in the names of the message's version, said in `language`."""
    manner = _Manner(message.header.version_id, language, shows_patient)
    for segment in message:
        fields = _fields(segment, fields_of(segment.name, manner.version), manner)
        title = field_name(language, title_of(segment.name))
        yield ExplainedSegment(segment.name, segment.sequence, title, tuple(fields))


def _fields(segment: Segment, names: tuple[Named, ...], manner: _Manner) -> Iterator[ExplainedField]:
    for number in range(2 if segment.name == "MSH" else 1, segment.last_field + 1):
        value = segment.field(number)
        if not value:
            continue
        named = names[number - 1] if number <= len(names) else _UNNAMED
        reader = _Reader(segment, number, _typed(segment, number, named), manner)
        name = field_name(manner.language, named.name)
        yield ExplainedField(f"{segment.name}-{number}", name, reader.values(value), reader.hides)


def _typed(segment: Segment, number: int, named: Named) -> Named:
    """Give OBX-5 the type that OBX-2 names (HL7 v2.5.1, 7.4.2.2), and each field its table."""
    data_type = segment.text(2) if (segment.name, number) == ("OBX", 5) else named.data_type
    return Named(named.name, data_type, table_of_field(segment.name, number, named.table))


class _Reader:
    """Says what one field's repetitions hold."""

    def __init__(self, segment: Segment, number: int, named: Named, manner: _Manner) -> None:
        self._named = named
        self._language = manner.language
        self._components = () if named.data_type in _MOMENTS else components_of(named.data_type, manner.version)
        self._is_encoding_characters = (segment.name, number) == ("MSH", 2)
        self.hides = not manner.shows_patient and not is_shown(segment.name, number)

    def values(self, field: Value) -> tuple[str, ...]:
        """Say each repetition."""
        if self._is_encoding_characters:
            return (printable(field.raw.decode("ascii", "replace")),)
        return tuple(self._value(repetition) for repetition in field.repetitions)

    def _value(self, value: Value) -> str:
        if value.is_null:
            return say(self._language, 'two double quotes: "delete what is stored"')
        if self._components:
            parts = dict(self._parts(value))
            # A first component alone is what the field itself is called.
            return parts[1].rpartition(" (")[0] if [*parts] == [1] else ", ".join(parts.values())
        says = _hidden if self.hides else _said
        return says(value.text, self._named, self._language)

    def _parts(self, value: Value) -> Iterator[tuple[int, str]]:
        for number, named in enumerate(self._components, start=1):
            part = value.component(number)
            if not part:
                continue
            own = self._named.table if number == 1 else named.table
            table = table_of_component(self._named.data_type, number, own)
            typed = Named(named.name, named.data_type, table)
            is_hidden = self.hides and not is_part_shown(self._named.data_type, number)
            said = (_hidden if is_hidden else _said)(part.text, typed, self._language)
            yield number, f"{said} ({_lower(component_name(self._language, named.name))})"


def _said(text: str, named: Named, language: Language) -> str:
    shown = printable(text, language)
    known = _moment(text, language) if named.data_type in _MOMENTS else meaning_in(language, named.table, text)
    return f"{shown} = {known}" if known else shown


def _hidden(text: str, named: Named, language: Language) -> str:
    """Say what kind of thing is hidden: enough to see that a field is empty, cut off or no date."""
    if named.data_type in _MOMENTS:
        return say(language, "hidden, a date" if _moment(text, language) else "hidden, not a date")
    if len(text) == 1:
        return say(language, "hidden, 1 character")
    return say(language, "hidden, {count} characters", count=len(text))


def _moment(text: str, language: Language) -> str:
    moment = text.partition("^")[0].strip()
    try:
        if len(moment) <= 8:
            return read_date(moment)
        said = read_timestamp(moment, UTC).utc
    except ValueError:
        return ""
    offset = _OFFSET.search(moment)
    if offset is None:
        return say(language, "{moment}, hospital time", moment=f"{said:%Y-%m-%d %H:%M:%S}")
    local = said.astimezone(datetime.strptime(offset[0], "%z").tzinfo)
    return f"{local:%Y-%m-%d %H:%M:%S} {offset[0][:3]}:{offset[0][3:]}"


def visible(text: str) -> str:
    """Write text so that it moves no cursor: a terminal obeys control characters."""
    return "".join(sign if sign.isprintable() else " / " if sign == "\n" else "·" for sign in text)


def printable(text: str, language: Language = "en") -> str:
    """Write a value so that it moves no cursor and fills no screen."""
    plain = visible(text)
    if len(plain) <= MOST_CHARACTERS:
        return plain
    return f"{plain[:MOST_CHARACTERS]}… {say(language, '({count} characters)', count=len(plain))}"


def _lower(name: str) -> str:
    return name if name[:2].isupper() else name[:1].lower() + name[1:]
